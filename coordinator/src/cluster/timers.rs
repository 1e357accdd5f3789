//! How long each cluster has been in a state that only time tells. On the monotonic clock and in memory only: what is
//! forgotten at a restart costs a moment.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    apiserver::{Cause, Failed},
    cluster::{
        decide::Waited,
        facts::{Facts, denial::Denial},
    },
};

/// A cluster that waits is looked at live after this time: long enough that a watch has told by then what there is to
/// tell, short enough for a person who waits.
const LOOK_LIVE_AFTER: Duration = Duration::from_secs(20);
/// First wait after a failure; it doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// First wait after a conflict: the cache will know in a moment. It doubles too, for a cache that does not.
const FIRST_CONFLICT: Duration = Duration::from_millis(100);
const LONGEST_CONFLICT: Duration = Duration::from_secs(5);
/// More in a row are no coincidence.
const OFTEN: u32 = 5;

/// The clocks of all clusters, by UID.
#[derive(Debug, Default)]
pub struct Timers(Mutex<HashMap<String, Clocks>>);

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub wait: Duration,
    /// Whether it has failed many times in a row.
    pub often: bool,
}

/// Since when something has been so, of one cluster; `None` while it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Clocks {
    /// It forms, and has had a first address.
    forming: Option<Instant>,
    /// It has had no leader that serves.
    leaderless: Option<Instant>,
    /// It has waited for something, or was last looked at live because of it.
    waiting: Option<Instant>,
    /// Reconciliations that failed in a row.
    failures: u32,
    /// What the API server refused last.
    denials: Vec<Denial>,
    /// A voter has not served.
    lacking: Option<Instant>,
    /// Not all members have served that are wanted; and with the reason that is told now.
    unready: Option<Instant>,
    reason: Option<(String, Instant)>,
    /// Reasons that were warned of meanwhile.
    warned: BTreeSet<String>,
}

/// How long a cluster has not been as it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unready {
    pub whole: Duration,
    /// With the reason that is told now.
    pub reason: Duration,
}

impl Timers {
    /// What a cluster has waited for until now, and how long.
    pub fn waited(&self, uid: &str, facts: &Facts, now: Instant) -> Waited {
        let mut all = self.lock();
        let clocks = all.entry(uid.to_owned()).or_default();
        let forms = facts.published().is_empty() && !facts.addresses().is_empty();
        Waited {
            address: elapsed(&mut clocks.forming, forms, now),
            leader: elapsed(&mut clocks.leaderless, !facts.serves(), now),
        }
    }

    /// Whether a cluster has waited for long; then the time begins anew.
    pub fn has_waited_long(&self, uid: &str, waits: bool, now: Instant) -> bool {
        let mut all = self.lock();
        let waiting = &mut all.entry(uid.to_owned()).or_default().waiting;
        let long = elapsed(waiting, waits, now) >= LOOK_LIVE_AFTER;
        if long {
            *waiting = Some(now);
        }
        long
    }

    /// Notes a failure. Gives the time to wait: longer each time.
    pub fn failed(&self, uid: &str) -> Retry {
        self.again(uid, FIRST_RETRY, LONGEST_RETRY)
    }

    /// Notes that somebody else was faster.
    pub fn conflicted(&self, uid: &str) -> Retry {
        self.again(uid, FIRST_CONFLICT, LONGEST_CONFLICT)
    }

    fn again(&self, uid: &str, first: Duration, longest: Duration) -> Retry {
        let mut all = self.lock();
        let failures = &mut all.entry(uid.to_owned()).or_default().failures;
        let wait = first.saturating_mul(1 << (*failures).min(10)).min(longest);
        *failures += 1;
        Retry { wait, often: *failures > OFTEN }
    }

    /// What the API server refuses, after a reconciliation in which these failed. Where a call was not answered or
    /// somebody else was faster, other calls were not made at all: what was refused before is then still believed.
    pub fn denied(&self, uid: &str, failed: &[Failed]) -> Vec<Denial> {
        let denial = |failed: &Failed| match &failed.cause {
            Cause::Refused(words) => Some(Denial { attempt: failed.attempt.clone(), words: words.clone() }),
            Cause::Conflict
            | Cause::Exists
            | Cause::Foreign(_)
            | Cause::Missing
            | Cause::Timeout
            | Cause::Unreadable(_)
            | Cause::Dropped
            | Cause::Unavailable(_)
            | Cause::Broken(_) => None,
        };
        let mut denials: Vec<Denial> = failed.iter().filter_map(denial).collect();
        let mut all = self.lock();
        let known = &mut all.entry(uid.to_owned()).or_default().denials;
        if denials.len() < failed.len() {
            let now: Vec<String> = denials.iter().map(|denial| denial.attempt.clone()).collect();
            denials.extend(known.drain(..).filter(|denial| !now.contains(&denial.attempt)));
        }
        known.clone_from(&denials);
        denials
    }

    /// How long some voter has not served.
    pub fn lacking(&self, uid: &str, lacks: bool, now: Instant) -> Duration {
        elapsed(&mut self.lock().entry(uid.to_owned()).or_default().lacking, lacks, now)
    }

    /// How long a cluster has not been Ready, for whatever reason and for this one; `None`: it is.
    pub fn unready(&self, uid: &str, reason: Option<&str>, now: Instant) -> Option<Unready> {
        let mut all = self.lock();
        let clocks = all.entry(uid.to_owned()).or_default();
        let whole = elapsed(&mut clocks.unready, reason.is_some(), now);
        let Some(reason) = reason else {
            (clocks.reason, clocks.warned) = (None, BTreeSet::new());
            return None;
        };
        if clocks.reason.as_ref().is_none_or(|(known, _)| known != reason) {
            clocks.reason = Some((reason.to_owned(), now));
        }
        let since = clocks.reason.as_ref().map_or(now, |(_, since)| *since);
        Some(Unready { whole, reason: now.duration_since(since) })
    }

    /// Notes that a reason is warned of; `false`: it was before, and the cluster has not been Ready since.
    pub fn warns(&self, uid: &str, reason: &str) -> bool {
        self.lock().entry(uid.to_owned()).or_default().warned.insert(reason.to_owned())
    }

    /// Notes that a reconciliation ended without a failure.
    pub fn succeeded(&self, uid: &str) {
        if let Some(clocks) = self.lock().get_mut(uid) {
            clocks.failures = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Clocks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a clock where something is so and stops it where it is not. Gives the time since it was started.
fn elapsed(since: &mut Option<Instant>, so: bool, now: Instant) -> Duration {
    match so {
        true => now.duration_since(*since.get_or_insert(now)),
        false => {
            *since = None;
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::tests::healthy;

    #[test]
    fn what_waits_is_looked_at_live_now_and_then() {
        let (timers, begun) = (Timers::default(), Instant::now());
        assert!(!timers.has_waited_long("u", true, begun));
        assert!(timers.has_waited_long("u", true, begun + LOOK_LIVE_AFTER));
        assert!(!timers.has_waited_long("u", true, begun + LOOK_LIVE_AFTER), "the time begins anew");
        assert!(!timers.has_waited_long("u", false, begun + 2 * LOOK_LIVE_AFTER), "one that waits no more");
    }

    #[test]
    fn a_leader_that_serves_stops_the_clock() {
        let (timers, begun) = (Timers::default(), Instant::now());
        let (well, none) = (healthy(3), Facts::default());
        let second = Duration::from_secs(1);
        assert_eq!(timers.waited("u", &none, begun).leader, Duration::ZERO);
        assert_eq!(timers.waited("u", &none, begun + second).leader, second);
        assert_eq!(timers.waited("u", &well, begun + 2 * second).leader, Duration::ZERO);
        assert_eq!(timers.waited("u", &none, begun + 3 * second).leader, Duration::ZERO, "the time begins anew");
    }

    fn failed(attempt: &str, cause: Cause) -> Failed {
        Failed { attempt: attempt.into(), cause }
    }

    #[test]
    fn what_is_refused_is_believed_until_a_reconciliation_came_through() {
        let timers = Timers::default();
        let attempts = |failed: &[Failed]| -> Vec<String> {
            timers.denied("u", failed).into_iter().map(|denial| denial.attempt).collect()
        };
        let (one, two) = (failed("one", Cause::Refused("no".into())), failed("two", Cause::Refused("no".into())));
        assert_eq!(attempts(&[one]), ["one"]);
        assert_eq!(attempts(&[failed("three", Cause::Timeout)]), ["one"], "it did not come so far");
        assert_eq!(attempts(&[two, failed("three", Cause::Conflict)]), ["two", "one"]);
        assert_eq!(attempts(&[failed("two", Cause::Refused("no".into()))]), ["two"]);
        assert!(attempts(&[]).is_empty());
    }

    #[test]
    fn a_reason_is_warned_of_once_until_the_cluster_is_ready() {
        let (timers, begun) = (Timers::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(
            timers.unready("u", Some("A"), begun),
            Some(Unready { whole: Duration::ZERO, reason: Duration::ZERO })
        );
        let later = timers.unready("u", Some("B"), begun + second);
        assert_eq!(later, Some(Unready { whole: second, reason: Duration::ZERO }));
        assert_eq!((timers.warns("u", "B"), timers.warns("u", "B")), (true, false));
        assert_eq!(timers.unready("u", None, begun + second), None);
        assert!(timers.warns("u", "B"));
    }

    #[test]
    fn each_failure_in_a_row_is_waited_for_longer_up_to_a_minute() {
        let timers = Timers::default();
        let waits: Vec<Duration> = (0..12).map(|_| timers.failed("u").wait).collect();
        assert_eq!((waits[0], waits[1], waits[11]), (FIRST_RETRY, 2 * FIRST_RETRY, LONGEST_RETRY));
        timers.succeeded("u");
        assert_eq!(timers.failed("u").wait, FIRST_RETRY);
    }

    #[test]
    fn a_conflict_is_soon_over_and_a_row_of_them_is_told() {
        let timers = Timers::default();
        let retries: Vec<Retry> = (0..12).map(|_| timers.conflicted("u")).collect();
        assert_eq!((retries[0].wait, retries[11].wait), (FIRST_CONFLICT, LONGEST_CONFLICT));
        assert_eq!(retries.iter().position(|retry| retry.often), Some(5));
    }
}
