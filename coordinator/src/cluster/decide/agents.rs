//! Which pods get another agent while they run: kubelet restarts that container alone, and etcd goes on under its launcher.
//!
//! ```text
//!   an agent that does not work with its new image   ─▶ it has the former again; that image is left alone for a while, by the
//!                                                       template too ([`image`])
//!   an old one in a pod that does not serve          ─▶ changed at once: nothing is lost by it (OnRestart: one that does not run)
//!   an old one in a pod that serves                  ─▶ changed alone, while everybody serves, is settled, and the agent that was
//!                                                       changed last has shown that it works; the leader last
//! ```
//! Old is what the StatefulSet's template does not say: it is changed first, so that a pod which is made meanwhile is new.

use etcd_operator_shared::api::cluster::AgentUpdate;

use crate::cluster::{
    decide::{
        hold,
        membership::Membership,
        rollout::{Work, work},
        step::{Refresh, Step, Update, Waiting},
    },
    facts::{
        Facts, Pod,
        agent::{Agent, Refused},
    },
};

/// The image of a cluster's agents, where the coordinator's command line names this one: the one before while that did not
/// work here.
#[must_use]
pub fn image<'a>(named: &'a str, facts: &'a Facts) -> &'a str {
    let refuses = |pod: &&Pod| pod.agent.refused().is_some_and(|refused| refused.image == named);
    facts.pods().map(|(_, pod)| pod).find(refuses).map_or(named, |pod| &pod.agent.image)
}

/// The next step, where `step` is what else there is to do.
#[must_use]
pub fn next(step: Step, wish: AgentUpdate, membership: &Membership, facts: &Facts) -> Step {
    let (Step::Wait(_) | Step::Nothing) = step else { return step };
    let Some(newest) = facts.set.as_ref().and_then(|set| set.agent.as_deref()) else { return step };
    let voters = membership.voters();
    let row: Vec<(&Pod, Work)> = facts
        .slots
        .values()
        .filter(|slot| !slot.has_left())
        .filter_map(|slot| Some((slot.pod.as_ref().filter(|pod| !pod.deleting)?, work(slot, voters.as_ref()))))
        .collect();
    let failed: Vec<Refresh> = row.iter().filter_map(|(pod, work)| put_back(pod, *work)).collect();
    if !failed.is_empty() {
        return Step::Refresh(failed);
    }
    let refused = row.iter().find_map(|(pod, _)| Some((*pod, pod.agent.refused()?)));
    let tried = refused.is_none_or(|(_, refused)| refused.image != newest);
    let old = || row.iter().filter(|(pod, _)| tried && pod.agent.image != newest && !stays(pod, facts));
    let idle: Vec<Refresh> = old()
        .filter(|(pod, work)| match wish {
            AgentUpdate::Rolling => !matches!(work, Work::Serves { .. }),
            AgentUpdate::OnRestart => pod.agent.container.is_none(),
        })
        .map(|(pod, _)| refresh(pod, newest, Update::NotServing))
        .collect();
    match step {
        _ if !idle.is_empty() => Step::Refresh(idle),
        Step::Nothing => {
            let serving: Vec<_> = old().filter(|_| wish == AgentUpdate::Rolling).copied().collect();
            serves(&row, &serving, newest).unwrap_or_else(|| rest(refused, newest))
        }
        step => step,
    }
}

/// Whether its member is held: nothing in its pod is touched.
fn stays(pod: &Pod, facts: &Facts) -> bool {
    facts.slots.values().filter(|slot| hold::is_looked_at(slot)).any(|slot| slot.pod.as_ref() == Some(pod))
}

/// An image that does not work gives way to the one before it.
fn put_back(pod: &Pod, work: Work) -> Option<Refresh> {
    let change = pod.agent.change.as_ref().filter(|change| change.former != pod.agent.image)?;
    let silent = matches!(work, Work::Silent);
    let reason = pod.agent.failure(silent)?;
    Some(Refresh { write: change.written.clone(), ..refresh(pod, &change.former, Update::PutBack(reason)) })
}

/// The next one that serves: the highest follower, or the leader when no other is old.
fn serves(row: &[(&Pod, Work)], old: &[(&Pod, Work)], newest: &str) -> Option<Step> {
    let waits = |message: String| Some(Step::Wait(Waiting::new("AgentsUpdating", message)));
    if let Some((pod, _)) = row.iter().find(|(pod, _)| !pod.agent.is_proven()) {
        return waits(format!("the new agent of {} starts, etcd goes on", pod.name));
    }
    let next = old.iter().rfind(|(_, work)| !leads(*work)).map(|next| (next, Update::Follower));
    let ((pod, _), why) = next.or_else(|| old.first().map(|next| (next, Update::LeaderLast)))?;
    let settled = row.iter().find(|(_, work)| !matches!(work, Work::Serves { settled: true, .. }));
    match settled {
        Some((other, _)) => {
            waits(format!("{} gets its new agent when {} serves and sees all voters", pod.name, other.name))
        }
        None if !row.iter().any(|(_, work)| leads(*work)) => {
            waits(format!("{} gets its new agent when a leader is known", pod.name))
        }
        None => Some(Step::Refresh(vec![refresh(pod, newest, why)])),
    }
}

/// Nothing, or that the agents keep an image although another is named.
fn rest(refused: Option<(&Pod, &Refused)>, newest: &str) -> Step {
    let Some((pod, refused)) = refused.filter(|(pod, _)| pod.agent.image == newest) else { return Step::Nothing };
    let Refused { image, reason, until: _ } = refused;
    let message = format!(
        "the agent of {} did not work with image {image} ({reason}) and has {newest} again: it is tried again later, and at \
         once with another image",
        pod.name
    );
    Step::Wait(Waiting::new("AgentRefused", message))
}

fn leads(work: Work) -> bool {
    matches!(work, Work::Serves { leads: true, .. })
}

fn refresh(pod: &Pod, image: &str, why: Update) -> Refresh {
    let Agent { image: former, written, container, .. } = pod.agent.clone();
    let (name, uid) = (pod.name.clone(), pod.uid.clone());
    Refresh { name, uid, image: image.to_owned(), write: image.to_owned(), former, written, container, why }
}

#[cfg(test)]
mod tests;
