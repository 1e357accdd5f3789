//! Whether this member's own etcd speaks for its cluster.
//!
//! An etcd that was started with `--force-new-cluster`, or on data that was restored by hand, keeps the cluster's ID
//! and says that it is the whole membership. Nobody removed the others: they hold what was acknowledged, and an etcd
//! that goes on without them loses it. So the mark remembers the voters, and a list that has lost them is looked into.
//!
//! ```text
//!   list of this run ── has another voter, or the mark knows no other ──▶ Trusted, the mark takes its voters
//!                    └─ this member alone is left ── all others are surplus, or hold another ID by now ──▶ Trusted
//!                                                 └─ one of them holds its ID, or cannot be asked ──▶ Forced: stopped
//! ```
//! Why a list of one and no other: a change of the membership needs a quorum of those that vote, so a member that was
//! away can be left with another voter, or be removed, but can never be left alone. Alone it is only by the last step
//! from two, to which it agrees itself; an agent that saw that step has it on the mark.
//!
//! Caveats: etcd answers clients before its agent has heard its list; what one that is connected to it writes in these
//! tens of milliseconds is lost with it. While the others are on their way out a forced list is what theirs will be.
//! And an agent that did not see the last step, and finds the others wanted again, waits until their volumes are for
//! other IDs.

use std::collections::BTreeMap;

use super::{list::Entry, start::Object};
use crate::volume::mark::Voter;

/// What is known of the list that this member's etcd gives.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// etcd's ID of this member.
    pub own_id: &'a str,
    /// The voters on the mark: of the last list that was trusted.
    pub recorded: &'a [Voter],
    pub object: &'a Object,
    pub neighbours: &'a Neighbours,
}

/// What the agents of the other members last said of their volumes, by member: etcd's ID that the volume is for, if
/// any. One that does not answer is not in it.
pub type Neighbours = BTreeMap<String, Option<String>>;

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The list is the cluster's. These are its voters.
    Trusted(Vec<Voter>),
    /// It has lost these voters, and nobody removed them as far as is known.
    Forced { lost: Vec<Voter> },
}

/// Judges a confirmed list of this member's own etcd.
#[must_use]
pub fn judge(facts: Facts<'_>, list: &[Entry]) -> Trust {
    let voters = voters(list);
    let alone = voters.iter().all(|voter| voter.id == facts.own_id);
    let lost = missing(facts);
    if alone && !lost.is_empty() { Trust::Forced { lost } } else { Trust::Trusted(voters) }
}

/// The voters on the mark that a list of this member alone must not lack.
#[must_use]
pub fn missing(facts: Facts<'_>) -> Vec<Voter> {
    let Facts { own_id, recorded, object, neighbours } = facts;
    let surplus = |voter: &Voter| match object {
        Object::Known(known) => voter.ordinal.is_some_and(|ordinal| known.is_surplus(ordinal)),
        Object::Awaited | Object::Away | Object::Missing => false,
    };
    let others = || recorded.iter().filter(|voter| voter.id != own_id);
    let holds_another = |voter: &Voter| neighbours.get(&voter.member).is_some_and(|id| id.as_ref() != Some(&voter.id));
    let gone = |voter: &&Voter| surplus(voter) || holds_another(voter);
    others().filter(|voter| !gone(voter)).cloned().collect()
}

/// The voters of a list, in the order of their IDs.
#[must_use]
pub fn voters(list: &[Entry]) -> Vec<Voter> {
    let voter = |entry: &Entry| Voter { id: entry.id.clone(), member: entry.member.clone(), ordinal: entry.ordinal };
    let mut voters: Vec<Voter> = list.iter().filter(|entry| !entry.learner).map(voter).collect();
    voters.sort_by(|a, b| a.id.cmp(&b.id));
    voters
}

/// Whether a list from another member may be believed without that member's agent: only a list of a single voter can be
/// forced by that voter alone.
#[must_use]
pub fn needs_no_voucher(list: &[Entry]) -> bool {
    list.iter().filter(|entry| !entry.learner).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::start::{Claim, Known},
        volume::mark::Wish,
    };

    fn known(size: u32, current: bool) -> Object {
        Object::Known(Known {
            cluster_uid: "u".into(),
            incarnation: 1,
            initial: false,
            initial_members: vec![],
            initial_id: "x".into(),
            restore: None,
            begins_with: None,
            claim: None::<Claim>,
            counter: 0,
            stopped: false,
            wish: Wish::default(),
            size,
            left: None,
            current,
        })
    }

    fn entry(ordinal: u32, learner: bool) -> Entry {
        let (id, member) = (format!("id{ordinal}"), format!("demo-{ordinal}"));
        Entry { id, member, ordinal: Some(ordinal), learner, started: true }
    }

    fn list(voters: &[u32]) -> Vec<Entry> {
        voters.iter().map(|ordinal| entry(*ordinal, false)).collect()
    }

    fn verdict(recorded: &[u32], object: &Object, neighbours: &[(u32, Option<&str>)], now: &[Entry]) -> Vec<String> {
        let said = |(o, id): &(u32, Option<&str>)| (format!("demo-{o}"), id.map(Into::into));
        let neighbours = neighbours.iter().map(said).collect();
        let recorded = voters(&list(recorded));
        match judge(Facts { own_id: "id0", recorded: &recorded, object, neighbours: &neighbours }, now) {
            Trust::Trusted(_) => vec![],
            Trust::Forced { lost } => lost.into_iter().map(|voter| voter.member).collect(),
        }
    }

    #[test]
    fn a_member_that_is_suddenly_alone_is_not_trusted_whoever_is_silent() {
        let alone = list(&[0]);
        for object in [Object::Away, Object::Missing, known(3, true), known(1, false)] {
            assert_eq!(verdict(&[0, 1, 2], &object, &[], &alone), ["demo-1", "demo-2"], "{object:?}");
        }
        let held = [(1, Some("id1"))];
        assert_eq!(verdict(&[0, 1, 2], &known(3, true), &held, &alone), ["demo-1", "demo-2"]);
    }

    #[test]
    fn learners_do_not_make_a_list_trustworthy() {
        assert_eq!(verdict(&[0, 1], &known(3, true), &[], &[entry(0, false), entry(1, true)]), ["demo-1"]);
    }

    #[test]
    fn a_member_is_left_alone_by_those_that_are_surplus_or_hold_another_id() {
        let alone = list(&[0]);
        assert!(verdict(&[0, 1, 2], &known(1, true), &[], &alone).is_empty());
        let others = [(1, Some("new1")), (2, None)];
        assert!(verdict(&[0, 1, 2], &known(3, true), &others, &alone).is_empty());
        assert_eq!(verdict(&[0, 1, 2], &known(3, true), &others[..1], &alone), ["demo-2"], "one may still hold it");
    }

    #[test]
    fn a_list_with_another_voter_is_the_clusters_and_so_is_a_first_one() {
        assert!(verdict(&[0, 1, 2], &Object::Away, &[(1, Some("id1"))], &list(&[0, 2])).is_empty());
        assert!(verdict(&[], &Object::Away, &[], &list(&[0])).is_empty());
        assert!(verdict(&[0], &Object::Away, &[], &list(&[0])).is_empty());
    }
}
