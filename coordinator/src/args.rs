//! What the command line and the environment say, typed. Nothing else reads the environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use etcd_operator_shared::{api::cluster::PodUser, process::logs};

/// Turns EtcdClusters into StatefulSets, Services and all else that their members need.
#[derive(Debug, Parser)]
#[command(name = "etcd-coordinator", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the CustomResourceDefinitions as YAML.
    Crds {
        /// Leave out the CEL rules, for API servers before 1.29. The coordinator checks the same rules itself.
        #[arg(long)]
        without_cel: bool,
    },
}

#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Kubeconfig to use. Left out: the pod's service account, or else the usual kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespace to look after; may be given several times. Left out, or empty: all.
    #[arg(long = "namespace", env = "WATCH_NAMESPACE", value_delimiter = ',', value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Image of the agents.
    #[arg(long, env = "AGENT_IMAGE", default_value = "etcd-operator/agent:dev", value_name = "IMAGE")]
    pub agent_image: String,
    /// As many clusters at a time have members replaced, or agents updated, that serve. 0: none.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub max_rolling: usize,
    /// As whom pods run whose cluster does not say: user and group 65532, or whom the platform chooses, as OpenShift wants.
    #[arg(long, value_enum, default_value_t = User::Fixed, value_name = "WHO")]
    pub pod_user: User,
    /// Address of /livez, /readyz and /metrics. `[::]` is every address, of IPv4 and IPv6.
    #[arg(long, default_value = "[::]:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged, in the syntax of RUST_LOG.
    #[arg(long, env = "RUST_LOG", default_value = "info", hide_env_values = true, value_name = "FILTER")]
    pub log_filter: String,
    /// Whether to act only while holding a Lease, so that a second process can stand by.
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace of that Lease. Left out: the pod's, or the kubeconfig's.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of this process on that Lease and on events.
    #[arg(long, env = "POD_NAME", default_value = "etcd-coordinator", value_name = "NAME")]
    pub identity: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl From<LogFormat> for logs::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum User {
    Fixed,
    Platform,
}

impl From<User> for PodUser {
    fn from(user: User) -> Self {
        match user {
            User::Fixed => Self::Fixed,
            User::Platform => Self::Platform,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leader_election_is_on_unless_switched_off() {
        let run = |args: &[&str]| Cli::try_parse_from(args).unwrap().run;
        assert!(run(&["etcd-coordinator"]).leader_elect);
        assert!(!run(&["etcd-coordinator", "--leader-elect=false"]).leader_elect);
    }

    #[test]
    fn namespaces_add_up() {
        let cli = Cli::try_parse_from(["etcd-coordinator", "--namespace", "a", "--namespace", "b"]).unwrap();
        assert_eq!(cli.run.namespaces, ["a", "b"]);
    }
}
