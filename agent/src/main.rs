//! `etcd-agent`: see the library beside this file.

use std::process::ExitCode;

use clap::Parser;
use etcd_agent::args::{self, Args};

fn main() -> ExitCode {
    let command = args::init().unwrap_or_else(|| Args::parse().command);
    match etcd_agent::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
