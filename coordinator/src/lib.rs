//! The coordinator: turns each EtcdCluster into Kubernetes objects, and adds up what the members' agents report. A
//! library only so that the model in `tests/model` asks the very rules that the coordinator goes by.
//!
//! It needs nothing but the API server, and speaks to nothing else: never etcd's protocol, never a connection to a pod.
//! Every rule that decides is pure (`cluster/{facts, decide, build, report/status}`) and tested without a cluster.

mod apiserver;
pub mod args;
mod authorities;
mod backup;
pub mod cluster;
mod crds;
mod metrics;
mod ownership;
mod pki;
mod print;
mod process;
mod proofs;
mod restore;
#[cfg(test)]
mod rooms;
mod user;

use anyhow::anyhow;
use etcd_operator_shared::process::{logs, shutdown};

use args::{Cli, Command, Run};

/// Does what the command line says.
///
/// # Errors
/// With what a person should read.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { command, run } = cli;
    match command {
        Some(Command::Crds { without_cel }) => crds::yaml(without_cel).map(|yaml| print!("{yaml}")),
        None => {
            logs::start(run.log_format.into(), &run.log_filter);
            work(run)
        }
    }
}

/// One thread is plenty: all the work is waiting for the API server.
fn work(run: Run) -> anyhow::Result<()> {
    let provider = rustls::crypto::ring::default_provider().install_default();
    provider.map_err(|_| anyhow!("the cryptography provider is installed twice"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { process::run::run(run, shutdown::on_signal()?).await })
}
