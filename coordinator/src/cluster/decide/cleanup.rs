//! What to clear away after a member has left: its volume, as the user wants it, and then its EtcdMember.
//!
//! A member is cleared away when (1) replicas are at or below its ordinal, (2) its pod is gone, and (3) a list lacks it
//! that the leader's agent read after it knew the addresses without that pod, whatever the member has said itself. The
//! EtcdMember is marked as retiring first, the volume goes next and the EtcdMember last: a place with a retiring one gets no pod,
//! whoever leads by then. Each by UID and as compare-and-swap, decided on live reads.

use etcd_operator_shared::{
    api::{cluster::Keep, member::Peer},
    names,
};

use crate::cluster::{
    decide::{
        membership::{Membership, Proof, Standing},
        volumes::{self, Fate},
    },
    facts::{Facts, Version},
};

/// One member to clear away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    pub ordinal: u32,
    pub name: String,
    /// UID of its EtcdMember, and the version that was read: whoever tells it of a new size meanwhile is not overlooked.
    pub uid: String,
    pub version: Option<String>,
    pub why: Why,
    /// What becomes of its volume, before its EtcdMember goes.
    pub volume: Fate,
}

/// Why it is cleared away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has left: so it says, or so the list shows.
    Gone(Proof),
    /// The cluster was stopped, and its incarnation is over.
    Stopped,
}

/// Those that are due. `size`: how many members are wanted.
#[must_use]
pub fn due(size: u32, when_scaled: Keep, membership: &Membership, facts: &Facts) -> Vec<Departed> {
    if !membership.fresh {
        return vec![];
    }
    let vacated = facts.slots.iter().filter(|(ordinal, slot)| **ordinal >= facts.replicas() && slot.pod.is_none());
    let departed = vacated.filter_map(|(ordinal, slot)| {
        let member = slot.member.as_ref()?;
        let proof = match membership.standings.get(ordinal)? {
            Standing::Gone(Proof::Left) => Proof::Left,
            // Wanted again, its successor finds out what the volume is worth.
            Standing::Gone(Proof::Absent) if *ordinal >= size || member.spec.retiring => Proof::Absent,
            Standing::Gone(Proof::Absent) | Standing::Member | Standing::Doubtful => return None,
        };
        Some(Departed {
            ordinal: *ordinal,
            name: member.name.clone(),
            uid: member.version.uid.clone().unwrap_or_default(),
            version: member.version.resource.clone(),
            why: Why::Gone(proof),
            volume: volumes::left_behind(when_scaled, *ordinal, facts),
        })
    });
    departed.collect()
}

/// All of an incarnation that a stop has ended. Its volumes are decided apart: some have no EtcdMember.
#[must_use]
pub fn stopped(facts: &Facts) -> Vec<Departed> {
    let departed = facts.slots.iter().filter_map(|(ordinal, slot)| {
        let member = slot.member.as_ref()?;
        let Version { uid, resource: version, generation: _ } = member.version.clone();
        let (name, uid) = (member.name.clone(), uid.unwrap_or_default());
        Some(Departed { ordinal: *ordinal, name, uid, version, why: Why::Stopped, volume: Fate::Gone })
    });
    departed.collect()
}

/// The list of addresses without those of members that are gone, and whose pods are. Their names are then never asked
/// for.
#[must_use]
pub fn without(peers: &[Peer], membership: &Membership, facts: &Facts) -> Vec<Peer> {
    let stays = |peer: &&Peer| {
        names::ordinal(&facts.cluster, &peer.name).is_none_or(|ordinal| {
            ordinal < facts.replicas() || facts.slot(ordinal).pod.is_some() || !membership.is_gone(ordinal)
        })
    };
    peers.iter().filter(stays).cloned().collect()
}
