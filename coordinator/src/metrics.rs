//! Metrics of the coordinator itself, and what it knows of each cluster. The members' own are served by their agents. All of
//! them are in `manifests/monitoring/metrics/coordinator.txt`, which alerts are held to.

mod clusters;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use clusters::Clusters;
use etcd_operator_shared::api::{EtcdCluster, cluster::Phase};
use jiff::Timestamp;
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
    clusters: Clusters,
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
        let clusters = Clusters::default();
        clusters.register(&mut registry);
        let (registry, stores) = (Arc::new(registry), Arc::default());
        Self {
            registry,
            reconciles,
            errors,
            duration,
            writes,
            phases,
            leader,
            silences,
            rolls,
            halted,
            clusters,
            stores,
        }
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

    /// Whether this process acts from now on. One that stands by has no clusters to count, and nothing rolls by it.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.rolls.clear();
            self.halted.set(0);
            self.stores.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// In the OpenMetrics text format. `silences`: how long the watches of each kind were not heard.
    #[must_use]
    pub fn text(&self, silences: impl IntoIterator<Item = (String, Duration)>) -> String {
        let clusters = self.known();
        self.count_phases(&clusters);
        self.clusters.tell(&clusters, Timestamp::now());
        self.silences.clear();
        for (kind, silence) in silences {
            self.silences.get_or_create(&OfKind { kind }).set(silence.as_secs_f64());
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The clusters of all scopes.
    fn known(&self) -> Vec<Arc<EtcdCluster>> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.iter().flat_map(Store::state).collect()
    }

    fn count_phases(&self, clusters: &[Arc<EtcdCluster>]) {
        self.phases.clear();
        for cluster in clusters {
            let phase = cluster.status.as_ref().and_then(|s| s.phase);
            let phase = phase.map_or_else(|| "Unknown".to_owned(), |p: Phase| format!("{p:?}"));
            self.phases.get_or_create(&InPhase { phase }).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/monitoring/metrics/coordinator.txt");

    #[test]
    fn they_are_those_that_the_alerts_are_held_to() {
        let metrics = Metrics::default();
        metrics.leads(true);
        metrics.wrote("Pod", "delete");
        metrics.reconciled(Duration::from_millis(3), false);
        metrics.rolls(0, 0, 0, false);
        let (reader, mut writer) = kube::runtime::reflector::store();
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(clusters::tests::well_cluster()));
        metrics.follow(reader);
        let text = metrics.text([("pods".to_owned(), Duration::from_millis(1500))]);
        let text = text.replace(env!("CARGO_PKG_VERSION"), "0.1.0");
        // When the backup before the last one was due changes with the hour.
        let lines = |text: &str| -> BTreeSet<String> {
            text.lines()
                .map(|line| {
                    line.rsplit_once(' ').filter(|_| line.contains("_due_")).map_or(line, |(name, _)| name).to_owned()
                })
                .collect()
        };
        let golden = std::fs::read_to_string(GOLDEN).unwrap();
        assert_eq!(lines(&text), lines(&golden), "manifests/monitoring/metrics/coordinator.txt should be\n{text}");
    }

    #[test]
    fn who_stands_by_tells_of_no_cluster_and_no_roll() {
        let metrics = Metrics::default();
        metrics.rolls(1, 1, 1, true);
        metrics.leads(false);
        let text = metrics.text([]);
        assert!(!text.contains("rolls{") && text.contains("etcd_coordinator_rolls_halted 0"), "{text}");
    }
}
