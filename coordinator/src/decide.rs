//! What to do next, decided from facts alone.
//!
//! ```text
//!   Stop, End ──▶ replicas 0 ──▶ no pod left ──▶ End: the incarnation is over
//!   Run(n)
//!     no replicas           ──▶ wake: one above the highest member, and only then scale
//!     fewer than members    ──▶ put back
//!     fewer than n          ──▶ n at once, while a quorum serves: agents queue themselves
//!     more than n           ──▶ one above the highest that is not proven to be gone
//!     a pod that has left, wanted again ──▶ deleted: its successor joins
//!     settled               ──▶ pods with an old template are replaced
//! ```
//! Only the desired size and the pod template cause anything here. A pod that went away, a silent agent, an old status: none
//! of them does. What cannot be undone by waiting is decided twice, on the cache and again on live reads.

use std::time::Duration;

use etcd_operator_shared::{
    api::cluster::{End, EtcdCluster, Incarnation},
    validate::Wanted,
};

use crate::{
    aim::Aim,
    facts::{Facts, Set},
    membership::Membership,
    moves::{self, Pause},
    refusal::Refusal,
    replace::{self, Victim, Why},
};

/// Replicas that nobody can say to be too few, because none leads, are put back after this time: an election takes less.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The StatefulSet gets this many replicas.
    SetReplicas(u32),
    /// These pods are deleted, so that their successors come up with the newest template or join anew.
    Replace(Vec<Victim>),
    /// No pod is left, and the incarnation is over.
    End(End),
    /// Something is under way; the sentence says what.
    Wait(Pause),
    /// Everything is as it should be.
    Nothing,
}

impl Step {
    /// Whether it could not be taken back: then it is decided again on live reads.
    #[must_use]
    pub fn is_final(&self, facts: &Facts) -> bool {
        match self {
            Self::SetReplicas(n) => *n < facts.replicas(),
            Self::Replace(_) | Self::End(_) => true,
            Self::Wait(_) | Self::Nothing => false,
        }
    }
}

/// The next step of a cluster that was founded. `leaderless`: for how long none has been known to lead.
#[must_use]
pub fn decide(aim: Aim, membership: &Membership, facts: &Facts, leaderless: Duration) -> Step {
    match (aim, &facts.set) {
        (Aim::Run(size), Some(set)) if set.replicas > 0 => run(size, set, membership, facts, leaderless),
        (Aim::Run(size), _) => Step::SetReplicas(awake(size, membership, facts)),
        (Aim::Rest, None) => Step::Nothing,
        (Aim::Stop | Aim::End(_), None) => Step::SetReplicas(0),
        (Aim::Stop | Aim::End(_) | Aim::Rest, Some(set)) if set.replicas > 0 => Step::SetReplicas(0),
        (Aim::Stop | Aim::End(_) | Aim::Rest, Some(_)) if facts.pods().next().is_some() => stopping(facts),
        (Aim::End(why), Some(_)) => Step::End(why),
        (Aim::Stop | Aim::Rest, Some(_)) => Step::Nothing,
    }
}

fn run(size: u32, set: &Set, membership: &Membership, facts: &Facts, leaderless: Duration) -> Step {
    replicas(size, set.replicas, membership, facts, leaderless)
        .map(Step::SetReplicas)
        .or_else(|| wanted_again(size, facts))
        .unwrap_or_else(|| {
            // Without a quorum each member is needed, also one that is to leave.
            let row = if facts.serves() { set.replicas.min(size) } else { set.replicas };
            replace::next(set, row, membership, facts, moves::pending(size, membership, facts))
        })
}

/// The number of replicas, where it must change.
fn replicas(size: u32, now: u32, membership: &Membership, facts: &Facts, leaderless: Duration) -> Option<u32> {
    let (least, serves) = (membership.least(), facts.serves());
    if now < least && (membership.list.is_some() || (!serves && leaderless >= PATIENCE)) {
        return Some(least);
    }
    if now < size && serves {
        let vacant = (now..size).take_while(|ordinal| moves::is_vacant(*ordinal, membership, facts));
        return vacant.last().map(|ordinal| ordinal + 1);
    }
    let target = size.max(membership.floor());
    (target < now).then_some(target)
}

/// How many pods a stopped cluster gets: its members, however many are wanted. Of one whose EtcdMember is gone its volume
/// tells, at a place that is wanted: others may have been kept. Without any EtcdMember all volumes tell.
fn awake(size: u32, membership: &Membership, facts: &Facts) -> u32 {
    let nameless = |ordinal: &u32| facts.claims.get(ordinal) == Some(&false) && facts.seat(*ordinal).member.is_none();
    match membership.least() {
        0 => facts.claims.keys().map(|ordinal| ordinal + 1).max().unwrap_or(0).max(size),
        members => (0..size).rfind(nameless).map_or(members, |ordinal| members.max(ordinal + 1)),
    }
}

/// Pods whose members have left for good, at places that are wanted again.
fn wanted_again(size: u32, facts: &Facts) -> Option<Step> {
    let left = facts.seats.range(..size).filter(|(_, seat)| seat.has_left());
    let pods = left.filter_map(|(_, seat)| seat.pod.as_ref().filter(|pod| !pod.deleting));
    let victims: Vec<Victim> =
        pods.map(|p| Victim { name: p.name.clone(), uid: p.uid.clone(), why: Why::WantedAgain }).collect();
    (!victims.is_empty()).then_some(Step::Replace(victims))
}

fn stopping(facts: &Facts) -> Step {
    let names: Vec<&str> = facts.pods().map(|(_, pod)| pod.name.as_str()).collect();
    Step::Wait(Pause::new("Stopping", format!("waiting for {} to go", names.join(", "))))
}

/// What of the spec is not done although the rest is.
#[must_use]
pub fn objection(cluster: &EtcdCluster, wanted: &Wanted, life: &Incarnation, facts: &Facts) -> Option<Refusal> {
    let asked = cluster.spec.recovery.as_ref().map_or(0, |r| r.abandon_incarnation);
    if asked > life.number {
        return Some(Refusal::NoSuchIncarnation { asked, present: life.number });
    }
    let made = &facts.set.as_ref()?.storage.size;
    let grown = etcd_operator_shared::quantity::bytes(made).is_ok_and(|bytes| bytes != wanted.storage);
    let want = &cluster.spec.storage.size;
    grown.then(|| Refusal::GrowthUnsupported { have: made.clone(), want: want.clone() })
}

#[cfg(test)]
mod tests;
