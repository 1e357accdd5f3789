//! `steps demo` and `steps test`: what `make demo` and `make test` call once a machine is set up. `steps helm …` is Helm.

use std::process::ExitCode;
use steps::{demo, helm, place::Place, signals, test};

fn main() -> ExitCode {
    signals::heed();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let place = Place::from_env();
    let outcome = match asked.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => demo::perform(&place),
        ["test"] => test::perform(&place),
        ["helm", ..] => helm::perform(&asked[1..]),
        _ => {
            eprintln!("usage: steps demo | test | helm …");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if signals::heard() => {
            eprintln!("interrupted");
            ExitCode::from(signals::INTERRUPTED)
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
