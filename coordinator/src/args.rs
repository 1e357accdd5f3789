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
    use std::collections::BTreeSet;

    use clap::{Arg, CommandFactory};
    use serde_json::Value;

    use super::*;

    const TEMPLATE: &str = include_str!("../../manifests/charts/etcd-operator/templates/coordinator.yaml");
    const VALUES: &str = include_str!("../../manifests/charts/etcd-operator/values.yaml");
    const SCHEMA: &str = include_str!("../../manifests/charts/etcd-operator/values.schema.json");
    /// No values of the chart: the pod says who and where it is, and of several pods one has to lead.
    const OF_THE_POD: [&str; 4] = ["kubeconfig", "leader-elect", "lease-namespace", "identity"];

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

    #[test]
    fn the_chart_sets_every_flag_that_there_is_and_no_other() {
        let command = Cli::command();
        let flags = command.get_arguments().filter_map(Arg::get_long).filter(|flag| !OF_THE_POD.contains(flag));
        let named = TEMPLATE.split("--").skip(1).filter_map(|rest| rest.split_once('=')).map(|(name, _)| name);
        let named = named.filter(|name| name.chars().all(|one| one.is_ascii_lowercase() || one == '-'));
        assert_eq!(named.collect::<BTreeSet<_>>(), flags.collect::<BTreeSet<_>>());
    }

    /// It leaves out what the coordinator does of itself.
    #[test]
    fn the_chart_knows_what_the_coordinator_does_of_itself() {
        let (command, values) = (Cli::command(), serde_yaml::from_str::<Value>(VALUES).unwrap());
        for (flag, value, shown) in [
            ("log-filter", "/log/filter", "ne .Values.log.filter \"DEFAULT\""),
            ("max-rolling", "/maxRolling", "ne (int .Values.maxRolling) DEFAULT"),
            ("pod-user", "/podUser", "ne .Values.podUser \"DEFAULT\""),
            ("listen", "/listen", "ne .Values.listen \"DEFAULT\""),
        ] {
            let argument = command.get_arguments().find(|one| one.get_long() == Some(flag)).unwrap();
            let default = argument.get_default_values()[0].to_str().unwrap();
            assert_eq!(values.pointer(value).unwrap().to_string().trim_matches('"'), default, "{flag}");
            assert!(TEMPLATE.contains(&shown.replace("DEFAULT", default)), "the template takes {flag} for another");
        }
    }

    #[test]
    fn the_chart_takes_the_words_that_the_coordinator_takes() {
        let (command, schema) = (Cli::command(), serde_json::from_str::<Value>(SCHEMA).unwrap());
        for (flag, value) in
            [("log-format", "/properties/log/properties/format/enum"), ("pod-user", "/properties/podUser/enum")]
        {
            let argument = command.get_arguments().find(|one| one.get_long() == Some(flag)).unwrap();
            let words =
                argument.get_possible_values().iter().map(|one| one.get_name().to_owned()).collect::<BTreeSet<_>>();
            let taken = schema.pointer(value).and_then(Value::as_array).unwrap().iter().filter_map(Value::as_str);
            assert_eq!(taken.map(str::to_owned).collect::<BTreeSet<_>>(), words, "{flag}");
        }
    }

    /// `make reference` writes it.
    #[test]
    fn every_command_stands_in_the_reference_as_its_help_says() {
        let page = include_str!("../../manifests/docs/reference/etcd-coordinator.md");
        let mut top = Cli::command();
        top.build();
        let mut commands = vec![&mut top];
        while let Some(command) = commands.pop() {
            // Long where there is more to say of an argument, as `--help` is.
            let both = [command.render_help(), command.render_long_help()].map(|help| help.to_string());
            let lines =
                |help: &str| help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned();
            assert!(both.iter().any(|help| page.contains(&lines(help))), "run make reference:\n{}", both[0]);
            commands.extend(
                command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help"),
            );
        }
    }
}
