//! One line a member.
//!
//! A line remembers two things of the line before it, for as long as the member is the same: the ID that a lost disk
//! takes from its agent before a successor has another, and that an ID which was added later than the founders' is a
//! learner's until it is heard to vote.

use etcd_operator_shared::{
    api::{
        EtcdMemberStatus,
        cluster::{Incarnation, MemberSummary},
        member::{MemberPhase, Role},
    },
    ids, names,
};
use kube::ResourceExt;

use super::Input;
use crate::cluster::facts::{Readiness, Slot};

/// Name of the member in a slot.
pub fn name(slot: &Slot) -> String {
    let member = slot.member.as_ref().map(|member| member.name.clone());
    member.or_else(|| slot.pod.as_ref().map(|p| p.name.clone())).unwrap_or_default()
}

/// The line of one slot.
pub fn summary(input: Input<'_>, slot: &Slot) -> MemberSummary {
    let (name, readiness) = (name(slot), slot.readiness());
    let status = input.cluster.status.as_ref();
    let old = status.and_then(|s| s.members.iter().find(|m| m.name == name && m.reason.as_deref() != Some("Left")));
    let noted = slot.member.as_ref().and_then(|m| m.status.as_ref());
    let id = noted.and_then(|s| s.member_id.clone()).or_else(|| old?.id.clone());
    let (ready, role, reason) = match readiness {
        Readiness::Ready(said) => ("True", said.role, None),
        Readiness::NotReady(said) => ("False", said.role, Some(why(said))),
        Readiness::Down => ("False", None, Some("NotStarted".to_owned())),
        Readiness::Unknown if slot.unreadable().is_some() => ("Unknown", None, Some("Unreadable".to_owned())),
        Readiness::Unknown => ("Unknown", None, Some("Silent".to_owned())),
        Readiness::Absent if noted.is_some_and(|s| s.left_pod_uid.is_some()) => {
            ("False", None, Some("Left".to_owned()))
        }
        Readiness::Absent => ("False", None, Some("NoPod".to_owned())),
    };
    let role = role.map(word).unwrap_or_else(|| unheard(input, slot, id.as_deref(), old));
    let trouble = slot.pod.as_ref().and_then(|p| p.trouble.as_ref()).map(|t| t.reason.as_str().to_owned());
    MemberSummary {
        name,
        id,
        role: role.to_owned(),
        ready: ready.to_owned(),
        reason: trouble.or(reason).filter(|r| !r.is_empty()),
    }
}

/// The role of a member that does not tell it.
fn unheard(input: Input<'_>, slot: &Slot, id: Option<&str>, old: Option<&MemberSummary>) -> &'static str {
    let name = &name(slot);
    let same = old.filter(|old| old.id.as_deref() == id);
    let learned = match (id, same) {
        (None, _) => false,
        (Some(_), Some(old)) => old.role == "Learner",
        (Some(id), None) => matches!(slot.readiness(), Readiness::NotReady(_)) && !is_founder(input, name, id),
    };
    match input.decision.membership.list.iter().flatten().find(|entry| entry.name == *name) {
        Some(entry) if entry.learner => "Learner",
        Some(entry) if learned && id == Some(&entry.id) => "Follower",
        Some(_) | None if learned => "Learner",
        Some(_) | None => "Unknown",
    }
}

/// Whether this is the ID that the member was to have when the cluster formed.
fn is_founder(input: Input<'_>, name: &str, id: &str) -> bool {
    let incarnation: Option<&Incarnation> = input.cluster.status.as_ref().and_then(|s| s.incarnation.as_ref());
    let (cluster, namespace) = (input.cluster.name_any(), input.cluster.namespace().unwrap_or_default());
    incarnation.is_none_or(|incarnation| {
        let url = names::peer_url(names::Scheme::of(incarnation.encrypted.peer), name, &cluster, &namespace);
        id == ids::initial_member(&url, &incarnation.token)
    })
}

/// Why a member is not ready; one that goes says so in these words and no others.
fn why(said: &EtcdMemberStatus) -> String {
    match said.phase {
        Some(MemberPhase::Leaving) => "Leaving".to_owned(),
        Some(MemberPhase::Left) => "Left".to_owned(),
        Some(
            MemberPhase::Waiting
            | MemberPhase::Starting
            | MemberPhase::Joining
            | MemberPhase::Running
            | MemberPhase::Held
            | MemberPhase::Failing,
        )
        // As long as a status takes it: what an agent of another version says may be longer.
        | None => said.reason.chars().take(64).collect(),
    }
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Leader => "Leader",
        Role::Follower => "Follower",
        Role::Learner => "Learner",
    }
}
