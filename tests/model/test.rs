//! The short bound: every scenario holds, every planted mistake is found.
//!
//! What was visited is written past the test runner's capture, so that every run says how much it proves.

use std::{
    collections::{HashSet, VecDeque},
    io::{Write, stderr},
};

use etcd_model::{
    catalogue,
    explore::{Bounds, explore},
    mistake::Rules,
    scenario::Scenario,
    words,
    world::World,
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
    holds(&catalogue::short()[..9]);
}

#[test]
fn every_property_holds_in_every_scenario_where_things_break() {
    holds(&catalogue::short()[9..]);
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

/// Every state that can be reached, where what nobody reads is blotted out or is not.
fn reached(scenario: &Scenario, blots: bool) -> HashSet<World> {
    let scenario = Scenario { rules: Rules { blots, ..scenario.rules }, ..*scenario };
    let first = scenario.first();
    let (mut known, mut queue) = (HashSet::from([first.clone()]), VecDeque::from([first]));
    while let Some(world) = queue.pop_front() {
        for next in world.steps_on(&scenario.rules).into_iter().filter_map(|step| step.outcome.ok()) {
            if known.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    known
}

#[test]
fn what_is_blotted_out_changes_nothing_that_can_happen() {
    for scenario in catalogue::short() {
        let blotted = |mut world: World| {
            world.forget(true);
            world
        };
        let whole = reached(&scenario, false);
        say(&format!("{}: {} states where nothing is blotted out", scenario.name, whole.len()));
        assert!(reached(&scenario, true) == whole.into_iter().map(blotted).collect(), "{}", scenario.name);
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
