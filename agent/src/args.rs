//! The command line and the environment: the only place that reads either.

pub mod snapshot;

use std::{ffi::OsString, path::PathBuf};

use self::snapshot::{SnapshotVerb, Whose};
use clap::{Parser, Subcommand, ValueEnum};
use etcd_operator_shared::{
    api::{EtcdOptions, cluster::Encrypted},
    names::{self, Scheme, env},
    validate::{self, Flags},
    version::Version,
};

/// Looks after one etcd member: runs in every pod of an EtcdCluster.
#[derive(Debug, Parser)]
#[command(name = "etcd-agent", version, about, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say how this member is, with the reason of every check
    Status {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Human)]
        output: Output,
    },
    /// See what is on this member's volume, and delete what was set aside there
    Volume {
        #[arg(long, default_value = names::VOLUME_DIR, hide = true)]
        volume: PathBuf,
        #[command(subcommand)]
        verb: VolumeVerb,
    },
    /// Save a snapshot of this member's etcd, and see which backups there are
    Snapshot {
        #[command(subcommand)]
        verb: Box<SnapshotVerb>,
    },
    /// Write this member's database file anew, without what it does not use; the leader lets another one lead first
    Defrag(Box<Defrag>),
    /// Forget old revisions of keys, in all members
    Compact(Box<Compact>),
    /// Print the version of the agent
    Version,
    /// Run the agent (PID 1 of the agent container)
    #[command(hide = true)]
    Run,
    /// Look after the member (the child of `run`)
    #[command(hide = true)]
    Sidecar(Box<Sidecar>),
    /// Copy the launcher into the directory shared with the etcd container (postStart hook)
    #[command(hide = true)]
    Install,
    /// Try this image with these flags (a throw-away pod, before a roll)
    #[command(hide = true)]
    Rehearse(Rehearse),
    /// Run etcd when the agent says so (PID 1 of the etcd container)
    #[command(hide = true)]
    Launch {
        /// What others put behind the command in the pod's template: it reaches nobody
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        ignored: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum VolumeVerb {
    /// List what is on the volume, with sizes
    List {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Human)]
        output: Output,
    },
    /// Delete one data directory that was set aside, for good
    Discard {
        /// Its name, as `volume list` shows it: aside-INCARNATION-NUMBER
        name: String,
    },
}

/// What a person wants of this member's database file.
#[derive(Debug, Clone, Parser)]
pub struct Defrag {
    /// Do it although the member is not well, or does not reach the others
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub whose: Whose,
}

/// What a person wants to be forgotten.
#[derive(Debug, Clone, Parser)]
pub struct Compact {
    /// How many of the newest revisions are kept
    #[arg(long, value_name = "REVISIONS", default_value_t = 0)]
    pub keep: u64,
    #[command(flatten)]
    pub whose: Whose,
}

/// How a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Human,
    Json,
}

/// What the coordinator's pod template says to the sidecar.
#[derive(Debug, Clone, Parser)]
pub struct Sidecar {
    #[arg(long, env = env::POD_NAME)]
    pub member: String,
    #[arg(long, env = env::POD_NAMESPACE)]
    pub namespace: String,
    #[arg(long, env = env::POD_UID)]
    pub pod_uid: String,
    #[arg(long, env = env::POD_IP)]
    pub pod_ip: String,
    #[arg(long, env = env::CLUSTER_NAME)]
    pub cluster: String,
    #[arg(long, env = env::CLUSTER_UID)]
    pub cluster_uid: String,
    #[arg(long, env = env::INCARNATION)]
    pub incarnation: i64,
    #[arg(long, env = env::CLUSTER_ID)]
    pub cluster_id: String,
    /// Version of etcd that the pod was made with: the image may have been changed in it since
    #[arg(long, env = env::ETCD_VERSION)]
    pub version: Version,
    /// Options of etcd that the pod was made with: others may have been told since
    #[arg(long, env = env::ETCD_OPTIONS, value_parser = said)]
    pub options: String,
    /// Whether traffic between members is encrypted
    #[arg(long, env = env::PEER_TLS)]
    pub peer_tls: bool,
    /// Whether traffic with clients is
    #[arg(long, env = env::CLIENT_TLS)]
    pub client_tls: bool,
    /// What is logged, in the syntax of RUST_LOG
    #[arg(long, env = "ETCD_AGENT_LOG", default_value = "info,kube=warn,tower=warn")]
    pub log: String,
    #[arg(long, default_value = names::VOLUME_DIR)]
    pub volume: PathBuf,
    #[arg(long, default_value = names::AGENT_DIR)]
    pub shared: PathBuf,
    /// Where what etcd serves with is exposed
    #[arg(long, default_value = names::TLS_DIR)]
    pub tls: PathBuf,
}

impl Sidecar {
    /// Which traffic is encrypted.
    #[must_use]
    pub fn encrypted(&self) -> Encrypted {
        Encrypted { peer: self.peer_tls, client: self.client_tls }
    }

    /// This member's peer URL.
    #[must_use]
    pub fn peer_url(&self) -> String {
        names::peer_url(Scheme::of(self.peer_tls), &self.member, &self.cluster, &self.namespace)
    }
}

/// What the coordinator's throw-away pod says to a rehearsal: the same as it would to a sidecar.
#[derive(Debug, Clone, Parser)]
pub struct Rehearse {
    #[arg(long, env = env::POD_NAMESPACE)]
    pub namespace: String,
    #[arg(long, env = env::CLUSTER_NAME)]
    pub cluster: String,
    #[arg(long, env = env::ETCD_VERSION)]
    pub version: Version,
    #[arg(long, env = env::ETCD_OPTIONS, value_parser = options)]
    pub options: Flags,
    #[arg(long, default_value = names::VOLUME_DIR)]
    pub volume: PathBuf,
}

/// The two commands that are PID 1 of a container, told without the parser: it alone would cost each of them a
/// megabyte.
#[must_use]
pub fn init() -> Option<Command> {
    first(std::env::args().skip(1))
}

fn first(mut words: impl Iterator<Item = String>) -> Option<Command> {
    match words.next()?.as_str() {
        "run" => words.next().is_none().then_some(Command::Run),
        // A word too many must not keep etcd from starting, and is no way to etcd's flags.
        "launch" => Some(Command::Launch { ignored: words.collect() }),
        _ => None,
    }
}

/// Where the container's image keeps its programs.
#[must_use]
pub fn search_path() -> Option<OsString> {
    std::env::var_os("PATH")
}

/// Options of etcd as the coordinator says them, held against the rules and kept as they are.
fn said(json: &str) -> Result<String, String> {
    options(json).map(|_| json.to_owned())
}

/// What options mean for etcd's command line.
///
/// # Errors
/// In a sentence, when they are none.
pub fn options(json: &str) -> Result<Flags, String> {
    let raw: EtcdOptions = serde_json::from_str(json).map_err(|e| e.to_string())?;
    validate::options(&raw).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn words_that_others_put_behind_the_launcher_do_not_stop_it() {
        let words = ["launch", "--force-new-cluster", "x"].map(ToOwned::to_owned);
        let Some(Command::Launch { ignored }) = first(words.into_iter()) else { panic!("the launcher starts") };
        assert_eq!(ignored, ["--force-new-cluster", "x"]);
    }

    /// `make reference` writes it.
    #[test]
    fn every_command_stands_in_the_reference_as_its_help_says() {
        let page = include_str!("../../manifests/docs/reference/etcd-agent.md");
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
