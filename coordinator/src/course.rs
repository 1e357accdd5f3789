//! Everything that one reconciliation has decided: what members are told, who is one, the next step, what is cleared away.
//!
//! ```text
//!   addresses ──▶ word ──▶ membership ──▶ addresses of the gone dropped ──▶ word, membership again ──▶ step, retired
//! ```
//! Twice, because absence from a list proves something only if the list was read after the last word.

use std::time::Duration;

use etcd_operator_shared::api::cluster::Incarnation;

use crate::{
    aim::Aim,
    decide::{Step, decide},
    facts::Facts,
    founding,
    membership::{Membership, Word},
    peers::{self, Publish},
    retire::{self, Retired},
};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub aim: Aim,
    pub word: Word,
    pub membership: Membership,
    pub step: Step,
    pub retired: Vec<Retired>,
    /// Ordinals below this have an EtcdMember.
    pub seats: u32,
    /// Look again after this time.
    pub again: Option<Duration>,
}

/// What was waited for, and how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waited {
    /// Since the first address of a cluster that forms was seen.
    pub address: Duration,
    /// Since a leader was last known.
    pub leader: Duration,
}

impl Course {
    /// `formed`: whether the cluster is known to have formed.
    #[must_use]
    pub fn of(aim: Aim, life: &Incarnation, formed: bool, facts: &Facts, waited: Waited) -> Self {
        let size = match aim {
            Aim::Run(size) => size,
            // A stopped cluster keeps its size: stopping is no change of membership.
            Aim::Stop | Aim::End(_) | Aim::Rest => facts.told().unwrap_or_else(|| founding::founders(life)),
        };
        let (known, pods) = (facts.published(), facts.replicas().max(founding::founders(life)));
        let (peers, again) = match peers::publish(&facts.cluster, &known, &facts.addresses(), pods, waited.address) {
            Publish::Wait(rest) => (known, Some(rest)),
            Publish::List(list) => (list, None),
        };
        let word = Word { size, stopped: !aim.runs(), peers };
        let membership = Membership::of(life, formed, Some(&word), facts);
        let peers = retire::without(&word.peers, &membership, facts);
        let (word, membership) = if peers == word.peers {
            (word, membership)
        } else {
            let word = Word { peers, ..word };
            let membership = Membership::of(life, formed, Some(&word), facts);
            (word, membership)
        };
        let step = decide(aim, &membership, facts, waited.leader);
        let retired = if aim.runs() { retire::due(size, &membership, facts) } else { vec![] };
        let seats = match (aim, &step) {
            (Aim::End(_) | Aim::Rest, _) => 0,
            (Aim::Stop, _) => size,
            (Aim::Run(_), Step::SetReplicas(n)) => facts.replicas().max(*n),
            (Aim::Run(_), Step::Replace(_) | Step::End(_) | Step::Wait(_) | Step::Nothing) => facts.replicas(),
        };
        Self { aim, word, membership, step, retired, seats, again }
    }

    /// Whether something in it could not be taken back.
    #[must_use]
    pub fn is_final(&self, facts: &Facts) -> bool {
        self.step.is_final(facts) || !self.retired.is_empty()
    }

    /// How many members are meant to serve.
    #[must_use]
    pub fn size(&self) -> u32 {
        if self.aim.runs() { self.word.size } else { 0 }
    }
}

#[cfg(test)]
mod tests;
