//! The short bound: every scenario holds, every planted mistake is found.
//!
//! What was visited is written past the test runner's capture, so that every run says how much it proves.

use std::io::{Write, stderr};

use etcd_model::{
    catalogue,
    explore::{Bounds, explore},
    scenario::Scenario,
    words,
};

/// The short bound fits by far.
const BOUNDS: Bounds = Bounds { states: 2_000_000, progress: false };

fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

fn holds(scenarios: &[Scenario]) {
    for scenario in scenarios {
        let report = explore(&scenario.first(), &scenario.rules, BOUNDS);
        say(&format!("{}: {}\n  {}", scenario.name, scenario.bounds(), words::summary(&report)));
        if let Some(found) = &report.broken {
            panic!("{}", words::story(scenario, found));
        }
        assert!(report.complete, "{}: not every state was visited", scenario.name);
        assert!(report.settled > 0, "{}: nothing ever settles", scenario.name);
    }
}

#[test]
fn every_property_holds_in_every_scenario_where_members_change() {
    holds(&catalogue::short()[..8]);
}

#[test]
fn every_property_holds_in_every_scenario_where_things_break() {
    holds(&catalogue::short()[8..]);
}

#[test]
fn every_planted_mistake_is_found_by_the_property_that_names_it() {
    for (mistake, property, scenario) in catalogue::planted() {
        let report = explore(&scenario.first(), &scenario.rules, BOUNDS);
        let Some(found) = &report.broken else { panic!("{mistake:?} is not found: {}", words::summary(&report)) };
        let story = words::story(&scenario, found);
        assert_eq!(found.broken.property(), property, "{mistake:?} shows as another:\n{story}");
        say(&format!("\n{story}"));
    }
}

#[test]
fn the_known_limits_are_what_they_are() {
    for (property, scenario) in catalogue::limits() {
        let report = explore(&scenario.first(), &scenario.rules, BOUNDS);
        let found = report.broken.map(|found| found.broken.property());
        assert_eq!(found, Some(property), "{}: no limit any more?", scenario.name);
    }
}
