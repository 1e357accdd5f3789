//! What to clear away after a member has left: its volume, as the user wants it, and its EtcdMember.
//!
//! ```text
//!   Gone, no replica, no pod ──▶ its address is no longer told ──▶ volume deleted or kept ──▶ EtcdMember deleted
//! ```
//! Each by UID, decided on live reads, and only when a list that was read after the pod had gone (after the leader's agent knew
//! the addresses without it) does not name it, whatever it has said itself. An EtcdMember beyond the replicas is the sign that this is not done: before its
//! ordinal gets a pod again, it is.

use etcd_operator_shared::{api::member::Peer, names};
use kube::ResourceExt;

use crate::{
    facts::Facts,
    membership::{Membership, Proof, Standing},
};

/// One member to clear away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    pub ordinal: u32,
    pub name: String,
    /// UID of its EtcdMember.
    pub uid: String,
    pub proof: Proof,
}

/// Those that are due. `size`: how many members are wanted.
#[must_use]
pub fn due(size: u32, membership: &Membership, facts: &Facts) -> Vec<Retired> {
    if !membership.fresh {
        return vec![];
    }
    let vacated = facts.seats.iter().filter(|(ordinal, seat)| **ordinal >= facts.replicas() && seat.pod.is_none());
    let retired = vacated.filter_map(|(ordinal, seat)| {
        let member = seat.member.as_ref()?;
        let name = member.name_any();
        let proof = match membership.standings.get(ordinal)? {
            Standing::Gone(Proof::Left) => Proof::Left,
            // Wanted again, its successor finds out what the volume is worth.
            Standing::Gone(Proof::Absent) if *ordinal >= size => Proof::Absent,
            Standing::Gone(Proof::Absent) | Standing::Member | Standing::Doubtful => return None,
        };
        Some(Retired { ordinal: *ordinal, name, uid: member.uid().unwrap_or_default(), proof })
    });
    retired.collect()
}

/// The list of addresses without those of members that are gone, and whose pods are. Their names are then never asked for.
#[must_use]
pub fn without(peers: &[Peer], membership: &Membership, facts: &Facts) -> Vec<Peer> {
    let stays = |peer: &&Peer| {
        names::ordinal(&facts.cluster, &peer.name).is_none_or(|ordinal| {
            ordinal < facts.replicas() || facts.seat(ordinal).pod.is_some() || !membership.is_gone(ordinal)
        })
    };
    peers.iter().filter(stays).cloned().collect()
}
