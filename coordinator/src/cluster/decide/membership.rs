//! Who is still a member, as far as it is proven.
//!
//! ```text
//!   no EtcdMember, no replica, on no list ─────────────────────▶ nobody
//!   an initial member, before the cluster has formed ──────────▶ Member
//!   its pod's own agent has said that it has left, and the pod
//!   is there, or went when replicas had fallen ────────────────▶ Gone
//!   on the leader's list, or there is no list ─────────────────▶ Member
//!   absent from a fresh list, and nobody speaks in its pod ────▶ Gone
//!   absent from a list otherwise ──────────────────────────────▶ Doubtful
//! ```
//! Only what is Gone lets replicas fall or anything be deleted; only a Member makes them rise again. A pod that goes
//! away, a silent agent, an old status prove nothing.

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_shared::{
    api::{
        cluster::Incarnation,
        member::{MemberEntry, MemberPhase, Peer, Role},
    },
    names,
    version::Downgrade,
};

use super::auth::Wish;
use crate::cluster::facts::{Facts, Member, Readiness, Slot};

/// What all members are to be told of what is wanted: the part of their spec that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    pub size: u32,
    pub stopped: bool,
    pub paused: bool,
    pub peers: Vec<Peer>,
    /// Ordinals that are told that they are held. No list depends on it.
    pub held: BTreeSet<u32>,
    /// What of etcd's downgrades; `None`: nothing new.
    pub downgrade: Option<Downgrade>,
    /// Where the founders of a cluster that is restored fetch what they begin with; `None`: nothing new.
    pub serves: Option<String>,
    /// What of etcd's users.
    pub auth: Wish,
}

/// The membership as known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The leader's list; `None` where none leads, or the leader has not told.
    pub list: Option<Vec<MemberEntry>>,
    /// Whether the list was read after the members knew the present wish.
    pub fresh: bool,
    pub standings: BTreeMap<u32, Standing>,
}

/// Whether one ordinal is a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Member,
    /// The leader's list lacks it, but the list may be old, or its pod's agent goes on.
    Doubtful,
    Gone(Proof),
}

/// Why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Left,
    /// Absent from a fresh list.
    Absent,
}

impl Desired {
    /// Whether this is what a member has been told.
    #[must_use]
    pub fn is_told_to(&self, member: &Member) -> bool {
        let told = &member.spec;
        let wish = (told.size, told.stopped, told.paused);
        wish == (self.size(), self.stopped, self.paused) && told.peers == self.peers
    }

    #[must_use]
    pub fn size(&self) -> i32 {
        i32::try_from(self.size).unwrap_or(i32::MAX)
    }
}

impl Membership {
    /// `formed`: whether the cluster is known to have formed. `desired`: what members are being told; without it no
    /// list is fresh.
    #[must_use]
    pub fn of(incarnation: &Incarnation, formed: bool, desired: Option<&Desired>, facts: &Facts) -> Self {
        let leader =
            facts.leader().and_then(|(_, member)| Some((member, member.status.as_ref()?.membership.as_ref()?)));
        let fresh = leader.is_some_and(|(member, list)| {
            member.version.generation == Some(list.generation)
                && desired.is_some_and(|desired| desired.is_told_to(member))
        });
        let list = leader.map(|(_, list)| list.members.clone());
        let mut this = Self { list, fresh, standings: BTreeMap::new() };
        let ordinals = |names: &[String]| -> Vec<u32> {
            names.iter().filter_map(|name| names::ordinal(&facts.cluster, name)).collect()
        };
        let founders = if formed || fresh { vec![] } else { ordinals(&incarnation.initial_members) };
        let occupied = facts.slots.iter().filter(|(_, slot)| slot.member.is_some()).map(|(ordinal, _)| *ordinal);
        let listed: Vec<String> = this.list.iter().flatten().map(|entry| entry.name.clone()).collect();
        let all: BTreeSet<u32> =
            occupied.chain(0..facts.replicas()).chain(ordinals(&listed)).chain(founders.clone()).collect();
        for ordinal in all {
            let founder = founders.contains(&ordinal);
            let standing = if founder { Standing::Member } else { this.standing(ordinal, facts) };
            this.standings.insert(ordinal, standing);
        }
        this
    }

    fn standing(&self, ordinal: u32, facts: &Facts) -> Standing {
        let slot = facts.slot(ordinal);
        if slot.has_left() {
            return Standing::Gone(Proof::Left);
        }
        // Only beyond the replicas: elsewhere a successor may have come, joined and gone without a word.
        let beyond = slot.pod.is_none() && facts.is_beyond(ordinal);
        let left = slot.member.as_ref().is_some_and(|m| m.status.as_ref().is_some_and(|s| s.left_pod_uid.is_some()));
        let listed = self.names(&names::member(&facts.cluster, ordinal));
        match &self.list {
            Some(_) if listed && beyond && left => Standing::Doubtful,
            _ if beyond && left => Standing::Gone(Proof::Left),
            None => Standing::Member,
            Some(_) if listed => Standing::Member,
            Some(_) if self.fresh && is_unheard(&slot) => Standing::Gone(Proof::Absent),
            Some(_) => Standing::Doubtful,
        }
    }

    /// Whether the list names this member.
    #[must_use]
    pub fn names(&self, member: &str) -> bool {
        self.list.iter().flatten().any(|entry| entry.name == member)
    }

    /// Whether the leader has a connection to this member.
    #[must_use]
    pub fn connects(&self, member: &str) -> bool {
        self.list.iter().flatten().any(|entry| entry.name == member && entry.connected)
    }

    #[must_use]
    pub fn is_gone(&self, ordinal: u32) -> bool {
        matches!(self.standings.get(&ordinal), None | Some(Standing::Gone(_)))
    }

    /// One above the highest ordinal that is not proven to be gone: replicas may not fall below it.
    #[must_use]
    pub fn floor(&self) -> u32 {
        let there = self.standings.iter().filter(|(_, standing)| !matches!(standing, Standing::Gone(_)));
        there.map(|(ordinal, _)| ordinal + 1).max().unwrap_or(0)
    }

    /// One above the highest member: fewer replicas are put back.
    #[must_use]
    pub fn least(&self) -> u32 {
        let members = self.standings.iter().filter(|(_, standing)| **standing == Standing::Member);
        members.map(|(ordinal, _)| ordinal + 1).max().unwrap_or(0)
    }

    /// Names of the voters; `None` without a list.
    #[must_use]
    pub fn voters(&self) -> Option<BTreeSet<&str>> {
        let voters = self.list.as_ref()?.iter().filter(|entry| !entry.learner);
        Some(voters.map(|entry| entry.name.as_str()).collect())
    }

    /// Whether a learner is on the list.
    #[must_use]
    pub fn learns(&self) -> bool {
        self.list.iter().flatten().any(|entry| entry.learner)
    }

    /// The ordinals whose votes count: those on the list, or without one all that are known to have been given one. For
    /// what is shown and for drains: nothing is taken away because of it.
    #[must_use]
    pub fn electorate(&self, facts: &Facts) -> BTreeSet<u32> {
        match self.voters() {
            Some(voters) => voters.into_iter().filter_map(|name| names::ordinal(&facts.cluster, name)).collect(),
            None => {
                let there = self.standings.keys().copied().filter(|ordinal| !self.is_gone(*ordinal));
                there.filter(|ordinal| has_voted(*ordinal, facts)).collect()
            }
        }
    }
}

/// Whether a member, for all that is known, has a vote: a founder, or one that has an ID, or has lost it, and is no
/// learner.
fn has_voted(ordinal: u32, facts: &Facts) -> bool {
    let slot = facts.slot(ordinal);
    let Some(member) = &slot.member else { return true };
    let founder = member.spec.initial_members.contains(&names::member(&facts.cluster, ordinal));
    match &member.status {
        Some(said) if said.role == Some(Role::Learner) => false,
        Some(said) => founder || said.member_id.is_some() || said.phase == Some(MemberPhase::Held),
        None => founder,
    }
}

/// Whether nobody speaks for a member: no pod, a pod whose agent has never spoken, or one that kubelet contradicts.
fn is_unheard(slot: &Slot) -> bool {
    let Some(pod) = &slot.pod else { return true };
    slot.report().is_none()
        || (!pod.ready && matches!(slot.readiness(), Readiness::Absent | Readiness::Down | Readiness::Unknown))
}

#[cfg(test)]
mod tests;
