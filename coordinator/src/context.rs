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
    pub forming: Forming,
    pub failures: Failures,
}

/// Since when clusters that form have had a first address. On the monotonic clock; forgotten at a restart, which costs a
/// forming cluster a second.
#[derive(Debug, Default)]
pub struct Forming(Mutex<HashMap<String, Instant>>);

impl Forming {
    /// Time since this cluster's first address was seen.
    pub fn waited(&self, uid: &str) -> Duration {
        lock(&self.0).entry(uid.to_owned()).or_insert_with(Instant::now).elapsed()
    }

    /// The cluster has its first list.
    pub fn done(&self, uid: &str) {
        lock(&self.0).remove(uid);
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
