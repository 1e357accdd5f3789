//! Visits the scenarios of a bound (`short`, `nightly` or `five`), and says what was found.

use std::process::ExitCode;

use etcd_model::{
    catalogue,
    explore::{Bounds, explore},
    words,
};

/// States that fit into a few GiB.
const STATES: usize = 40_000_000;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let scenarios = match words.next().as_deref() {
        Some("short") => catalogue::short(),
        Some("five") if cfg!(feature = "five") => catalogue::five(),
        Some("five") => {
            eprintln!("five members need the feature `five` (make model BOUND=five)");
            return ExitCode::from(2);
        }
        _ => catalogue::nightly(),
    };
    let only = words.next().unwrap_or_default();
    let mut broken = false;
    for scenario in scenarios.iter().filter(|scenario| scenario.name.contains(&only)) {
        println!("{}: {}", scenario.name, scenario.bounds());
        let report = explore(&scenario.first(), &scenario.rules, Bounds { states: STATES, progress: true });
        println!("  {}", words::summary(&report));
        if let Some(found) = &report.broken {
            println!("{}", words::story(scenario, found));
            broken = true;
        }
    }
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
