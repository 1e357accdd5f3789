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

/// A cluster that waits is looked at live when it has waited for so long, and then each time that the last of these has
/// passed again. The first is long enough that a watch has told by then what there is to tell, and short enough for a
/// person who waits.
const LOOKS: [Duration; 4] =
    [Duration::from_secs(20), Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)];
/// The longest time that a cluster which waits is left alone.
const LONGEST_REST: Duration = Duration::from_secs(120);
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
    /// It has waited for something.
    waiting: Option<Instant>,
    /// How often it was looked at live because of that.
    looks: u32,
    /// It waits for the same thing as at the last look.
    rest: Option<Rest>,
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

/// A cluster that is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rest {
    /// Fingerprint of what it waits for.
    what: u64,
    since: Instant,
    until: Instant,
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

    /// Whether a cluster has waited for so long that it is to be looked at live, and `may` be.
    pub fn is_due_for_a_look(&self, uid: &str, waits: bool, now: Instant, may: impl FnOnce() -> bool) -> bool {
        let mut all = self.lock();
        let clocks = all.entry(uid.to_owned()).or_default();
        let waited = elapsed(&mut clocks.waiting, waits, now);
        if !waits {
            clocks.looks = 0;
            return false;
        }
        let due = waited >= time_of_look(clocks.looks) && may();
        clocks.looks += u32::from(due);
        due
    }

    /// How long a cluster that waits for something is left alone: half the time that it has waited for it, so that it
    /// costs less the longer it lasts. One that is looked at before its time begins anew, because something happened.
    /// `spread` keeps clusters out of step.
    pub fn rest(&self, uid: &str, what: u64, first: Duration, spread: f64, now: Instant) -> Duration {
        let mut all = self.lock();
        let clocks = all.entry(uid.to_owned()).or_default();
        let same = clocks.rest.filter(|rest| rest.what == what && now >= rest.until);
        let since = same.map_or(now, |rest| rest.since);
        let rest = (now.duration_since(since) / 2).clamp(first, LONGEST_REST).mul_f64(spread);
        clocks.rest = Some(Rest { what, since, until: now + rest });
        rest
    }

    /// Forgets the clusters that are not there any more.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| is_there(uid));
    }

    /// Forgets one cluster.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
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

/// How long a cluster has waited when it is looked at live for the `n`th time, counted from 0.
fn time_of_look(n: u32) -> Duration {
    let [.., last] = LOOKS;
    let listed = usize::try_from(n).ok().and_then(|n| LOOKS.get(n));
    listed.copied().unwrap_or_else(|| last.saturating_mul(n - 2))
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
    fn what_waits_is_looked_at_live_less_and_less_often() {
        let (timers, begun) = (Timers::default(), Instant::now());
        let looks = |waits: bool, seconds: u64| {
            timers.is_due_for_a_look("u", waits, begun + Duration::from_secs(seconds), || true)
        };
        let seen: Vec<u64> = (0..4000).filter(|second| looks(true, *second)).collect();
        assert_eq!(seen, [20, 60, 300, 900, 1800, 2700, 3600]);
        assert!(!looks(false, 4000), "one that waits no more");
        assert!(!looks(true, 4001) && looks(true, 4021), "the time begins anew");
    }

    #[test]
    fn a_look_that_may_not_be_is_made_good_later() {
        let (timers, begun) = (Timers::default(), Instant::now());
        assert!(!timers.is_due_for_a_look("u", true, begun, || true));
        assert!(!timers.is_due_for_a_look("u", true, begun + LOOKS[0], || false));
        assert!(timers.is_due_for_a_look("u", true, begun + LOOKS[0], || true));
    }

    #[test]
    fn what_waits_for_the_same_is_left_alone_for_longer_and_longer() {
        let (timers, first) = (Timers::default(), Duration::from_secs(5));
        let mut now = Instant::now();
        let rests: Vec<u64> = (0..12)
            .map(|_| {
                let rest = timers.rest("u", 1, first, 1.0, now);
                now += rest;
                rest.as_secs()
            })
            .collect();
        assert_eq!(rests, [5, 5, 5, 7, 11, 16, 25, 37, 56, 85, 120, 120]);
        assert_eq!(timers.rest("u", 2, first, 1.0, now), first, "it waits for something else");
        now += first;
        assert_eq!(timers.rest("u", 2, first, 1.2, now), first.mul_f64(1.2));
    }

    #[test]
    fn an_event_begins_the_rests_anew() {
        let (timers, first, begun) = (Timers::default(), Duration::from_secs(5), Instant::now());
        let hour = Duration::from_secs(3600);
        assert_eq!(timers.rest("u", 1, first, 1.0, begun), first);
        assert_eq!(timers.rest("u", 1, first, 1.0, begun + hour), LONGEST_REST);
        assert_eq!(timers.rest("u", 1, first, 1.0, begun + hour + first), first, "long before its time");
    }

    #[test]
    fn a_cluster_that_is_gone_leaves_nothing() {
        let timers = Timers::default();
        for uid in ["a", "b", "c"] {
            timers.failed(uid);
        }
        timers.forget("a");
        timers.forget_all_but(|uid| uid == "b");
        assert_eq!(timers.lock().keys().collect::<Vec<_>>(), ["b"]);
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
