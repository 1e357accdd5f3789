//! What is wrong with a cluster, and what to do about it: checks over objects that are there already, pure.
//!
//! ```text
//!   scene (objects as they were read, and when) ─▶ checks, each over its own corner ─▶ findings ─▶ verdict
//! ```
//! The deepest cause is named once: a member whose pod finds no node is told by the check of pods, not once more by
//! that of members. What may not be read makes a check unknown, and ends nothing. What to do is taken from the table in
//! agent/README.md ([`advice`]).

mod advice;
mod backups;
mod certificates;
mod events;
mod finding;
mod links;
mod members;
mod nodes;
mod operator;
mod pods;
mod print;
mod quorum;
mod ready;
mod scene;
mod space;
mod spec;
mod versions;
mod volumes;

pub use finding::{Check, Finding, Outcome, Report};
pub use print::print;
pub use scene::Scene;

/// All checks, in the order in which one asks.
#[must_use]
pub fn diagnose(scene: &Scene) -> Report {
    let checks = [
        ready::check,
        operator::check,
        spec::check,
        quorum::check,
        pods::check,
        volumes::check,
        nodes::check,
        members::check,
        links::check,
        versions::check,
        space::check,
        certificates::check,
        backups::check,
        events::check,
    ];
    Report {
        namespace: scene.page.namespace.clone(),
        cluster: scene.page.name.clone(),
        findings: checks.iter().flat_map(|check| check(scene)).collect(),
    }
}
