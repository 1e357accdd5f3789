//! The agent: one binary, five parts. A library only so that the model in `tests/model` runs what the agent runs: the
//! plans, the launcher's machine, etcd's flags.
//!
//! ```text
//!  container agent                          container etcd
//!  ┌──────────────────────────────┐         ┌───────────────────────────────┐
//!  │ run ── child ── sidecar      │ socket  │ launch ── child ── etcd       │
//!  │                 probes :2382 ╪═════════╪═ orders, states               │
//!  │ install (postStart) ─────────┼─────────┼─▶ /agent/etcd-agent, hosts    │
//!  └──────────────────────────────┘         └───────────────────────────────┘
//!  kubectl exec … status, volume, snapshot, rehearse, snapshot prove: etcd alone in a throw-away pod
//!                   defrag, compact          snapshot serve: what a cluster begins with
//! ```

pub mod args;
pub mod backup;
mod cli;
mod crash;
pub mod etcd;
mod fetch;
mod hosts;
mod http;
mod install;
mod kube;
pub mod launch;
mod observe;
pub mod plan;
mod rehearse;
mod run;
mod serve;
mod sidecar;
mod signals;
mod tls;
pub mod volume;

use std::path::Path;

use etcd_operator_shared::names::{AGENT_DIR, VOLUME_DIR};

use crate::args::Command;

/// Runs one command.
///
/// # Errors
/// With what a person should read.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run => Ok(run::run()?),
        Command::Sidecar(config) => sidecar::main(*config),
        Command::Install => Ok(install::run(Path::new(AGENT_DIR))?),
        Command::Rehearse(wanted) => Ok(rehearse::run(&wanted, args::search_path().as_deref())?),
        Command::Launch { ignored } => {
            let path = args::search_path();
            Ok(launch::run(&launch::Places { volume: VOLUME_DIR.into(), shared: AGENT_DIR.into(), path }, &ignored)?)
        }
        Command::Status { output } => cli::status::run(output),
        Command::Snapshot { verb } => cli::snapshot::run(*verb),
        Command::Volume { volume, verb } => cli::volume::run(&volume, verb),
        Command::Defrag(args) => cli::database::defrag(&args),
        Command::Compact(args) => cli::database::compact(&args),
        Command::Version => {
            println!("etcd-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}
