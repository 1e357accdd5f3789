//! How long each cluster has been in a state that only time tells. On the monotonic clock and in memory only: what is
//! forgotten at a restart costs a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::cluster::{decide::Waited, facts::Facts};

/// A cluster that waits is looked at live after this time: long enough that a watch has told by then what there is to
/// tell, short enough for a person who waits.
const LOOK_LIVE_AFTER: Duration = Duration::from_secs(20);
/// First wait after a failure; it doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The clocks of all clusters, by UID.
#[derive(Debug, Default)]
pub struct Timers(Mutex<HashMap<String, Clocks>>);

/// Since when something has been so, of one cluster; `None` while it is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Clocks {
    /// It forms, and has had a first address.
    forming: Option<Instant>,
    /// It has had no leader that serves.
    leaderless: Option<Instant>,
    /// It has waited for something, or was last looked at live because of it.
    waiting: Option<Instant>,
    /// Reconciliations that failed in a row.
    failures: u32,
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
    pub fn failed(&self, uid: &str) -> Duration {
        let mut all = self.lock();
        let failures = &mut all.entry(uid.to_owned()).or_default().failures;
        let wait = FIRST_RETRY.saturating_mul(1 << (*failures).min(10)).min(LONGEST_RETRY);
        *failures += 1;
        wait
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

    #[test]
    fn each_failure_in_a_row_is_waited_for_longer_up_to_a_minute() {
        let timers = Timers::default();
        let waits: Vec<Duration> = (0..12).map(|_| timers.failed("u")).collect();
        assert_eq!((waits[0], waits[1], waits[11]), (FIRST_RETRY, 2 * FIRST_RETRY, LONGEST_RETRY));
        timers.succeeded("u");
        assert_eq!(timers.failed("u"), FIRST_RETRY);
    }
}
