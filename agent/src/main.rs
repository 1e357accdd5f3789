//! `etcd-agent`: one binary, five parts.
//!
//! ```text
//!  container agent                          container etcd
//!  ┌──────────────────────────────┐         ┌───────────────────────────────┐
//!  │ run ── child ── sidecar      │ socket  │ launch ── child ── etcd       │
//!  │                 probes :2382 ╪═════════╪═ orders, states               │
//!  │ install (postStart) ─────────┼─────────┼─▶ /agent/etcd-agent, hosts    │
//!  └──────────────────────────────┘         └───────────────────────────────┘
//!  kubectl exec … status
//! ```

mod args;
mod cli;
mod crash;
mod etcd;
mod facts;
mod install;
mod kube;
mod launch;
mod names;
mod plan;
mod run;
mod serve;
mod sidecar;
mod signals;
mod volume;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use etcd_operator_shared::names::{AGENT_DIR, VOLUME_DIR};

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let outcome = match args::init().unwrap_or_else(|| Args::parse().command) {
        Command::Run => run::run().map_err(Into::into),
        Command::Sidecar(config) => sidecar::main(*config),
        Command::Install => install::run(Path::new(AGENT_DIR)).map_err(Into::into),
        Command::Launch => {
            launch::run(&launch::Places { volume: VOLUME_DIR.into(), shared: AGENT_DIR.into() }).map_err(Into::into)
        }
        Command::Status { output } => cli::status::run(output),
        Command::Version => {
            println!("etcd-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
