//! What every reconciliation of one scope shares.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcd_operator_shared::api::EtcdCluster;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::{apiserver::ApiServer, events::Events, ledger::Ledger, metrics::Metrics, stores::Stores};

/// Shared by reconciliations; made once a scope.
pub struct Context {
    pub api: Arc<ApiServer>,
    pub stores: Stores,
    pub ledger: Arc<Ledger>,
    pub events: Events,
    pub metrics: Metrics,
    pub agent_image: String,
    /// Since when clusters that form have had a first address.
    pub forming: Since,
    /// Since when clusters have had no leader that serves.
    pub leaderless: Since,
    pub waiting: Waiting,
    pub failures: Failures,
}

/// Since when something has been so, by cluster. On the monotonic clock; forgotten at a restart, which costs a moment.
#[derive(Debug, Default)]
pub struct Since(Mutex<HashMap<String, Instant>>);

impl Since {
    /// Time since it was first seen.
    pub fn waited(&self, uid: &str) -> Duration {
        lock(&self.0).entry(uid.to_owned()).or_insert_with(Instant::now).elapsed()
    }

    /// It is so no more.
    pub fn done(&self, uid: &str) -> Duration {
        lock(&self.0).remove(uid);
        Duration::ZERO
    }
}

/// Since when clusters have waited for something, or were last looked at live because of it.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<String, Instant>>);

/// Long enough that a watch has told by then what there is to tell, short enough for a person who waits.
const LONG: Duration = Duration::from_secs(20);

impl Waiting {
    /// Whether a cluster has waited for long; then the time begins anew.
    pub fn is_long(&self, uid: &str, waits: bool, now: Instant) -> bool {
        let mut since = lock(&self.0);
        if !waits {
            since.remove(uid);
            return false;
        }
        let begun = since.entry(uid.to_owned()).or_insert(now);
        let long = now.duration_since(*begun) >= LONG;
        if long {
            *begun = now;
        }
        long
    }
}

/// How often each cluster's reconciliation failed in a row.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, u32>>);

/// First wait after a failure; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

impl Failures {
    /// Notes a failure. Gives the time to wait: longer each time.
    pub fn wait(&self, cluster: &EtcdCluster) -> Duration {
        let mut failures = lock(&self.0);
        let count = failures.entry(cluster.uid().unwrap_or_default()).or_default();
        let wait = SHORTEST.saturating_mul(1 << (*count).min(10)).min(LONGEST);
        *count += 1;
        wait
    }

    /// It went well.
    pub fn clear(&self, cluster: &EtcdCluster) {
        lock(&self.0).remove(&cluster.uid().unwrap_or_default());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_looked_at_live_now_and_then() {
        let (waiting, begun) = (Waiting::default(), Instant::now());
        assert!(!waiting.is_long("u", true, begun));
        assert!(waiting.is_long("u", true, begun + LONG));
        assert!(!waiting.is_long("u", true, begun + LONG), "the time begins anew");
        assert!(!waiting.is_long("u", false, begun + 2 * LONG), "one that waits no more is not looked at");
    }
}
