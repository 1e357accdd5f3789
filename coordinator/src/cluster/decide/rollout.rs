//! Which pods get new next, because their shape is old: the template says another ([`crate::cluster::facts::shape`]).
//!
//! ```text
//!   old pods that do no work and cannot   ─▶ all of them at once: nothing is lost by it
//!   an old pod that does not serve        ─▶ alone, while all others serve; or all such when nobody serves
//!   an old pod that serves                ─▶ alone, while the membership is what is wanted, and everybody serves and is
//!                                            settled; the leader last
//!   anything silent                       ─▶ waited for: silence is not death
//! ```
//! One that serves, and differs in its etcd alone, gets the new one in its pod where its agent can go on with it:
//! another image by a swap of its container, other options by a turn, another start of etcd by its agent. All others
//! are replaced. Before a pod goes in which etcd runs, the API server is asked once whether it would take one of the
//! newest template; before one that serves, throw-away pods try it ([`trial`]): for a swap on its own node, so that the
//! image is there. A pod whose member is held is not replaced, and neither are the others meanwhile that serve. Never
//! two serving pods in one step, never a serving one while any member is not ready and settled.

use std::collections::BTreeSet;

use etcd_operator_shared::{
    api::member::{MemberPhase, Role},
    names,
};

use crate::cluster::{
    decide::{
        membership::Membership,
        step::{Deletion, Look, Step, Swap, Turn, Waiting, Why},
        trial,
    },
    facts::{Facts, Pod, Readiness, Set, Slot, Source, rehearsal::Answer, trial::Place},
};

/// What a slot is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// No pod, or it is on its way out.
    Absent,
    /// Its etcd does not run.
    Dead,
    /// Its etcd runs, or may, and does not serve.
    Idle,
    Silent,
    Serves {
        leads: bool,
        settled: bool,
    },
}

/// The next step of a roll over the first `row` pods. `pending`: what keeps the membership from being settled.
#[must_use]
pub fn next(set: &Set, row: u32, membership: &Membership, facts: &Facts, pending: Option<Waiting>) -> Step {
    if facts.pods().next().is_none() {
        return pending.map_or(Step::Nothing, Step::Wait);
    }
    if set.newest.is_none() {
        let unseen = || Waiting::new("RollWaits", "the StatefulSet's controller has not seen the newest template");
        return Step::Wait(pending.unwrap_or_else(unseen));
    }
    if facts.source == Source::Cache && facts.pods().any(|(_, pod)| pod.unmarked) {
        // Only a live look holds them against the template.
        return Step::Look(Look::Live);
    }
    let voters = membership.voters();
    let slots: Vec<Slot> = (0..row).map(|ordinal| facts.slot(ordinal)).collect();
    let row: Vec<(Option<&Pod>, Work)> =
        slots.iter().map(|slot| (slot.pod.as_ref(), work(slot, voters.as_ref()))).collect();
    let old: Vec<(&Pod, Work)> = row
        .iter()
        .zip(&slots)
        .filter(|(_, slot)| !slot.has_left() && !slot.is_held())
        .filter_map(|((pod, work), _)| Some((pod.filter(|p| is_old(p, *work, set) && !p.deleting)?, *work)))
        .collect();
    if old.is_empty() {
        return pending.or_else(|| changing(&slots)).map_or(Step::Nothing, Step::Wait);
    }
    let dead: Vec<Deletion> = pick(&old, Why::CannotServe, |work| work == Work::Dead);
    if !dead.is_empty() {
        return Step::Replace(dead);
    }
    let works: Vec<Work> = row.iter().map(|(_, work)| *work).collect();
    match (idle(&old, &works), pending) {
        (Some(step), _) => rehearsed(step, facts),
        (None, Some(pending)) => Step::Wait(pending),
        (None, None) => match serving(&old, &works, set, facts) {
            Some((step, places)) => match facts.rehearsed() {
                Some(taken @ (Answer::Taken | Answer::Unclear)) => trial::before(step, &places, taken, facts),
                Some(Answer::Refused(_)) | None => rehearsed(step, facts),
            },
            None => Step::Wait(changing(&slots).unwrap_or_else(|| Waiting::new("RollWaits", waiting(&row)))),
        },
    }
}

/// No pod in which etcd runs is given up for one that could not be made.
fn rehearsed(step: Step, facts: &Facts) -> Step {
    match facts.rehearsed() {
        None => Step::Look(Look::Template),
        Some(Answer::Taken | Answer::Unclear) => step,
        Some(Answer::Refused(_)) => {
            let message = "no pod is replaced while the API server refuses those that would come";
            Step::Wait(Waiting::new("TemplateRefused", message))
        }
    }
}

/// Whether a pod is replaced. Where not even etcd's container runs, another agent alone is reason enough: the first start of a
/// pod goes wrong without one.
fn is_old(pod: &Pod, work: Work, set: &Set) -> bool {
    let outdated = set.agent.as_ref().is_some_and(|newest| pod.agent.image != *newest);
    set.newest.as_ref() != Some(&pod.shape) || (work == Work::Dead && !pod.etcd_runs && outdated)
}

/// Old pods that run and do not serve: alone among serving ones, or all together where nobody serves.
fn idle(old: &[(&Pod, Work)], works: &[Work]) -> Option<Step> {
    let deletions = pick(old, Why::DoesNotServe, |work| work == Work::Idle);
    let serving = works.iter().filter(|w| matches!(w, Work::Serves { .. })).count();
    let idle = works.iter().filter(|w| **w == Work::Idle).count();
    let alone = idle == 1 && serving + 1 == works.len();
    let nobody = idle == works.len();
    (!deletions.is_empty() && (alone || nobody)).then_some(Step::Replace(deletions))
}

/// The next serving pod: the highest follower, or the leader when no other is old. And where the template is tried
/// before.
fn serving(old: &[(&Pod, Work)], works: &[Work], set: &Set, facts: &Facts) -> Option<(Step, Vec<Place>)> {
    let all_settled = works.iter().all(|w| matches!(w, Work::Serves { settled: true, .. }));
    let leader_known = works.iter().any(|w| matches!(w, Work::Serves { leads: true, .. }));
    if !all_settled || !leader_known {
        return None;
    }
    let followers = pick(old, Why::Follower, |work| matches!(work, Work::Serves { leads: false, .. }));
    let leader = pick(old, Why::LeaderLast, |work| matches!(work, Work::Serves { leads: true, .. }));
    let deletion = followers.into_iter().next_back().or_else(|| leader.into_iter().next())?;
    let swaps: Vec<(u32, Swap)> = old.iter().filter_map(|(pod, _)| swap(pod, set, facts)).collect();
    match swaps.iter().find(|(_, swap)| swap.uid == deletion.uid) {
        Some((_, swap)) => {
            let step = Step::Swap(Swap { why: deletion.why, ..swap.clone() });
            Some((step, swaps.iter().map(|(ordinal, _)| Place::Beside(*ordinal)).collect()))
        }
        None => Some((turn(&deletion, set, facts).unwrap_or(Step::Replace(vec![deletion])), vec![Place::Anywhere])),
    }
}

/// How the etcd of an old pod gets the newest options while it stays; `None` where the pod must be replaced. Options
/// that one has refused are given to no other.
fn turn(deletion: &Deletion, set: &Set, facts: &Facts) -> Option<Step> {
    let ordinal = names::ordinal(&facts.cluster, &deletion.name)?;
    let slot = facts.slots.get(&ordinal)?;
    let pod = slot.pod.as_ref().filter(|pod| set.frame.is_some() && set.frame == pod.frame)?;
    let (options, said) = (set.options.clone()?, slot.report()?);
    if set.etcd.is_none() || pod.asked != set.etcd || said.options.is_none() {
        return None;
    }
    if let Some(slot) = facts.refusing() {
        let name = slot.pod.as_ref().map_or_else(String::new, |pod| pod.name.clone());
        let message = format!("no other member gets the options that etcd of {name} has refused");
        return Some(Step::Wait(Waiting::new("OptionsRefused", message)));
    }
    let (name, uid, why) = (deletion.name.clone(), deletion.uid.clone(), deletion.why);
    Some(Step::Turn(Turn { name, ordinal, uid, options, why }))
}

/// How an old pod gets the newest etcd while it stays, with its ordinal; `None` where it must be replaced: more than
/// that differs, or its agent would not go on with another etcd. Kubelet restarts nothing for an image that it has
/// already. Where the options differ too, etcd would come back with the former ones, which the new one may not know.
fn swap(pod: &Pod, set: &Set, facts: &Facts) -> Option<(u32, Swap)> {
    let etcd = set.etcd.clone()?;
    let container = pod.etcd.id.clone().filter(|_| set.frame.is_some() && set.frame == pod.frame)?;
    let ordinal = names::ordinal(&facts.cluster, &pod.name)?;
    let slot = facts.slots.get(&ordinal)?;
    if !slot.report()?.swappable || !slot.has_options(set) {
        return None;
    }
    let trial = facts.trial(Place::Beside(ordinal)).map(|trial| trial.image.clone());
    let write = trial.filter(|image| !image.is_empty()).unwrap_or_else(|| etcd.image.clone());
    let (name, uid, why) = (pod.name.clone(), pod.uid.clone(), Why::Follower);
    (pod.etcd.image != write).then_some((ordinal, Swap { name, uid, etcd, write, container, why }))
}

/// The etcd that is being changed in its pod.
fn changing(slots: &[Slot]) -> Option<Waiting> {
    let slot = slots.iter().find(|slot| slot.is_changing())?;
    let pod = slot.pod.as_ref()?;
    let as_what = match &pod.etcd.swapped {
        Some(swapped) if slot.is_swapping() => format!("as {}", swapped.version),
        Some(_) | None if slot.is_reloading() => "with the new authorities".to_owned(),
        Some(_) | None => "with its new options".to_owned(),
    };
    Some(Waiting::new("EtcdUpdating", format!("etcd of {} restarts {as_what} in its pod", pod.name)))
}

fn pick(old: &[(&Pod, Work)], why: Why, such: impl Fn(Work) -> bool) -> Vec<Deletion> {
    let chosen = old.iter().filter(|(_, work)| such(*work));
    chosen.map(|(pod, _)| Deletion { name: pod.name.clone(), uid: pod.uid.clone(), why }).collect()
}

/// `voters`: names of those who have a vote, where that is known.
pub fn work(slot: &Slot, voters: Option<&BTreeSet<&str>>) -> Work {
    let Some(pod) = &slot.pod else { return Work::Absent };
    match slot.readiness() {
        Readiness::Absent => Work::Absent,
        // Not the etcd that is meant: what is said of it says nothing of what comes.
        Readiness::Ready(_) if slot.is_changing() => Work::Silent,
        Readiness::Ready(status) => {
            Work::Serves { leads: status.role == Some(Role::Leader), settled: status.settled && status.role.is_some() }
        }
        // Kubelet is believed about its containers: no etcd process, no vote. A pod that says it is ready is never
        // dead.
        Readiness::Down => Work::Dead,
        Readiness::NotReady(_) if !pod.ready && !pod.etcd_runs => Work::Dead,
        // No vote is lost by it.
        Readiness::NotReady(_) if !pod.ready && voters.is_some_and(|v| !v.contains(pod.name.as_str())) => Work::Dead,
        Readiness::NotReady(status) if !pod.ready => match status.phase {
            Some(MemberPhase::Failing | MemberPhase::Waiting) => Work::Dead,
            Some(
                MemberPhase::Starting
                | MemberPhase::Joining
                | MemberPhase::Running
                | MemberPhase::Held
                | MemberPhase::Leaving
                | MemberPhase::Left,
            )
            | None => Work::Idle,
        },
        // The agent's container fails: it cannot speak, and kubelet says why.
        Readiness::Unknown if pod.trouble.is_some() => Work::Idle,
        Readiness::Unknown | Readiness::NotReady(_) => Work::Silent,
    }
}

/// For whom the roll waits.
fn waiting(row: &[(Option<&Pod>, Work)]) -> String {
    let names = |such: fn(Work) -> bool| -> Vec<&str> {
        row.iter().filter(|(_, w)| such(*w)).map(|(pod, _)| pod.map_or("a missing pod", |p| p.name.as_str())).collect()
    };
    let unready = names(|w| !matches!(w, Work::Serves { .. }));
    let unsettled = names(|w| matches!(w, Work::Serves { settled: false, .. }));
    match (unready.as_slice(), unsettled.as_slice()) {
        ([], []) => "the roll waits until a leader is known".into(),
        ([], unsettled) => format!("the roll waits until {} sees all voters", unsettled.join(", ")),
        (unready, _) => format!("the roll waits for {}", unready.join(", ")),
    }
}

#[cfg(test)]
mod tests;
