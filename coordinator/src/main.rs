//! The coordinator: turns each EtcdCluster into Kubernetes objects, and adds up what the members' agents report.
//!
//! It needs nothing but the API server, and speaks to nothing else: never etcd's protocol, never a connection to a pod.
//! Every rule that decides is pure (`decide`, `replace`, `founding`, `peers`, `status`, `build`) and tested without a cluster.

mod aim;
mod apiserver;
mod apply;
mod args;
mod build;
mod context;
mod controller;
mod course;
mod crds;
mod decide;
mod ending;
mod events;
mod facts;
mod fetch;
mod found;
mod founding;
mod lease;
mod ledger;
mod membership;
mod metrics;
mod moves;
mod peers;
mod probes;
mod reconcile;
mod refusal;
mod replace;
mod report;
mod retire;
mod run;
mod status;
mod stores;
mod trouble;

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use etcd_operator_shared::process::{logs, shutdown};

use args::{Cli, Command};

fn main() -> ExitCode {
    let Cli { command, run } = Cli::parse();
    let done = match command {
        Some(Command::Crds { without_cel }) => crds::yaml(without_cel).map(|yaml| print!("{yaml}")),
        None => {
            logs::start(run.log_format.into(), &run.log_filter);
            work(run)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread is plenty: all the work is waiting for the API server.
fn work(run: args::Run) -> anyhow::Result<()> {
    let provider = rustls::crypto::ring::default_provider().install_default();
    provider.map_err(|_| anyhow!("the cryptography provider is installed twice"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { run::run(run, shutdown::on_signal()?).await })
}
