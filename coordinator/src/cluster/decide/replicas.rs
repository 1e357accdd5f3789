//! How many pods, and which of them go: the next step of a cluster that was founded.
//!
//! ```text
//!   Stop, End ──▶ replicas 0 ──▶ no pod left ──▶ End: the incarnation is over
//!   Run(n)
//!     no StatefulSet        ──▶ made (again): as below, and at least as many as there are pods
//!     no replicas           ──▶ wake: one above the highest member, and only then scale
//!     fewer than members    ──▶ put back
//!     fewer than n          ──▶ n at once, while a quorum serves: agents queue themselves
//!     more than n           ──▶ one above the highest that is not proven to be gone
//!     a pod that has left, wanted again ──▶ deleted: its successor joins
//!     settled               ──▶ pods with an old template are replaced
//! ```
//! Only the desired size and the pod template cause anything here. A pod that went away, a silent agent, an old status:
//! none of them does. What cannot be undone by waiting is decided twice, on the cache and again on live reads.

use std::time::Duration;

use crate::cluster::{
    decide::{
        membership::Membership,
        places, rollout,
        step::{Deletion, Step, Waiting, Why},
        target::Target,
        waiting,
    },
    facts::{Facts, Set},
};

/// How long the coordinator waits for a leader before it raises replicas without a list of members. Longer than an
/// election.
pub const RAISE_AFTER: Duration = Duration::from_secs(4);

/// The next step of a cluster that was founded. `leaderless`: for how long none has been known to lead.
#[must_use]
pub fn next(target: Target, membership: &Membership, facts: &Facts, leaderless: Duration) -> Step {
    match (target, &facts.set) {
        (Target::Run(size), Some(set)) if set.replicas > 0 => run(size, set, membership, facts, leaderless),
        (Target::Run(size), None) => Step::SetReplicas(awake(size, membership, facts).max(orphans(facts))),
        (Target::Run(size), Some(_)) => Step::SetReplicas(awake(size, membership, facts)),
        (Target::Rest, None) => Step::Nothing,
        (Target::Stop | Target::End(_), None) => Step::SetReplicas(0),
        (Target::Stop | Target::End(_) | Target::Rest, Some(set)) if set.replicas > 0 => Step::SetReplicas(0),
        (Target::Stop | Target::End(_) | Target::Rest, Some(_)) if facts.pods().next().is_some() => stopping(facts),
        (Target::End(why), Some(_)) => Step::End(why),
        (Target::Stop | Target::Rest, Some(_)) => Step::Nothing,
    }
}

fn run(size: u32, set: &Set, membership: &Membership, facts: &Facts, leaderless: Duration) -> Step {
    replicas(size, set.replicas, membership, facts, leaderless)
        .map(Step::SetReplicas)
        .or_else(|| wanted_again(size, facts))
        .unwrap_or_else(|| {
            // Without a quorum each member is needed, also one that is to leave.
            let row = if facts.serves() { set.replicas.min(size) } else { set.replicas };
            rollout::next(set, row, membership, facts, waiting::pending(size, membership, facts))
        })
}

/// The number of replicas, where it must change.
fn replicas(size: u32, now: u32, membership: &Membership, facts: &Facts, leaderless: Duration) -> Option<u32> {
    let (least, serves) = (membership.least(), facts.serves());
    if now < least && (membership.list.is_some() || (!serves && leaderless >= RAISE_AFTER)) {
        return Some(least);
    }
    // Fewer than wanted for long would be an even number of them, for nothing.
    if now < size && serves && places::foreign(facts).is_none() {
        let vacant = (now..size).take_while(|ordinal| waiting::is_vacant(*ordinal, membership, facts));
        return vacant.last().map(|ordinal| ordinal + 1);
    }
    let target = size.max(membership.floor());
    (target < now).then_some(target)
}

/// How many pods a stopped cluster gets: its members, however many are wanted. Of one whose EtcdMember is gone its
/// volume tells, at a place that is wanted: others may have been kept. Without any EtcdMember all volumes tell.
fn awake(size: u32, membership: &Membership, facts: &Facts) -> u32 {
    let nameless = |ordinal: &u32| {
        facts.claims.get(ordinal).is_some_and(|claim| !claim.deleting) && facts.slot(*ordinal).member.is_none()
    };
    match membership.least() {
        0 => facts.claims.keys().map(|ordinal| ordinal + 1).max().unwrap_or(0).max(size),
        members => (0..size).rfind(nameless).map_or(members, |ordinal| members.max(ordinal + 1)),
    }
}

/// One above the highest pod that a StatefulSet has left behind: the next one takes it back, and would delete it if it
/// had fewer replicas.
fn orphans(facts: &Facts) -> u32 {
    facts.pods().filter(|(_, pod)| !pod.deleting).map(|(ordinal, _)| ordinal + 1).max().unwrap_or(0)
}

/// Pods whose members have left for good, at places that are wanted again.
fn wanted_again(size: u32, facts: &Facts) -> Option<Step> {
    let left = facts.slots.range(..size).filter(|(_, slot)| slot.has_left() && !slot.is_held());
    let pods = left.filter_map(|(_, slot)| slot.pod.as_ref().filter(|pod| !pod.deleting));
    let deletions: Vec<Deletion> =
        pods.map(|p| Deletion { name: p.name.clone(), uid: p.uid.clone(), why: Why::WantedAgain }).collect();
    (!deletions.is_empty()).then_some(Step::Replace(deletions))
}

fn stopping(facts: &Facts) -> Step {
    let names: Vec<&str> = facts.pods().map(|(_, pod)| pod.name.as_str()).collect();
    Step::Wait(Waiting::new("Stopping", format!("waiting for {} to go", names.join(", "))))
}

#[cfg(test)]
mod tests;
