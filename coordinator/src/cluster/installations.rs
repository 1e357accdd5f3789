//! Other installations of the operator that were met: what is known of the Lease of each, and whom they were named to.
//! On the monotonic clock and in memory only: what is forgotten at a restart costs a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::cluster::decide::installation::RivalLease;

/// What was read of a Lease holds for so long: any number of clusters may ask.
const FRESH: Duration = Duration::from_secs(5);
/// A cluster is told again after this: the API server forgets an event after an hour.
const TELL_AGAIN: Duration = Duration::from_secs(1800);

/// This installation, and the others.
#[derive(Debug, Default)]
pub struct Installations {
    /// Its name; `None` where it runs without a Lease.
    pub mine: Option<String>,
    met: Mutex<HashMap<String, Met>>,
    told: Mutex<HashMap<String, Instant>>,
}

/// What was last read of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Met {
    said: Said,
    /// Since when it says so.
    since: Instant,
    looked: Instant,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Hidden,
    Missing,
    /// It is there, with this resourceVersion.
    There(String),
}

impl Installations {
    #[must_use]
    pub fn new(mine: Option<String>) -> Self {
        Self { mine, ..Self::default() }
    }

    /// What is known of an installation's Lease; `None` if that is not fresh.
    #[must_use]
    pub fn known(&self, name: &str, now: Instant) -> Option<RivalLease> {
        lock(&self.met).get(name).filter(|met| now.duration_since(met.looked) < FRESH).map(|met| met.lease(now))
    }

    /// Notes what was read now.
    pub fn read(&self, name: &str, said: Said, now: Instant) -> RivalLease {
        let mut all = lock(&self.met);
        let since = all.get(name).filter(|met| met.said == said).map_or(now, |met| met.since);
        let met = Met { said, since, looked: now };
        let lease = met.lease(now);
        all.insert(name.to_owned(), met);
        lease
    }

    /// Whether a cluster, by UID, is to be told now; it is noted that it was.
    pub fn tells(&self, uid: &str, now: Instant) -> bool {
        let mut all = lock(&self.told);
        let due = all.get(uid).is_none_or(|told| now.duration_since(*told) >= TELL_AGAIN);
        if due {
            all.insert(uid.to_owned(), now);
        }
        due
    }

    /// Forgets the clusters that are not there any more.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        lock(&self.told).retain(|uid, _| is_there(uid));
    }

    /// Forgets one cluster.
    pub fn forget(&self, uid: &str) {
        lock(&self.told).remove(uid);
    }
}

impl Met {
    fn lease(&self, now: Instant) -> RivalLease {
        let since = now.duration_since(self.since);
        match self.said {
            Said::Hidden => RivalLease::Hidden,
            Said::Missing => RivalLease::Missing(since),
            Said::There(_) => RivalLease::Unchanged(since),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_counts_from_the_first_answer_of_the_same_kind() {
        let (all, begun) = (Installations::default(), Instant::now());
        let there = |version: &str| Said::There(version.to_owned());
        assert_eq!(all.read("a", there("1"), begun), RivalLease::Unchanged(Duration::ZERO));
        assert_eq!(all.read("a", there("1"), begun + 6 * SECOND), RivalLease::Unchanged(6 * SECOND));
        assert_eq!(all.read("a", there("2"), begun + 7 * SECOND), RivalLease::Unchanged(Duration::ZERO), "renewed");
        assert_eq!(all.read("a", Said::Missing, begun + 8 * SECOND), RivalLease::Missing(Duration::ZERO));
        assert_eq!(all.read("a", Said::Missing, begun + 30 * SECOND), RivalLease::Missing(22 * SECOND));
        assert_eq!(all.read("a", Said::Hidden, begun + 31 * SECOND), RivalLease::Hidden);
    }

    #[test]
    fn an_answer_is_asked_for_again_after_five_seconds() {
        let (all, begun) = (Installations::default(), Instant::now());
        assert_eq!(all.known("a", begun), None);
        all.read("a", Said::Missing, begun);
        assert_eq!(all.known("a", begun + 4 * SECOND), Some(RivalLease::Missing(4 * SECOND)));
        assert_eq!(all.known("a", begun + 5 * SECOND), None);
    }

    #[test]
    fn a_cluster_is_told_twice_an_hour() {
        let (all, begun) = (Installations::default(), Instant::now());
        let told: Vec<u32> = (0..120).filter(|minute| all.tells("u", begun + *minute * 60 * SECOND)).collect();
        assert_eq!(told, [0, 30, 60, 90]);
        all.forget("u");
        assert!(all.tells("u", begun));
        all.forget_all_but(|uid| uid != "u");
        assert!(all.tells("u", begun), "one that is gone costs nothing");
    }
}
