//! What the leader's agent has found out by comparing members.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::plan::{
    compare::{Comparison, Finding, Verdict, judge},
    list::Entry,
};

/// What is remembered. An agent that starts again, or whose member leads again, finds it out anew.
#[derive(Debug, Default)]
pub(in crate::sidecar) struct Comparing {
    last: Option<(Comparison, Instant)>,
    /// When all were found to hold the same, while this member leads.
    pub equal: Option<Timestamp>,
    /// Who differed in the comparison before the last.
    suspect: Option<String>,
    /// The longest that one member took for its hash.
    took: Duration,
    /// What is to be known of members that differ.
    pub finding: Option<Finding>,
    /// Who is being removed: ID and name.
    pub removing: Option<(String, String)>,
    removed: Option<Instant>,
    /// Since when this member leads, while it does.
    since: Option<Instant>,
}

/// A member applies nothing while it reckons a hash: of this many times that, it does so once.
const DUTY: u32 = 300;

impl Comparing {
    /// Another one leads, and finds out for itself. When something was last removed stays: it bounds what this agent
    /// does.
    pub(in crate::sidecar) fn note_role(&mut self, leads: bool, now: Instant) {
        if leads {
            self.since.get_or_insert(now);
        } else {
            *self = Self { removed: self.removed, ..Self::default() };
        }
    }

    pub(in crate::sidecar) fn led(&self, now: Instant) -> Duration {
        self.since.map(|since| now.duration_since(since)).unwrap_or_default()
    }

    /// `time`: by this machine's clock.
    pub(in crate::sidecar) fn note(
        &mut self,
        comparison: Comparison,
        took: Duration,
        voters: usize,
        (now, time): (Instant, Timestamp),
    ) {
        let differs = |comparison: &Comparison| match judge(comparison, voters) {
            Verdict::Differ(ids) => ids.into_iter().next(),
            Verdict::Equal | Verdict::NoMajority | Verdict::Unclear => None,
        };
        if judge(&comparison, voters) == Verdict::Equal {
            (self.finding, self.equal) = (None, Some(time));
        }
        self.suspect = self.last.as_ref().and_then(|(last, _)| differs(last));
        (self.last, self.took) = (Some((comparison, now)), took);
    }

    /// Takes a confirmed list. Returns the name of a member that was being removed and is gone.
    pub(in crate::sidecar) fn note_list(&mut self, list: &[Entry], now: Instant) -> Option<String> {
        let (_, member) = self.removing.take_if(|(id, _)| list.iter().all(|entry| entry.id != *id))?;
        (self.removed, self.last, self.suspect) = (Some(now), None, None);
        Some(member)
    }

    pub(in crate::sidecar) fn last(&self, now: Instant) -> Option<(&Comparison, Duration)> {
        self.last.as_ref().map(|(last, at)| (last, now.duration_since(*at)))
    }

    pub(in crate::sidecar) fn suspect(&self) -> Option<&str> {
        self.suspect.as_deref()
    }

    pub(in crate::sidecar) fn removed(&self, now: Instant) -> Option<Duration> {
        self.removed.map(|at| now.duration_since(at))
    }

    /// How often members are compared that are equal, where this often is wanted.
    pub(in crate::sidecar) fn every(&self, wanted: Duration) -> Duration {
        wanted.max(self.took * DUTY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::compare::Hash;

    fn said(hashes: [u32; 3]) -> Comparison {
        let version = "v3.5.21".parse().unwrap();
        let hash = |(at, hash): (usize, u32)| Hash { id: format!("id{at}"), hash, compacted: 1, version };
        Comparison { revision: 9, hashes: hashes.into_iter().enumerate().map(hash).collect() }
    }

    #[test]
    fn who_differed_before_is_remembered_for_one_comparison() {
        let (mut comparing, now) = (Comparing::default(), Instant::now());
        let mut note = |hashes| {
            comparing.note(said(hashes), Duration::ZERO, 3, (now, Timestamp::UNIX_EPOCH));
            comparing.suspect().map(ToOwned::to_owned)
        };
        assert_eq!(note([1, 1, 2]), None);
        assert_eq!(note([1, 1, 2]).as_deref(), Some("id2"));
        assert_eq!(note([1, 1, 1]).as_deref(), Some("id2"));
        assert_eq!(note([1, 2, 1]), None);
    }

    #[test]
    fn when_all_held_the_same_is_remembered_by_who_leads() {
        let (mut comparing, now) = (Comparing::default(), Instant::now());
        let time = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        comparing.note(said([1, 1, 2]), Duration::ZERO, 3, (now, time(1)));
        assert_eq!(comparing.equal, None);
        comparing.note(said([1, 1, 1]), Duration::ZERO, 3, (now, time(2)));
        comparing.note(said([1, 1, 2]), Duration::ZERO, 3, (now, time(3)));
        assert_eq!(comparing.equal, Some(time(2)));
        comparing.note_role(false, now);
        assert_eq!(comparing.equal, None);
    }

    #[test]
    fn a_removal_counts_when_the_list_shows_it_and_not_before() {
        let (mut comparing, now) = (Comparing::default(), Instant::now());
        let entry = |id: &str| Entry { id: id.into(), member: id.into(), ordinal: None, learner: false, started: true };
        comparing.removing = Some(("b".into(), "demo-1".into()));
        assert_eq!(comparing.note_list(&[entry("a"), entry("b")], now), None);
        assert_eq!(comparing.removed(now), None);
        assert_eq!(comparing.note_list(&[entry("a")], now).as_deref(), Some("demo-1"));
        assert_eq!(comparing.removed(now), Some(Duration::ZERO));
        comparing.note_role(false, now);
        assert_eq!(comparing.removed(now), Some(Duration::ZERO), "another one's turn does not make it forgotten");
    }

    #[test]
    fn large_databases_are_compared_more_seldom() {
        let mut comparing = Comparing::default();
        let wanted = Duration::from_secs(300);
        assert_eq!(comparing.every(wanted), wanted);
        comparing.note(said([1, 1, 1]), Duration::from_secs(5), 3, (Instant::now(), Timestamp::UNIX_EPOCH));
        assert_eq!(comparing.every(wanted), Duration::from_secs(1500));
    }
}
