//! What a learner's own agent does so that it becomes a voter: asks a voter to promote it, until it is one or gives up.

use std::time::Duration;

use super::list::{Cluster, with_id};

/// The next step of a member that joined.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Learn {
    /// It votes.
    Done,
    /// Ask a voter to promote this ID.
    Promote { id: String },
    /// It makes no progress: take it out of the membership, so that another can join; it tries again.
    GiveUp { id: String },
    /// The others do not answer, or do not list it: nothing to do here.
    Wait,
}

/// A learner that has applied nothing new for this long never catches up. k3s gives the same (`learnerMaxStallTime`).
pub const STALLED: Duration = Duration::from_secs(300);

/// Decides the next step. `stalled` is the time since the learner last applied anything, while others were ahead.
#[must_use]
pub fn learn(own_id: &str, cluster: &Cluster, stalled: Duration) -> Learn {
    let Cluster::Answers(list) = cluster else { return Learn::Wait };
    match with_id(list, own_id) {
        None => Learn::Wait,
        Some(entry) if !entry.learner => Learn::Done,
        Some(entry) if stalled >= STALLED => Learn::GiveUp { id: entry.id.clone() },
        Some(entry) => Learn::Promote { id: entry.id.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::list::Entry;

    #[test]
    fn a_learner_asks_until_it_votes_or_stalls() {
        let list =
            |learner| Cluster::Answers(vec![Entry { id: "a".into(), member: "demo-1".into(), learner, started: true }]);
        let id = || "a".to_owned();
        assert_eq!(learn("a", &list(true), Duration::ZERO), Learn::Promote { id: id() });
        assert_eq!(learn("a", &list(true), STALLED), Learn::GiveUp { id: id() });
        assert_eq!(learn("a", &list(false), STALLED), Learn::Done);
        assert_eq!(learn("b", &list(true), Duration::ZERO), Learn::Wait);
        assert_eq!(learn("a", &Cluster::Silent(String::new()), STALLED), Learn::Wait);
    }
}
