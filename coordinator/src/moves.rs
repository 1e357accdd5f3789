//! What the membership still has to go through, in words that a newcomer understands.

use etcd_operator_shared::{api::member::MemberPhase, names};

use crate::{
    facts::{Facts, Voice},
    membership::{Membership, Proof, Standing},
};

/// Something is under way, and this is what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// CamelCase.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

impl Pause {
    #[must_use]
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The first thing that keeps the membership from being what is wanted, or `None` when it is settled.
#[must_use]
pub fn pending(size: u32, membership: &Membership, facts: &Facts) -> Option<Pause> {
    let name = |ordinal: u32| names::member(&facts.cluster, ordinal);
    let doomed = membership.standings.keys().copied().filter(|k| *k >= size && !membership.is_gone(*k)).max();
    if let Some(ordinal) = doomed {
        return Some(leaving(&name(ordinal), ordinal, facts));
    }
    if facts.replicas() < membership.least() && membership.list.is_none() {
        return Some(Pause::new("WaitingForLeader", "waiting for a leader to say who is a member"));
    }
    if facts.replicas() < size {
        return Some(room(size, membership, facts));
    }
    if facts.replicas() > size {
        return Some(Pause::new("MemberLeaving", format!("{} has left, its pod goes", name(facts.replicas() - 1))));
    }
    let voters = membership.voters()?;
    if let Some(joiner) = (0..size).map(name).find(|name| !voters.contains(name.as_str())) {
        return Some(joining(&joiner, membership));
    }
    let stranger = membership.list.iter().flatten().find(|e| (0..size).map(name).all(|name| name != e.name))?;
    Some(Pause::new("MemberLeaving", format!("the cluster still lists {}", stranger.name)))
}

fn leaving(name: &str, ordinal: u32, facts: &Facts) -> Pause {
    let message = match facts.seat(ordinal).voice() {
        Voice::NotReady(said) if said.phase == Some(MemberPhase::Leaving) => format!("{name} is leaving"),
        _ if !facts.serves() => format!("{name} cannot leave while no quorum serves"),
        Voice::Absent | Voice::Down | Voice::Unknown => {
            format!("{name} is silent and waits to be removed by the leader")
        }
        Voice::Ready(_) | Voice::NotReady(_) => format!("waiting for {name} to leave"),
    };
    Pause::new("MemberLeaving", message)
}

fn joining(name: &str, membership: &Membership) -> Pause {
    let message = match membership.list.iter().flatten().find(|entry| entry.name == name) {
        Some(entry) => format!("{name} catches up as learner {}", entry.id),
        None => format!("waiting for {name} to join"),
    };
    Pause::new("MemberJoining", message)
}

/// Why replicas do not rise at once.
fn room(size: u32, membership: &Membership, facts: &Facts) -> Pause {
    if !facts.serves() {
        let message = format!("{size} members are wanted: the others are added once a quorum serves");
        return Pause::new("WaitingForQuorum", message);
    }
    let held = (facts.replicas()..size).find(|ordinal| !is_vacant(*ordinal, membership, facts));
    let name = names::member(&facts.cluster, held.unwrap_or(size));
    if held.is_some_and(|ordinal| facts.claims.get(&ordinal) == Some(&true)) {
        let claim = names::volume_claim(&name);
        return Pause::new(
            "VolumeLeaving",
            format!("PersistentVolumeClaim {claim} of a former {name} is being deleted"),
        );
    }
    Pause::new("MemberLeaving", format!("the former {name} is being cleared away"))
}

/// Whether a new pod may take this place: what is left of a member that has left is cleared away first, so that nothing of it
/// is deleted under its successor.
#[must_use]
pub fn is_vacant(ordinal: u32, membership: &Membership, facts: &Facts) -> bool {
    let left = membership.standings.get(&ordinal) == Some(&Standing::Gone(Proof::Left));
    !left && facts.claims.get(&ordinal) != Some(&true)
}
