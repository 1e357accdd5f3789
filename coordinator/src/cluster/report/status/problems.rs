//! Who is to blame: what keeps pods and volumes from being made, the troubles of pods and members, the gravest first.

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_shared::{
    api::{EtcdMemberStatus, member::MemberPhase},
    names,
    quorum::tolerance,
};

use crate::cluster::{
    decide::{membership::Membership, refusal},
    facts::{
        Facts, Readiness, Slot,
        findings::Question,
        pod_trouble::{self, shorten},
    },
};

/// One problem, named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub reason: String,
    pub message: String,
    /// Whether it lasts until a person acts.
    pub held: bool,
}

/// Whether a reason, unlike what members go through when a cluster comes up, may well stay until somebody acts.
pub fn lasts(reason: &str) -> bool {
    const OF_MEMBERS: [&str; 7] =
        [QUORUM_LOST, PODS_REFUSED, "MemberHeld", "MemberFailing", "MemberUnreadable", AGENT_DEAF, "AlarmRaised"];
    OF_MEMBERS.contains(&reason)
        || pod_trouble::Reason::ALL.iter().any(|r| r.as_str() == reason)
        || refusal::REASONS.contains(&reason)
}

/// All problems: those that wait for a person, then what is not made, then those of pods, then those of members. `incarnation`: the number of
/// the present one.
pub fn of(facts: &Facts, membership: &Membership, incarnation: i64) -> Vec<Problem> {
    let voters = membership.electorate(facts);
    let lost = lost(facts, &voters);
    let beyond = lost.len() > tolerance(voters.len());
    let whole = beyond.then(|| quorum_lost(facts, &voters, &lost, incarnation));
    let members = || {
        let each = facts.slots.iter().filter(|(ordinal, _)| !beyond || !lost.contains_key(ordinal));
        each.filter_map(|(_, slot)| member(slot))
    };
    let pods = facts.pods().filter_map(|(_, pod)| pod.trouble.as_ref());
    let pods = pods.map(|trouble| Problem {
        reason: trouble.reason.as_str().to_owned(),
        message: trouble.message.clone(),
        held: false,
    });
    let held = members().filter(|p| p.held);
    let findings = facts.findings.iter().map(|finding| Problem {
        reason: reason_of(&finding.question).to_owned(),
        message: finding.words.clone(),
        held: false,
    });
    whole.into_iter().chain(held).chain(findings).chain(pods).chain(members().filter(|p| !p.held)).collect()
}

/// Reason of the gravest problem: so many members have lost their data that the others are no quorum.
const QUORUM_LOST: &str = "QuorumLost";

/// Reason of agents whose token is refused.
const AGENT_DEAF: &str = "AgentDeaf";

/// Reason of pods that their StatefulSet cannot make.
const PODS_REFUSED: &str = "PodsRefused";

fn reason_of(question: &Question) -> &'static str {
    match question {
        Question::Pods { .. } => PODS_REFUSED,
        Question::Volume { .. } => pod_trouble::Reason::VolumePending.as_str(),
    }
}

/// Why a member is held whose etcd a person has stopped: nobody else needs to act.
const HELD_BY_SPEC: &str = "HeldBySpec";

/// Why a member is held whose data is gone: with a quorum of the others it is replaced by itself, under a new ID.
const LOST: [&str; 3] = ["DataLost", "VolumeLost", "NoProofOfFirstStart"];

/// The voters that say that their data is gone, each with its own words.
fn lost<'a>(facts: &'a Facts, voters: &BTreeSet<u32>) -> BTreeMap<u32, &'a EtcdMemberStatus> {
    let said = facts.slots.iter().filter(|(ordinal, _)| voters.contains(ordinal));
    let held = said.filter_map(|(ordinal, slot)| match slot.readiness() {
        Readiness::NotReady(said) if is_lost(said) => Some((*ordinal, said)),
        Readiness::NotReady(_) | Readiness::Ready(_) | Readiness::Absent | Readiness::Down | Readiness::Unknown => None,
    });
    held.collect()
}

fn is_lost(said: &EtcdMemberStatus) -> bool {
    said.phase == Some(MemberPhase::Held) && LOST.contains(&said.reason.as_str())
}

fn quorum_lost(
    facts: &Facts,
    voters: &BTreeSet<u32>,
    lost: &BTreeMap<u32, &EtcdMemberStatus>,
    incarnation: i64,
) -> Problem {
    let name = |ordinal: &u32| names::member(&facts.cluster, *ordinal);
    let each = lost.iter().map(|(ordinal, said)| {
        let words = if said.message.is_empty() { &said.reason } else { &said.message };
        format!("{} ({}: {})", name(ordinal), said.reason, shorten(words))
    });
    let rest: Vec<String> = voters.iter().filter(|ordinal| !lost.contains_key(ordinal)).map(name).collect();
    let rest = match rest.as_slice() {
        [] => "no member is left".to_owned(),
        [one] => format!("{one} alone is no quorum"),
        some => format!("{} are no quorum", some.join(", ")),
    };
    let gone: Vec<String> = lost.keys().map(name).collect();
    let way = if gone.len() < voters.len() {
        let gone = gone.join(", ");
        format!(
            "or go on with what the others hold: an EtcdRestore with source.survivors.lost: [{gone}] and \
             replacesIncarnation: {incarnation}"
        )
    } else {
        format!("or restore a backup: an EtcdRestore with replacesIncarnation: {incarnation}")
    };
    let message = format!(
        "{} of {} members have lost their data: {}; {rest}. Bring their volumes back, {way}; with \
         spec.recovery.abandonIncarnation: {incarnation} the cluster begins again, empty",
        lost.len(),
        voters.len(),
        each.collect::<Vec<_>>().join(", "),
    );
    Problem { reason: QUORUM_LOST.to_owned(), message, held: true }
}

/// What a member's own agent says is wrong with it, or why it is not heard.
fn member(slot: &Slot) -> Option<Problem> {
    if let (Some(words), Some(member)) = (slot.unreadable(), &slot.member) {
        let message =
            format!("EtcdMember {} cannot be read, so its agent is not heard: {}", member.name, shorten(words));
        return Some(Problem { reason: "MemberUnreadable".to_owned(), message, held: false });
    }
    if let (true, Some(member)) = (slot.is_deaf(), &slot.member) {
        let (name, account) = (&member.name, names::agent_account(&member.spec.cluster_name));
        let message = format!(
            "member {name}: its agent is not heard since ServiceAccount {account} was made anew: the API server refuses \
             its token until kubelet has renewed it, within some ten minutes, or until the pod is deleted"
        );
        return Some(Problem { reason: AGENT_DEAF.to_owned(), message, held: false });
    }
    let Readiness::NotReady(said) = slot.readiness() else { return None };
    let name = &slot.pod.as_ref()?.name;
    let words = shorten(if said.message.is_empty() { &said.reason } else { &said.message });
    if words.is_empty() {
        return None;
    }
    let (reason, held, message) = match said.phase? {
        // It heals by itself once a quorum of the others answers.
        MemberPhase::Held if is_lost(said) => (said.reason.clone(), false, format!("member {name}: {words}")),
        MemberPhase::Held if said.reason == HELD_BY_SPEC => {
            (said.reason.clone(), false, format!("member {name}: {words}"))
        }
        MemberPhase::Held => ("MemberHeld".to_owned(), true, format!("member {name} is held: {words}")),
        MemberPhase::Failing => {
            let flags = said.last_exit.as_ref().is_some_and(|exit| exit.class == "WrongFlags");
            ("MemberFailing".to_owned(), flags, format!("member {name}: {words}"))
        }
        MemberPhase::Left => return None,
        MemberPhase::Waiting
        | MemberPhase::Starting
        | MemberPhase::Joining
        | MemberPhase::Running
        | MemberPhase::Leaving => (said.reason.clone(), false, format!("member {name}: {words}")),
    };
    Some(Problem { reason: camel(&reason), message, held })
}

/// A condition's reason must be a CamelCase word; what an agent of another version sends may not be one.
pub fn camel(reason: &str) -> String {
    let word: String = reason.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if word.starts_with(|c: char| c.is_ascii_alphabetic()) { word } else { "MemberNotReady".into() }
}
