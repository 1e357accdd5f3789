//! Members that move to other volumes, because `spec.storage` names another class, or a smaller size.
//!
//! ```text
//!   claims are made otherwise than wanted, all is well, and the data fits
//!     ─▶ (latch)  status.moving says so, before anything is done
//!     ─▶ Release  the StatefulSet makes room for one with the wanted claims      its pods run on, nothing rolls
//!     ─▶ (spare)  one member more than wanted, on a volume of the new kind       what cannot be provided shows here: nobody has
//!                                                                                been touched by then
//!     ─▶ Renew    one after the other, the leader last, while everybody serves: the claim goes, then the pod; the member comes
//!                 back on a new volume as after the loss of a disk: removed by ID, a learner, a voter
//!     ─▶ (end)    all that are wanted serve from wanted volumes: the latch goes, and the spare leaves as after any fall of the size
//! ```
//! With the spare there are never fewer whole copies of the data than `spec.size`. A claim is deleted only while all members, the
//! spare among them, vote, serve, and see each other, on live reads; so no two are away at once, and none that is away holds what
//! the others do not. The old volume goes as its class's reclaim policy says.
//!
//! Nothing is remembered but that it is under way: whoever has a claim of another kind than wanted is next. So the wish may change at
//! any time, also back: then those that have moved move once more, and in the end all volumes are of one kind.

use std::cmp::Reverse;

use etcd_operator_shared::{
    api::cluster,
    names, quantity, quota,
    validate::{Volume, Wanted},
};

use crate::cluster::{
    decide::{
        growth::Growth,
        membership::Membership,
        step::{Deletion, Renewal, Step, Waiting, Why},
        volumes,
    },
    facts::{Claim, Facts, Readiness, Set, Source, Version},
};

/// Fewer have no quorum while one of them is away and a spare is there.
const LEAST: u32 = 3;

/// What becomes of the members' places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moving {
    /// What the status tells while it is under way.
    pub told: Option<cluster::Moving>,
    pub due: Due,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Due {
    #[default]
    Nothing,
    /// What there is must be read live.
    Look,
    Wait(Waiting),
    /// The StatefulSet of this version makes room for one with other claims.
    Release(Version),
    Renew(Renewal),
    /// Only a person can go on.
    Refused(String),
}

/// All that it depends on.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub wanted: &'a Wanted,
    /// How many members are wanted, without the spare.
    pub size: u32,
    /// What the status tells.
    pub latched: Option<&'a cluster::Moving>,
    /// Whether the membership is what the members are told, the spare included, and all serve and are settled.
    pub whole: bool,
    /// Whether nothing else is to be done.
    pub free: bool,
    pub membership: &'a Membership,
    pub facts: &'a Facts,
}

/// How many members there are to be, the spare included. It is made once the claims that are made are those wanted.
#[must_use]
pub fn with_spare(size: u32, wanted: &Volume, latched: Option<&cluster::Moving>, facts: &Facts) -> u32 {
    let told = facts.told().unwrap_or(size);
    match &facts.set {
        _ if latched.is_none() || size < LEAST => size,
        Some(set) if !set.deleting && !differs(set, wanted) => size + 1,
        Some(_) | None => told.clamp(size, size + 1),
    }
}

/// What is due next.
#[must_use]
pub fn next(view: View<'_>) -> Moving {
    let View { wanted, size, latched, facts, .. } = view;
    let Some(set) = facts.set.as_ref().filter(|set| !set.deleting) else {
        return Moving { told: latched.cloned(), due: Due::Nothing };
    };
    let differs = differs(set, &wanted.storage);
    if latched.is_none() && !differs {
        return Moving::default();
    }
    if facts.source == Source::Cache {
        return Moving { told: latched.cloned(), due: Due::Look };
    }
    let places = facts.claims.range(..=size).map(|(ordinal, claim)| (*ordinal, claim));
    // One that is on its way out goes with the next end of its pod, whatever is wanted by now.
    let goes = |claim: &Claim| claim.deleting || is_old(claim, &wanted.storage);
    let old: Vec<(u32, &Claim)> = places.filter(|(_, claim)| goes(claim)).collect();
    let moved = size - u32::try_from(old.iter().filter(|(ordinal, _)| *ordinal < size).count()).unwrap_or(size);
    let told = |moved| Some(told(&wanted.storage, moved, size));
    if let Some(objection) = objection(&view, &old) {
        return Moving { told: latched.and(told(moved)), due: Due::Refused(objection) };
    }
    if latched.is_none() {
        let due = if view.free && view.whole { Due::Wait(latch(&wanted.storage)) } else { Due::Wait(later()) };
        return Moving { told: told(moved).filter(|_| view.free && view.whole), due };
    }
    if !differs && moved == size && (0..size).all(|ordinal| has_moved(ordinal, &view)) {
        return Moving::default();
    }
    let finding = facts.findings.first().map(|finding| {
        Due::Refused(format!("no further member moves: {}; mend the class, or set spec.storage back", finding.words))
    });
    let due = under_way(&view, set, &old, differs).or(finding);
    let waits = || Due::Wait(progress(moved, size, "the next is touched when all serve"));
    Moving { told: told(moved), due: due.unwrap_or_else(waits) }
}

/// `None`: something else comes first.
fn under_way(view: &View<'_>, set: &Set, old: &[(u32, &Claim)], differs: bool) -> Option<Due> {
    let View { size, facts, .. } = *view;
    if differs {
        // Pods that wait for a volume that nobody provides are no reason to wait.
        let settled = view.free || old.iter().any(|(_, claim)| !claim.bound);
        return settled.then(|| Due::Release(set.version.clone()));
    }
    let renewal = |(ordinal, claim): (u32, &Claim)| {
        let pod = facts.slot(ordinal).pod.filter(|pod| !pod.deleting);
        let pod = pod.map(|pod| Deletion { name: pod.name, uid: pod.uid, why: Why::Moves });
        let gone = claim.deleting && pod.is_none();
        (!gone).then(|| Renewal { volume: volumes::moved(ordinal, claim, facts), pod })
    };
    // What was never provided holds nothing.
    if let Some(never) = old.iter().copied().filter(|(_, claim)| !claim.bound).find_map(renewal) {
        return Some(Due::Renew(never));
    }
    if !view.free || !is_safe(view) {
        return None;
    }
    let leader = facts.leader().map(|(ordinal, _)| ordinal);
    // What was begun is finished first. The spare proves what the others are given.
    let order =
        |(ordinal, claim): &(u32, &Claim)| (!claim.deleting, *ordinal < size, Some(*ordinal) == leader, Reverse(*ordinal));
    let next = old.iter().copied().min_by_key(order)?;
    renewal(next).map(Due::Renew)
}

/// Whether a member may go away with its volume: every member and the spare vote, serve, and are connected to the leader.
fn is_safe(View { size, whole, membership, facts, .. }: &View<'_>) -> bool {
    let names: Vec<String> = (0..=*size).map(|ordinal| names::member(&facts.cluster, ordinal)).collect();
    let vote = membership.voters().is_some_and(|voters| {
        voters.len() == names.len()
            && names.iter().all(|name| voters.contains(name.as_str()) && membership.connects(name))
    });
    let well = |ordinal: u32| match facts.slot(ordinal).readiness() {
        Readiness::Ready(said) => said.alarms.is_empty(),
        Readiness::Absent | Readiness::Down | Readiness::Unknown | Readiness::NotReady(_) => false,
    };
    *whole && vote && !membership.learns() && (0..=*size).all(well)
}

/// Whether a member serves, and votes, from a volume that stays.
fn has_moved(ordinal: u32, View { membership, facts, .. }: &View<'_>) -> bool {
    let votes =
        membership.voters().is_some_and(|voters| voters.contains(names::member(&facts.cluster, ordinal).as_str()));
    let stays = facts.claims.get(&ordinal).is_some_and(|claim| claim.bound && !claim.deleting);
    votes && stays && matches!(facts.slot(ordinal).readiness(), Readiness::Ready(said) if said.settled)
}

/// Why it cannot be, in words that say what can.
fn objection(View { wanted, size, latched, facts, .. }: &View<'_>, old: &[(u32, &Claim)]) -> Option<String> {
    let back = "or set spec.storage back";
    if *size < LEAST {
        return Some(format!(
            "the only member cannot move to other volumes, as nobody else holds its data meanwhile: set spec.size to 3, and to 1 \
             again when all have moved, {back}"
        ));
    }
    let databases = facts.slots.values().filter_map(|slot| slot.report()?.db_size).map(i64::unsigned_abs);
    let holds = databases.max().unwrap_or_default().max(wanted.etcd.quota_backend);
    if !quota::fits(holds, wanted.storage.bytes) {
        return Some(format!(
            "volumes of {} are too small for the databases, whose files may have {} MiB and need volumes of {} MiB: make \
             spec.storage.size larger",
            wanted.storage.size,
            holds >> 20,
            quota::needs(holds) >> 20
        ));
    }
    let left =
        old.iter().find(|(ordinal, claim)| *ordinal == *size && claim.bound && facts.slot(*ordinal).pod.is_none());
    let (_, claim) = left.filter(|(_, claim)| latched.is_none() && !claim.deleting)?;
    Some(format!("{}, which a former member has left, is in the way: delete it, {back}", claim.name))
}

/// Whether a claim is of another class than wanted, or larger, where volumes do not grow by themselves.
fn is_old(claim: &Claim, wanted: &Volume) -> bool {
    let Some(size) = &claim.size else { return false };
    let other = wanted.class.as_ref().is_some_and(|class| size.class.as_ref() != Some(class));
    other || (wanted.limits.is_none() && size.requested > wanted.bytes)
}

/// Whether new claims would be of another kind than wanted. Larger ones are for [`super::growth`].
fn differs(set: &Set, wanted: &Volume) -> bool {
    let class = wanted.class.as_ref().is_some_and(|class| set.storage.class.as_ref() != Some(class));
    let made = quantity::bytes(&set.storage.size);
    class || (wanted.limits.is_none() && made.is_ok_and(|made| made > wanted.bytes))
}

fn told(wanted: &Volume, moved: u32, members: u32) -> cluster::Moving {
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let (storage_class_name, size) = (wanted.class.clone(), wanted.size.clone());
    cluster::Moving { storage_class_name, size, moved: count(moved), members: count(members) }
}

fn later() -> Waiting {
    Waiting::new("Moving", "members move to other volumes once all of them serve and nothing else is under way")
}

fn latch(wanted: &Volume) -> Waiting {
    let class = wanted.class.as_ref().map(|class| format!(" of class {class}")).unwrap_or_default();
    Waiting::new("Moving", format!("members are to move to volumes of {}{class}, one after the other", wanted.size))
}

fn progress(moved: u32, members: u32, what: &str) -> Waiting {
    Waiting::new("Moving", format!("{moved} of {members} members have moved to other volumes: {what}"))
}

impl Moving {
    /// The step of the cluster, where it would else take this one.
    #[must_use]
    pub fn step(&self, step: Step) -> Step {
        let waits = |what: String| {
            let (moved, members) = self.told.as_ref().map(|told| (told.moved, told.members)).unwrap_or_default();
            let count = |n: i32| n.unsigned_abs();
            Step::Wait(progress(count(moved), count(members), &what))
        };
        match (step, &self.due) {
            (Step::Nothing | Step::Wait(_), Due::Renew(renewal)) => Step::Move(renewal.clone()),
            (Step::Nothing, Due::Wait(waiting)) => Step::Wait(waiting.clone()),
            (Step::Nothing, Due::Release(_)) => waits("the StatefulSet is made again, its pods run on".to_owned()),
            (Step::Wait(waiting), _) if self.told.is_some() => waits(waiting.message),
            (step, Due::Nothing | Due::Look | Due::Wait(_) | Due::Release(_) | Due::Renew(_) | Due::Refused(_)) => step,
        }
    }

    /// What is due about claims, where they are not to grow.
    #[must_use]
    pub fn growth(&self) -> Growth {
        match &self.due {
            Due::Release(version) => Growth::Release(version.clone()),
            Due::Nothing | Due::Look | Due::Wait(_) | Due::Renew(_) | Due::Refused(_) => Growth::None,
        }
    }

    /// Why nothing more moves.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        match &self.due {
            Due::Refused(words) => Some(words.clone()),
            Due::Nothing | Due::Look | Due::Wait(_) | Due::Release(_) | Due::Renew(_) => None,
        }
    }

    /// Whether volumes are, or are to be, of another kind: then none grows.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests;
