//! The command line: the only place that reads it, or the environment.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use etcd_operator_shared::{duration, names, version::Version};

/// See and operate etcd clusters that the etcd operator looks after
#[derive(Debug, Parser)]
#[command(name = "kubectl-etcd", bin_name = "kubectl etcd", version, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 good, 1 failed, 2 usage, 3 not found, 4 unhealthy, 5 timeout, 6 refused")]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Which API server, whose namespace, and how it is printed.
#[derive(Debug, Clone, ClapArgs)]
pub struct Global {
    /// Namespace; left out, that of the context
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig file; left out, KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Print without colours, as with NO_COLOR in the environment
    #[arg(long, global = true)]
    pub no_color: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one cluster on one page, or all of them, a line each
    Status(Status),
    /// List the members of a cluster
    Members {
        /// The cluster
        name: String,
        #[command(flatten)]
        print: Print,
    },
    /// Say of each member whether it serves, and why not
    Health {
        /// The cluster
        name: String,
    },
    /// Check everything that is known of a cluster: what is wrong, and what to do about it
    Diagnose {
        /// The cluster
        name: String,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Data::Table)]
        output: Data,
    },
    /// Stop the etcd of a member and keep its pod, so that its volume can be looked at
    Hold {
        /// The cluster
        name: String,
        /// The member, such as demo-1
        member: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        dry: Dry,
    },
    /// Let a member that was held go on
    Release {
        /// The cluster
        name: String,
        /// The member, such as demo-1
        member: String,
        #[command(flatten)]
        dry: Dry,
    },
    /// Leave a cluster as it is: nothing joins, leaves, rolls or is replaced until it is resumed
    Pause {
        /// The cluster
        name: String,
        #[command(flatten)]
        dry: Dry,
    },
    /// Let a cluster that was paused go on
    Resume {
        /// The cluster
        name: String,
        #[command(flatten)]
        dry: Dry,
    },
    /// Change the version of etcd
    Upgrade {
        /// The cluster
        name: String,
        /// Such as v3.6.11
        version: Version,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        dry: Dry,
    },
    /// Take a backup into the cluster's store, at once
    Backup {
        /// The cluster
        name: String,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        dry: Dry,
    },
    /// Save a snapshot of etcd into a file on this machine
    Snapshot {
        #[command(subcommand)]
        verb: Snapshot,
    },
    /// Write database files anew, without what they do not use: one member after the other, the leader last
    Defrag {
        /// The cluster
        name: String,
        /// This member only, such as demo-1
        #[arg(long, value_name = "MEMBER")]
        member: Option<String>,
        /// Do it although a member is not well, or does not reach the others
        #[arg(long)]
        force: bool,
    },
    /// Forget old revisions of keys
    Compact {
        /// The cluster
        name: String,
        /// How many of the newest revisions are kept
        #[arg(long, value_name = "REVISIONS", default_value_t = 0)]
        keep: u64,
    },
    /// Print the logs of all members, merged by time
    Logs(Logs),
    /// Write what a cluster's helper needs into one zip file: objects, events, logs; no Secrets, no data
    Report {
        /// The cluster
        name: String,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print a completion script for a shell
    Completion {
        /// Which shell
        shell: CompletionShell,
    },
}

#[derive(Debug, ClapArgs)]
pub struct Status {
    /// The cluster; left out, all of the namespace
    #[arg(conflicts_with = "all_namespaces")]
    pub name: Option<String>,
    /// Clusters of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Go on showing it until interrupted
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Save one; the file gets its name once it is whole and right
    Save {
        /// The cluster
        name: String,
        /// Where it goes; what is there is replaced once the snapshot is whole
        file: PathBuf,
        /// The member that it is taken of; left out, one that follows
        #[arg(long)]
        member: Option<String>,
    },
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Logs {
    /// The cluster
    pub name: String,
    /// Go on with new lines, and with new pods, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// No lines older than this, such as 10m
    #[arg(long, value_parser = period)]
    pub since: Option<Duration>,
    /// The last lines alone, of each container
    #[arg(long)]
    pub tail: Option<u32>,
    /// One container alone: etcd, agent, or another of the pod's
    #[arg(short, long)]
    pub container: Option<String>,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Print {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Dry {
    /// Ask the API server whether it would take it, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Wait {
    /// Show how far it is, until it is done
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "15m", value_parser = period)]
    pub timeout: Duration,
}

/// How a page or a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Wide,
    Json,
    Yaml,
}

/// How what has no wider form is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Data {
    Table,
    Json,
    Yaml,
}

impl From<Data> for Output {
    fn from(data: Data) -> Self {
        match data {
            Data::Table => Self::Table,
            Data::Json => Self::Json,
            Data::Yaml => Self::Yaml,
        }
    }
}

/// Shells that a script can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

/// The script by which a shell completes `kubectl-etcd`.
#[must_use]
pub fn completion(shell: CompletionShell) -> Vec<u8> {
    let shell = match shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    // A command with a space in its name would be no word for a shell.
    let mut command = Args::command().bin_name("kubectl-etcd");
    clap_complete::generate(shell, &mut command, "kubectl-etcd", &mut script);
    script
}

/// Whether the environment asks for no colours: <https://no-color.org>.
#[must_use]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn period(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// A member's name as people type it: `demo-1`, or its number alone.
#[must_use]
pub fn member(cluster: &str, typed: &str) -> Option<String> {
    let number = |digits: &str| digits.parse().ok().filter(|ordinal| *ordinal < names::MAX_MEMBERS);
    let ordinal = names::ordinal(cluster, typed).or_else(|| number(typed))?;
    Some(names::member(cluster, ordinal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_member_is_named_in_full_or_by_its_number() {
        assert_eq!(member("demo", "demo-1").as_deref(), Some("demo-1"));
        assert_eq!(member("demo", "1").as_deref(), Some("demo-1"));
        for other in ["other-1", "demo", "7", "-1", "demo-x"] {
            assert_eq!(member("demo", other), None, "{other}");
        }
    }

    #[test]
    fn flags_of_everybody_may_stand_behind_the_command() {
        let args = Args::try_parse_from(["kubectl-etcd", "status", "demo", "-n", "ns", "-o", "json"]).unwrap();
        assert_eq!(args.global.namespace.as_deref(), Some("ns"));
        assert!(Args::try_parse_from(["kubectl-etcd", "status", "demo", "-A"]).is_err());
        assert!(Args::try_parse_from(["kubectl-etcd", "upgrade", "demo", "v2.3.4"]).is_err());
    }

    #[test]
    fn each_shell_gets_a_script() {
        for shell in [CompletionShell::Bash, CompletionShell::Zsh, CompletionShell::Fish] {
            let script = String::from_utf8(completion(shell)).unwrap();
            assert!(script.contains("kubectl-etcd") && script.contains("diagnose"), "{shell:?}");
        }
    }

    /// `make reference` writes it.
    #[test]
    fn every_command_stands_in_the_reference_as_its_help_says() {
        let page = include_str!("../../../manifests/docs/reference/kubectl-etcd.md");
        let mut top = Args::command();
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
