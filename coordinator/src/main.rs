//! `etcd-coordinator`: see the library beside this file.

use std::process::ExitCode;

use clap::Parser;
use etcd_coordinator::args::Cli;

fn main() -> ExitCode {
    match etcd_coordinator::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
