//! `etcd-agent`: see the library beside this file.

use std::process::ExitCode;

use clap::Parser;
use etcd_agent::{
    args::{self, Args},
    backup::Failure,
};

fn main() -> ExitCode {
    let command = args::init().unwrap_or_else(|| Args::parse().command);
    match etcd_agent::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-agent: {error:#}");
            error.downcast_ref::<Failure>().map_or(ExitCode::FAILURE, |failure| ExitCode::from(failure.code()))
        }
    }
}
