//! What the cluster says of itself, added up from what its members and pods say.
//!
//! ```text
//!   facts ──▶ tally (who serves, who leads) ──┬─▶ phase, conditions ──▶ status
//!   pods, members ──▶ problems (who is to blame) ┘
//! ```
//! Pure: the same facts give the same status, so nothing is written when nothing changed. Unknown is shown as unknown.

pub mod backups;
pub mod certificates;
mod chores;
pub mod condition;
mod conditions;
mod members;
mod phase;
pub mod problems;
mod tally;
pub mod template;

use std::time::Duration;

pub use conditions::REFUSED;
use etcd_operator_shared::{
    api::{EtcdCluster, EtcdClusterStatus},
    names, quantity, quota,
};
use jiff::Timestamp;
use kube::ResourceExt;
use problems::Problem;
use tally::Tally;

use crate::{
    cluster::{
        decide::{
            Decision,
            step::Step,
            versions::{Course, Roll},
        },
        facts::{Facts, denial::Denial},
    },
    ownership::Owner,
};

/// All that a status is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its status is the one before this one.
    pub cluster: &'a EtcdCluster,
    pub facts: &'a Facts,
    pub decision: &'a Decision,
    /// What the API server refuses.
    pub denials: &'a [Denial],
    /// How long some voter has not served.
    pub lacking: Duration,
}

/// A voter that does not serve for longer is missing, whatever else is under way: a roll replaces a pod in less.
const UNDER_WAY: Duration = Duration::from_secs(120);

/// What a status is told from: the facts, added up.
struct Derived<'a> {
    input: Input<'a>,
    tally: Tally,
    problems: Vec<Problem>,
    founded: bool,
    /// Size 0: no member is meant to run.
    stopped: bool,
    pods: u32,
    rolling: bool,
    /// The number of members is changing.
    moving: bool,
}

/// The status now.
#[must_use]
pub fn of(input: Input<'_>, now: Timestamp) -> EtcdClusterStatus {
    let before = input.cluster.status.clone().unwrap_or_default();
    let derived = Derived::of(input);
    let phase = phase::of(before.phase, before.cluster_id.is_some(), &derived);
    let generation = input.cluster.metadata.generation;
    let conditions = conditions::of(before.conditions, &derived, phase, generation, now);
    let Tally { ready, leader, version, cluster_version, cluster_id, db_size, members, .. } = derived.tally;
    let formed = cluster_id.is_some() || before.cluster_id.is_some();
    let course = input.decision.care.as_ref().map(|care| &care.course);
    let told = |course: &Course| (Some(course.etcd.told()), course.roll.as_ref().map(Roll::told));
    let (etcd, roll) = course.map_or((before.etcd, before.roll), told);
    let moving = match &input.decision.care {
        Some(care) => care.moving.told.clone(),
        None => before.moving.clone(),
    };
    // Only by a move they become smaller.
    let moved = before.moving.is_some() && moving.is_none();
    let volume_size = volume_size(before.volume_size.filter(|_| !moved), input.facts);
    let (grown, quota_backend) = match &input.decision.care {
        Some(care) => {
            let named = &input.cluster.spec.storage.size;
            let grown = care.room.grown(&care.wanted, named, volume_size.as_deref(), before.grown);
            (grown, Some(quota::in_force(input.cluster, Some(&care.incarnation))))
        }
        None => (before.grown, before.quota_backend),
    };
    EtcdClusterStatus {
        backup: backups::summary(input, before.backup),
        chores: chores::of(input.facts, before.chores),
        observed_generation: generation,
        phase: Some(phase),
        conditions,
        incarnation: before.incarnation,
        operator: before.operator,
        cluster_id: cluster_id.or(before.cluster_id),
        leader,
        version,
        cluster_version: cluster_version.map(|minor| minor.to_string()).or(before.cluster_version.filter(|_| formed)),
        etcd,
        roll,
        ready: Some(format!("{ready}/{}", input.decision.size)),
        replicas: i32::try_from(derived.pods).unwrap_or(i32::MAX),
        selector: Some(selector(input.cluster)),
        db_size: db_size.map(size),
        volume_size,
        quota_backend,
        grown,
        moving,
        members,
    }
}

/// Whether some voter does not serve.
#[must_use]
pub fn lacks(input: Input<'_>) -> bool {
    let Tally { voters, voting, .. } = tally::of(input);
    input.decision.size > 0 && voting < voters
}

/// How long until a voter that does not serve counts as missing.
#[must_use]
pub fn patience(input: Input<'_>, lacking: Duration) -> Option<Duration> {
    UNDER_WAY.checked_sub(lacking).filter(|rest| !rest.is_zero() && lacks(input))
}

impl<'a> Derived<'a> {
    fn of(input: Input<'a>) -> Self {
        let Input { cluster, facts, decision, denials: _, lacking: _ } = input;
        let Decision { membership, size, step, .. } = decision;
        let size = *size;
        let incarnation = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref());
        let surplus = membership.standings.keys().any(|ordinal| *ordinal >= size && !membership.is_gone(*ordinal));
        Self {
            input,
            tally: tally::of(input),
            problems: problems::of(facts, membership, incarnation.map_or(0, |incarnation| incarnation.number)),
            founded: incarnation.is_some(),
            stopped: size == 0,
            pods: u32::try_from(facts.pods().count()).unwrap_or(u32::MAX),
            rolling: size > 0 && facts.is_rolling(),
            moving: surplus || facts.replicas() != size || matches!(step, Step::SetReplicas(_)),
        }
    }

    /// Whether a voter has not served for so long that no change of the cluster is the reason.
    fn is_lacking(&self) -> bool {
        self.input.lacking >= UNDER_WAY
    }

    /// What holds the cluster until a person acts.
    fn held(&self) -> Option<&Problem> {
        self.problems.iter().find(|p| p.held)
    }
}

/// The size that volumes were given, or any of them has asked for: it only grows. Claims are known while they grow.
fn volume_size(before: Option<String>, facts: &Facts) -> Option<String> {
    let made = facts.set.as_ref().map(|set| set.storage.size.clone());
    let asked = facts.claims.values().filter_map(|claim| Some(quantity::text(claim.size.as_ref()?.requested)));
    let sizes = before.into_iter().chain(made).chain(asked);
    // Of two that are the same size the one that was written first stays.
    sizes.reduce(|one, other| if quantity::bytes(&other).ok() > quantity::bytes(&one).ok() { other } else { one })
}

fn selector(cluster: &EtcdCluster) -> String {
    let life = Owner::of(cluster).life;
    format!("{}={},{}={life}", names::LABEL_CLUSTER, cluster.name_any(), names::LABEL_CLUSTER_UID)
}

/// Bytes as people read them; rounded up, so that a status is not written for every page.
fn size(bytes: u64) -> String {
    const MI: u64 = 1 << 20;
    match bytes.div_ceil(MI) {
        mi if mi >= 10 * 1024 => format!("{}Gi", mi.div_ceil(1024)),
        mi => format!("{mi}Mi"),
    }
}

#[cfg(test)]
mod tests;
