//! What a learner's own agent does so that it becomes a voter: asks a voter to promote it, until it is one or gives up.
//!
//! etcd serves clients only after its own entry in the membership, which it proposes as soon as it knows a leader, has come back
//! to it through the log. A learner that joins by a snapshot, as all do from 3.6 on when the log has a hundred entries, may find
//! the entry in the snapshot instead; it then waits for 7 s before it proposes again. Started once more it proposes at once, and
//! while it is a learner that costs nobody anything. A member that does not serve is not promoted.
//! Source: etcd `server/etcdserver/server.go`, `publishV3`.

use std::time::Duration;

use super::list::{Cluster, with_id};

/// What it depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// etcd's ID of this member.
    pub own_id: &'a str,
    pub cluster: &'a Cluster,
    /// Time since the learner last applied anything or received more of a snapshot.
    pub stalled: Duration,
    /// For how long this run of etcd has answered; `None` while it does not. One that just froze may be in sync, and as a voter
    /// would cost the quorum.
    pub serves: Option<Duration>,
    /// For how long it has not, though it has applied all that the others had when they listed it as started.
    pub mute: Option<Duration>,
    /// Whether it was started once more for that.
    pub reopened: bool,
}

/// The next step of a member that joined.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Learn {
    /// It votes.
    Done,
    /// Ask a voter to promote this ID.
    Promote { id: String },
    /// Start etcd once more under this ID, so that it opens its client port.
    Reopen { id: String },
    /// It makes no progress: take it out of the membership, so that another can join; it tries again.
    GiveUp { id: String },
    /// It does not serve yet, or the others do not answer, or do not list it: nothing to do here.
    Wait,
}

/// A learner that has come no further for this long never catches up. k3s gives the same (`learnerMaxStallTime`).
pub const STALLED: Duration = Duration::from_secs(300);
/// An entry that comes through the log opens the client port within a few milliseconds.
const MUTE: Duration = Duration::from_millis(100);
/// To a learner that was gone for a moment the leader sends one message a heartbeat until it knows how far it is. As a voter it
/// would make every write wait for that.
const KNOWN: Duration = Duration::from_millis(250);

/// Decides the next step.
#[must_use]
pub fn learn(facts: Facts<'_>) -> Learn {
    let Facts { own_id, cluster, stalled, serves, mute, reopened } = facts;
    let Some(entry) = cluster.list().and_then(|list| with_id(list, own_id)) else { return Learn::Wait };
    match entry.learner {
        false => Learn::Done,
        true if stalled >= STALLED => Learn::GiveUp { id: entry.id.clone() },
        true if serves.is_some_and(|time| !reopened || time >= KNOWN) => Learn::Promote { id: entry.id.clone() },
        true if !reopened && mute.is_some_and(|mute| mute >= MUTE) => Learn::Reopen { id: entry.id.clone() },
        true => Learn::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::list::Entry;

    fn list(learner: bool) -> Cluster {
        Cluster::Answers(vec![Entry {
            id: "a".into(),
            member: "demo-1".into(),
            ordinal: Some(1),
            learner,
            started: true,
        }])
    }

    fn facts<'a>(own_id: &'a str, cluster: &'a Cluster) -> Facts<'a> {
        Facts { own_id, cluster, stalled: Duration::ZERO, serves: Some(Duration::ZERO), mute: None, reopened: false }
    }

    #[test]
    fn a_learner_asks_until_it_votes_or_stalls() {
        let id = || "a".to_owned();
        assert_eq!(learn(facts("a", &list(true))), Learn::Promote { id: id() });
        assert_eq!(learn(Facts { stalled: STALLED, ..facts("a", &list(true)) }), Learn::GiveUp { id: id() });
        assert_eq!(learn(Facts { stalled: STALLED, ..facts("a", &list(false)) }), Learn::Done);
        assert_eq!(learn(facts("b", &list(true))), Learn::Wait);
        let silent = Cluster::Silent(String::new());
        assert_eq!(learn(Facts { stalled: STALLED, ..facts("a", &silent) }), Learn::Wait);
    }

    #[test]
    fn a_learner_that_does_not_serve_is_started_once_more_and_no_voter() {
        let list = list(true);
        let mute = |millis| Facts { serves: None, mute: Some(Duration::from_millis(millis)), ..facts("a", &list) };
        assert_eq!(learn(Facts { serves: None, ..facts("a", &list) }), Learn::Wait, "it may just be behind");
        assert_eq!(learn(mute(50)), Learn::Wait);
        assert_eq!(learn(mute(100)), Learn::Reopen { id: "a".into() });
        assert_eq!(learn(Facts { reopened: true, ..mute(9_000) }), Learn::Wait);
        let again = |millis| Facts { serves: Some(Duration::from_millis(millis)), reopened: true, ..facts("a", &list) };
        assert_eq!(learn(again(50)), Learn::Wait, "the leader is still finding out how far it is");
        assert_eq!(learn(again(250)), Learn::Promote { id: "a".into() });
    }
}
