//! `kubectl-etcd`: see the library beside this file.

use std::process::ExitCode;

use clap::Parser;
use kubectl_etcd::args::Args;

fn main() -> ExitCode {
    match kubectl_etcd::run(Args::parse()) {
        Ok(verdict) => verdict.into(),
        Err(failure) => {
            eprintln!("kubectl etcd: {failure}");
            failure.verdict().into()
        }
    }
}
