//! What is told of each cluster, from its status alone. What the status does not say is not told: it is not zero.
//!
//! A series a cluster and metric is no burden for hundreds of clusters and one for thousands: above [`MOST`] only those are
//! told of that are not well. A cluster that is well again is told of no more, and its alerts clear.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Phase},
    schedule::Rhythm,
};
use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

/// As many clusters are told of one by one, whatever they do.
const MOST: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    namespace: String,
    cluster: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPhase {
    namespace: String,
    cluster: String,
    phase: String,
}

/// One gauge a cluster.
type Each = Family<Of, Gauge>;

/// Handles to the metrics; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Clusters {
    phase: Family<InPhase, Gauge>,
    available: Each,
    ready: Each,
    wanted: Each,
    stalled: Each,
    healthy: Each,
    verified: Each,
    due: Each,
}

impl Clusters {
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { phase, available, ready, wanted, stalled, healthy, verified, due } = self;
        registry.register("cluster_phase", "What a cluster is doing, in one word", phase.clone());
        let mut each = |name, help, family: &Each| registry.register(name, help, family.clone());
        each("cluster_available", "Whether a quorum serves, of a cluster that has been formed", available);
        each("cluster_ready_members", "Members that serve", ready);
        each("cluster_wanted_members", "Members that are wanted", wanted);
        each("cluster_stalled", "Whether a person must act before anything goes on", stalled);
        each("cluster_backup_healthy", "Whether backups are stored in time and found to be right", healthy);
        let help =
            "When the newest backup was taken that another etcd has opened and found right, in seconds since 1970";
        each("cluster_backup_verified_timestamp_seconds", help, verified);
        let help = "When the backup before the last one was due by schedule, in seconds since 1970";
        each("cluster_backup_due_timestamp_seconds", help, due);
    }

    /// Tells of these clusters and no others.
    pub(super) fn tell(&self, clusters: &[Arc<EtcdCluster>], now: Timestamp) {
        let Self { phase, available, ready, wanted, stalled, healthy, verified, due } = self;
        phase.clear();
        for family in [available, ready, wanted, stalled, healthy, verified, due] {
            family.clear();
        }
        for cluster in clusters {
            let seen = Seen::of(cluster);
            if clusters.len() <= MOST || !seen.is_well() {
                self.tell_one(cluster, &seen, now);
            }
        }
    }

    fn tell_one(&self, cluster: &EtcdCluster, seen: &Seen, now: Timestamp) {
        let of = Of { namespace: cluster.namespace().unwrap_or_default(), cluster: cluster.name_any() };
        let tell = |family: &Each, value: Option<i64>| {
            if let Some(value) = value {
                family.get_or_create(&of).set(value);
            }
        };
        let Of { namespace, cluster: name } = of.clone();
        if let Some(phase) = seen.phase {
            self.phase.get_or_create(&InPhase { namespace, cluster: name, phase: format!("{phase:?}") }).set(1);
        }
        tell(&self.available, seen.available.map(i64::from));
        tell(&self.ready, seen.members.map(|(ready, _)| ready));
        tell(&self.wanted, seen.members.map(|(_, wanted)| wanted));
        tell(&self.stalled, seen.stalled.map(i64::from));
        tell(&self.healthy, seen.backup_healthy.map(i64::from));
        tell(&self.verified, seen.verified.map(Timestamp::as_second));
        tell(&self.due, seen.runs().then(|| due(cluster, now)).flatten().map(Timestamp::as_second));
    }
}

/// What a status says.
struct Seen {
    phase: Option<Phase>,
    /// `None` also of one that has never been formed: it is made, and nobody has lost it.
    available: Option<bool>,
    /// Members that serve, and those that are wanted.
    members: Option<(i64, i64)>,
    stalled: Option<bool>,
    /// `None` also where no store is named, or nothing is known of what is in it.
    backup_healthy: Option<bool>,
    verified: Option<Timestamp>,
}

impl Seen {
    fn of(cluster: &EtcdCluster) -> Self {
        let status = cluster.status.as_ref();
        let condition = |kind: &str| {
            let of_kind = |status: &&str| match *status {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            };
            let found = status?.conditions.iter().find(|condition| condition.type_ == kind)?;
            of_kind(&found.status.as_str())
        };
        let members = |text: &str| {
            let (ready, wanted) = text.split_once('/')?;
            Some((ready.parse().ok()?, wanted.parse().ok()?))
        };
        let backup = status.and_then(|status| status.backup.as_ref());
        Self {
            phase: status.and_then(|status| status.phase),
            available: status.and_then(|status| status.cluster_id.as_ref()).and_then(|_| condition("Available")),
            members: status.and_then(|status| status.ready.as_deref()).and_then(members),
            stalled: condition("Stalled"),
            backup_healthy: condition("BackupHealthy"),
            verified: backup.and_then(|backup| backup.last_verified_time.as_ref()?.parse().ok()),
        }
    }

    /// Whether members are meant to run.
    fn runs(&self) -> bool {
        self.phase != Some(Phase::Stopped) && self.members.is_some_and(|(_, wanted)| wanted > 0)
    }

    /// Whether nobody needs to be told of it.
    fn is_well(&self) -> bool {
        let rests = matches!(self.phase, Some(Phase::Running | Phase::Stopped | Phase::Paused));
        let whole = self.members.is_some_and(|(ready, wanted)| ready == wanted);
        rests && whole && self.stalled != Some(true) && self.backup_healthy != Some(false)
    }
}

/// The time before the last one of the schedule that comes most often: nothing verified since then means that two in a row
/// are missing.
fn due(cluster: &EtcdCluster, now: Timestamp) -> Option<Timestamp> {
    let schedules = cluster.spec.backup.as_ref()?.schedules.iter().filter(|schedule| !schedule.suspend);
    let before_the_last = schedules.filter_map(|schedule| {
        let rhythm = Rhythm::parse(&schedule.cron, schedule.time_zone.as_deref()).ok()?;
        let last = rhythm.last(now)?;
        rhythm.last(last.checked_sub(jiff::SignedDuration::from_mins(1)).ok()?)
    });
    before_the_last.max()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOON: &str = "2026-11-27T12:10:00Z";

    pub fn well_cluster() -> EtcdCluster {
        Arc::unwrap_or_clone(cluster("demo", &well()))
    }

    fn cluster(name: &str, status: &Value) -> Arc<EtcdCluster> {
        let schedules = json!([{"name": "h", "cron": "0 * * * *"}, {"name": "d", "cron": "0 0 * * *"}]);
        let backup = json!({"store": {"s3": {"bucket": "bucket"}}, "schedules": schedules});
        let object = json!({
            "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster",
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"version": "v3.5.21", "backup": backup}, "status": status,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn condition(kind: &str, status: &str) -> Value {
        json!({"type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": NOON})
    }

    fn well() -> Value {
        let healthy = [("Available", "True"), ("Stalled", "False"), ("BackupHealthy", "True")];
        json!({
            "phase": "Running", "clusterId": "c", "ready": "3/3",
            "conditions": healthy.map(|(kind, status)| condition(kind, status)),
            "backup": {"lastVerified": "demo-h", "lastVerifiedTime": "2026-11-27T12:00:20Z"},
        })
    }

    fn with(change: &Value) -> Value {
        let mut all = well();
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    }

    fn told(clusters: &[Arc<EtcdCluster>]) -> String {
        let (mut registry, metrics, mut text) = (Registry::default(), Clusters::default(), String::new());
        metrics.register(&mut registry);
        // Twice: the second time tells of nothing that is not there any more.
        metrics.tell(&[cluster("former", &well())], NOON.parse().unwrap());
        metrics.tell(clusters, NOON.parse().unwrap());
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_cluster_is_told_of_by_namespace_and_name() {
        let text = told(&[cluster("demo", &well())]);
        for line in [
            r#"cluster_phase{namespace="ns",cluster="demo",phase="Running"} 1"#,
            r#"cluster_available{namespace="ns",cluster="demo"} 1"#,
            r#"cluster_ready_members{namespace="ns",cluster="demo"} 3"#,
            r#"cluster_wanted_members{namespace="ns",cluster="demo"} 3"#,
            r#"cluster_stalled{namespace="ns",cluster="demo"} 0"#,
            r#"cluster_backup_healthy{namespace="ns",cluster="demo"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("former"), "{text}");
    }

    #[test]
    fn a_backup_is_missed_when_there_was_none_since_the_last_but_one() {
        let due = due(&cluster("demo", &well()), NOON.parse().unwrap());
        assert_eq!(due, Some("2026-11-27T11:00:00Z".parse().unwrap()));
        let stopped = told(&[cluster("demo", &with(&json!({"phase": "Stopped", "ready": "0/0"})))]);
        assert!(!stopped.contains("due"), "one that is stopped has nothing to store: {stopped}");
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        assert_eq!(told(&[cluster("demo", &Value::Null)]), "");
        let never = with(&json!({"clusterId": null, "phase": "Creating", "ready": "0/3", "backup": null}));
        let text = told(&[cluster("demo", &never)]);
        assert!(!text.contains("available") && !text.contains("verified"), "{text}");
        let unclear = json!([condition("Available", "Unknown")]);
        let text = told(&[cluster("demo", &with(&json!({"conditions": unclear})))]);
        assert!(!text.contains("available") && !text.contains("stalled") && !text.contains("healthy"), "{text}");
    }

    #[test]
    fn of_very_many_only_those_are_told_of_that_are_not_well() {
        let mut all: Vec<_> = (0..MOST).map(|number| cluster(&format!("c{number}"), &well())).collect();
        assert_eq!(told(&all).matches("cluster_available").count(), MOST);
        let stalled = json!([condition("Stalled", "True")]);
        let changes =
            [json!({"phase": "Degraded", "ready": "2/3"}), json!({"conditions": stalled}), json!({"phase": "Paused"})];
        all.extend(changes.iter().enumerate().map(|(number, change)| cluster(&format!("x{number}"), &with(change))));
        let text = told(&all);
        assert!(text.contains("x0") && text.contains("x1") && !text.contains("x2") && !text.contains("c0"), "{text}");
    }
}
