//! Metrics of the coordinator itself. The members' own are served by their agents.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use etcd_operator_shared::api::{EtcdCluster, cluster::Phase};
use kube::runtime::reflector::Store;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: String,
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPhase {
    phase: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

/// Handles to all metrics; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Counter<u64, AtomicU64>,
    errors: Counter<u64, AtomicU64>,
    duration: Histogram,
    writes: Family<Write, Counter<u64, AtomicU64>>,
    phases: Family<InPhase, Gauge<i64, AtomicI64>>,
    leader: Gauge<i64, AtomicI64>,
    silences: Family<OfKind, Gauge<f64, AtomicU64>>,
    rolls: Family<InState, Gauge<i64, AtomicI64>>,
    halted: Gauge<i64, AtomicI64>,
    stores: Arc<Mutex<Vec<Store<EtcdCluster>>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("etcd_coordinator");
        let reconciles = Counter::default();
        let errors = Counter::default();
        // 1 ms (nothing to do) to 8 s (the API server's patience is 10 s).
        let duration = Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let (writes, phases, leader) = (Family::default(), Family::default(), Gauge::default());
        let silences = Family::<OfKind, Gauge<f64, AtomicU64>>::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", build);
        registry.register("reconciles", "Reconciliations, failed ones among them", reconciles.clone());
        registry.register("reconcile_errors", "Reconciliations that failed", errors.clone());
        registry.register("reconcile_duration_seconds", "Time that a reconciliation took", duration.clone());
        registry.register("api_writes", "Writes to the API server", Family::clone(&writes));
        registry.register("clusters", "EtcdClusters by phase", Family::clone(&phases));
        registry.register("is_leader", "1 while this process acts, 0 while it stands by", leader.clone());
        registry.register("watch_silence_seconds", "Time since a watch of this kind was last heard", silences.clone());
        let (rolls, halted) = (Family::<InState, Gauge<i64, AtomicI64>>::default(), Gauge::default());
        registry.register(
            "rolls",
            "Clusters that roll, wait for a turn to, or have not ended well in time",
            rolls.clone(),
        );
        registry.register(
            "rolls_halted",
            "1 while no more rolls begin because the last have gone wrong",
            halted.clone(),
        );
        let (registry, stores) = (Arc::new(registry), Arc::default());
        Self { registry, reconciles, errors, duration, writes, phases, leader, silences, rolls, halted, stores }
    }
}

impl Metrics {
    /// Counts the clusters of this store from now on.
    pub fn follow(&self, store: Store<EtcdCluster>) {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).push(store);
    }

    pub fn wrote(&self, kind: &str, verb: &'static str) {
        self.writes.get_or_create(&Write { kind: kind.to_owned(), verb }).inc();
    }

    pub fn reconciled(&self, took: Duration, failed: bool) {
        self.reconciles.inc();
        self.errors.inc_by(u64::from(failed));
        self.duration.observe(took.as_secs_f64());
    }

    /// How many clusters roll, wait to, and have gone wrong; whether no more begin because of that.
    pub fn rolls(&self, rolling: usize, waiting: usize, failed: usize, halted: bool) {
        for (state, count) in [("rolling", rolling), ("waiting", waiting), ("failed", failed)] {
            self.rolls.get_or_create(&InState { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.halted.set(i64::from(halted));
    }

    /// Whether this process acts from now on. One that stands by has no clusters to count.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.stores.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// In the OpenMetrics text format. `silences`: how long the watches of each kind were not heard.
    #[must_use]
    pub fn text(&self, silences: impl IntoIterator<Item = (String, Duration)>) -> String {
        self.count_phases();
        self.silences.clear();
        for (kind, silence) in silences {
            self.silences.get_or_create(&OfKind { kind }).set(silence.as_secs_f64());
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn count_phases(&self) {
        self.phases.clear();
        for store in self.stores.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for cluster in store.state() {
                let phase = cluster.status.as_ref().and_then(|s| s.phase);
                let phase = phase.map_or_else(|| "Unknown".to_owned(), |p: Phase| format!("{p:?}"));
                self.phases.get_or_create(&InPhase { phase }).inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_end_in_total_and_carry_their_labels() {
        let metrics = Metrics::default();
        metrics.wrote("Pod", "delete");
        metrics.reconciled(Duration::from_millis(3), true);
        let text = metrics.text([("pods".to_owned(), Duration::from_millis(1500))]);
        assert!(text.contains(r#"etcd_coordinator_api_writes_total{kind="Pod",verb="delete"} 1"#), "{text}");
        assert!(text.contains("etcd_coordinator_reconcile_errors_total 1"), "{text}");
        assert!(text.contains(r#"etcd_coordinator_watch_silence_seconds{kind="pods"} 1.5"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
