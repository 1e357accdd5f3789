//! What the membership still has to go through, in words that a newcomer understands.

use etcd_operator_shared::{
    api::{EtcdCluster, member::MemberPhase},
    names,
};
use kube::ResourceExt;

use crate::cluster::{
    decide::{
        membership::{Membership, Proof, Standing},
        places,
        step::Waiting,
    },
    facts::{Facts, Readiness},
};

/// The first thing that keeps the membership from being what is wanted, or `None` when it is settled.
#[must_use]
pub fn pending(size: u32, membership: &Membership, facts: &Facts) -> Option<Waiting> {
    let name = |ordinal: u32| names::member(&facts.cluster, ordinal);
    let surplus = membership.standings.keys().copied().filter(|k| *k >= size && !membership.is_gone(*k)).max();
    if let Some(ordinal) = surplus {
        return Some(leaving(&name(ordinal), ordinal, facts));
    }
    if facts.replicas() < membership.least() && membership.list.is_none() {
        return Some(Waiting::new("WaitingForLeader", "waiting for a leader to say who is a member"));
    }
    if facts.replicas() < size {
        return Some(room(size, membership, facts));
    }
    if facts.replicas() > size {
        return Some(Waiting::new("MemberLeaving", format!("{} has left, its pod goes", name(facts.replicas() - 1))));
    }
    let voters = membership.voters()?;
    if let Some(joiner) = (0..size).map(name).find(|name| !voters.contains(name.as_str())) {
        return Some(joining(&joiner, membership));
    }
    let stranger = membership.list.iter().flatten().find(|e| (0..size).map(name).all(|name| name != e.name))?;
    Some(Waiting::new("MemberLeaving", format!("the cluster still lists {}", stranger.name)))
}

/// What keeps a cluster that is deleted from being gone. Nothing of it is made or repaired any more.
#[must_use]
pub fn deletion(cluster: &EtcdCluster) -> Waiting {
    let message = match cluster.finalizers() {
        [] => "being deleted".to_owned(),
        [one] => format!("being deleted, waits for finalizer {one}"),
        some => format!("being deleted, waits for finalizers {}", some.join(", ")),
    };
    Waiting::new("Deleting", message)
}

fn leaving(name: &str, ordinal: u32, facts: &Facts) -> Waiting {
    let message = match facts.slot(ordinal).readiness() {
        Readiness::NotReady(said) if said.phase == Some(MemberPhase::Leaving) => format!("{name} is leaving"),
        _ if !facts.serves() => format!("{name} cannot leave while no quorum serves"),
        Readiness::Absent | Readiness::Down | Readiness::Unknown => {
            format!("{name} is silent and waits to be removed by the leader")
        }
        Readiness::Ready(_) | Readiness::NotReady(_) => format!("waiting for {name} to leave"),
    };
    Waiting::new("MemberLeaving", message)
}

fn joining(name: &str, membership: &Membership) -> Waiting {
    let message = match membership.list.iter().flatten().find(|entry| entry.name == name) {
        Some(entry) => format!("{name} catches up as learner {}", entry.id),
        None => format!("waiting for {name} to join"),
    };
    Waiting::new("MemberJoining", message)
}

/// Why replicas do not rise at once.
fn room(size: u32, membership: &Membership, facts: &Facts) -> Waiting {
    if !facts.serves() {
        let message = format!("{size} members are wanted: the others are added once a quorum serves");
        return Waiting::new("WaitingForQuorum", message);
    }
    let held = (facts.replicas()..size).find(|ordinal| !is_vacant(*ordinal, membership, facts));
    let name = names::member(&facts.cluster, held.unwrap_or(size));
    if let Some(taken) = held.and_then(|ordinal| places::taken(ordinal, facts)) {
        return places::waits(&taken);
    }
    if held.is_some_and(|ordinal| facts.is_leaving(ordinal)) {
        let claim = names::volume_claim(&name);
        return Waiting::new(
            "VolumeLeaving",
            format!("PersistentVolumeClaim {claim} of a former {name} is being deleted"),
        );
    }
    Waiting::new("MemberLeaving", format!("the former {name} is being cleared away"))
}

/// Whether a new pod may take this place: what is left of a member that has left is cleared away first, so that nothing
/// of it is deleted under its successor.
#[must_use]
pub fn is_vacant(ordinal: u32, membership: &Membership, facts: &Facts) -> bool {
    let left = membership.standings.get(&ordinal) == Some(&Standing::Gone(Proof::Left));
    !left && !facts.is_leaving(ordinal) && places::taken(ordinal, facts).is_none()
}
