//! One cluster on one page.

use etcd_operator_shared::api::{
    EtcdBackup, EtcdCluster, EtcdMember,
    backup::BackupPhase,
    cluster::{Chore, Encrypted, Phase, Roll},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::{
    answer::Answer,
    row::{self, Row},
};
use crate::{
    apiserver::lists::{Known, Listed},
    failure::line,
    verdict::Verdict,
};

/// One cluster.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub size: i32,
    /// Members that serve, of those wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    pub version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<String>,
    /// Which traffic is encrypted.
    pub encrypted: Encrypted,
    pub backups: Backups,
    /// What agents have lately done for the databases, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chores: Vec<Chore>,
    pub conditions: Vec<Said>,
    pub members: Vec<Row>,
    /// What else a reader should know, such as what could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Which etcd runs, and which is wanted.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub wanted: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// On which the members have agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll: Option<Roll>,
}

/// What there is of backups.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Backups {
    pub has_store: bool,
    pub schedules: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified_time: Option<Timestamp>,
    /// Those that are being taken or opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under_way: Vec<String>,
}

/// One condition.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: Answer,
    pub reason: String,
    pub message: String,
    pub since: Timestamp,
}

/// All that a page is made of.
pub struct Sources {
    pub cluster: EtcdCluster,
    pub members: Known<Listed<EtcdMember>>,
    pub pods: Known<Vec<Pod>>,
    pub backups: Known<Vec<EtcdBackup>>,
}

impl Page {
    #[must_use]
    pub fn of(from: &Sources) -> Self {
        let Sources { cluster, members, pods, backups } = from;
        let status = cluster.status.clone().unwrap_or_default();
        let encrypted = status.incarnation.as_ref().map(|one| one.encrypted).unwrap_or_default();
        Self {
            namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
            name: cluster.metadata.name.clone().unwrap_or_default(),
            created: cluster.metadata.creation_timestamp.as_ref().map(|time| time.0),
            phase: status.phase,
            size: cluster.spec.size,
            serving: status.ready.clone(),
            leader: status.leader.clone(),
            version: Version {
                wanted: cluster.spec.version.clone(),
                running: status.version.clone(),
                cluster: status.cluster_version.clone(),
                roll: status.roll.clone(),
            },
            incarnation: status.incarnation.as_ref().map(|one| one.number),
            cluster_id: status.cluster_id.clone(),
            db_size: status.db_size.clone(),
            volume_size: status.volume_size.clone(),
            encrypted,
            backups: backups_of(cluster, backups),
            chores: status.chores.clone(),
            conditions: conditions(cluster),
            members: row::of(cluster, members, pods),
            remarks: remarks(from),
        }
    }

    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Said> {
        self.conditions.iter().find(|one| one.kind == kind)
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of_health(self.condition("Ready").is_some_and(|ready| ready.status == Answer::True))
    }
}

/// As the coordinator wrote them.
#[must_use]
pub fn conditions(cluster: &EtcdCluster) -> Vec<Said> {
    let all = cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let said = all.iter().map(|one| Said {
        kind: one.type_.clone(),
        status: Answer::of(&one.status),
        reason: one.reason.clone(),
        message: line(&one.message),
        since: one.last_transition_time.0,
    });
    said.collect()
}

fn backups_of(cluster: &EtcdCluster, known: &Known<Vec<EtcdBackup>>) -> Backups {
    let summary = cluster.status.as_ref().and_then(|status| status.backup.clone()).unwrap_or_default();
    let schedules = cluster.spec.backup.as_ref().map(|backup| backup.schedules.as_slice()).unwrap_or_default();
    let under_way = known.read().into_iter().flatten().filter_map(|one| {
        let phase = one.status.as_ref().and_then(|status| status.phase);
        let word = match phase? {
            BackupPhase::Pending => "pending",
            BackupPhase::Taking => "being taken",
            BackupPhase::Verifying => "being verified",
            BackupPhase::Verified | BackupPhase::Failed => return None,
        };
        Some(format!("{} is {word}", one.metadata.name.as_deref().unwrap_or_default()))
    });
    Backups {
        has_store: cluster.spec.backup.is_some(),
        schedules: schedules.iter().filter(|schedule| !schedule.suspend).count(),
        last_verified: summary.last_verified,
        last_verified_time: summary.last_verified_time.and_then(|time| time.parse().ok()),
        under_way: under_way.collect(),
    }
}

fn remarks(from: &Sources) -> Vec<String> {
    let Sources { cluster, members, pods, backups } = from;
    let caveats = [members.caveat(), pods.caveat(), backups.caveat().filter(|_| cluster.spec.backup.is_some())];
    let caveats = caveats.into_iter().flatten().map(ToOwned::to_owned);
    let unreadable = members.read().into_iter().flat_map(|listed| listed.unreadable.clone());
    unseen(cluster).into_iter().chain(caveats).chain(unreadable).collect()
}

/// Whether the status speaks of an older spec.
#[must_use]
pub fn unseen(cluster: &EtcdCluster) -> Option<String> {
    let seen = cluster.status.as_ref().and_then(|status| status.observed_generation);
    match seen {
        None => Some("no coordinator has looked at it yet".to_owned()),
        seen if seen < cluster.metadata.generation => {
            Some("no coordinator has looked at the newest spec yet: what is shown is of the one before".to_owned())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub fn at() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-11-27T11:00:00Z"})
    }

    /// A cluster that is as it should be, led by its first member.
    pub fn cluster(size: u32) -> EtcdCluster {
        let members: Vec<Value> = (0..size)
            .map(|k| (k, if k == 0 { "Leader" } else { "Follower" }))
            .map(|(k, role)| json!({"name": format!("demo-{k}"), "id": "a", "role": role, "ready": "True"}))
            .collect();
        let message = format!("{size}/{size} members serve, demo-0 leads");
        serde_json::from_value(json!({
            "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster",
            "metadata": {"name": "demo", "namespace": "ns", "uid": "u", "generation": 1,
                "creationTimestamp": "2026-11-27T10:00:00Z"},
            "spec": {"size": size, "version": "v3.5.21"},
            "status": {
                "observedGeneration": 1, "phase": "Running", "leader": "demo-0", "version": "v3.5.21",
                "clusterVersion": "3.5", "ready": format!("{size}/{size}"), "replicas": size, "dbSize": "20Mi", "volumeSize": "8Gi",
                "clusterId": "c1", "operator": "ops/etcd-coordinator",
                "incarnation": {"number": 1, "token": "t", "initialMembers": ["demo-0"], "membersCreated": true,
                    "quotaBackend": "2Gi"},
                "conditions": [
                    condition("Ready", "True", "AllMembersServe", &message),
                    condition("Available", "True", "QuorumServes", &message),
                    condition("Reconciling", "False", "UpToDate", "the spec is applied"),
                    condition("Stalled", "False", "NotStalled", "nothing waits for a person"),
                ],
                "members": members,
            },
        }))
        .unwrap()
    }

    /// Puts another condition in the place of the one of its type.
    pub fn say(cluster: &mut EtcdCluster, kind: &str, status: &str, reason: &str, message: &str) {
        let conditions = &mut cluster.status.as_mut().unwrap().conditions;
        conditions.retain(|one| one.type_ != kind);
        conditions.push(serde_json::from_value(condition(kind, status, reason, message)).unwrap());
    }

    /// A member whose agent speaks in the pod of `pod`.
    pub fn member(name: &str, ready: bool) -> EtcdMember {
        serde_json::from_value(json!({
            "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdMember", "metadata": {"name": name, "namespace": "ns"},
            "spec": {"clusterName": "demo", "clusterUid": "u", "incarnation": 1, "token": "t",
                "initialMembers": ["demo-0"], "size": 3},
            "status": {
                "podUid": format!("uid-of-{name}"), "ready": ready, "phase": "Running",
                "role": if name == "demo-0" { "Leader" } else { "Follower" }, "memberId": "a", "version": "v3.5.21",
                "settled": ready, "dbSize": 20_971_520, "dbSizeInUse": 10_485_760, "restarts": 0, "address": "10.0.0.1",
                "agentVersion": "0.1.0", "term": 3,
                "reason": if ready { "" } else { "NoQuorum" },
                "message": if ready { "" } else { "etcd finds no majority of members" },
            },
        }))
        .unwrap()
    }

    pub fn pod(name: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-of-{name}")},
            "spec": {"nodeName": format!("node-of-{name}"), "containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    /// All that is read of a cluster that is well.
    pub fn sources(size: u32) -> Sources {
        let names: Vec<String> = (0..size).map(|k| format!("demo-{k}")).collect();
        Sources {
            cluster: cluster(size),
            members: Known::Read(Listed {
                items: names.iter().map(|name| member(name, true)).collect(),
                unreadable: vec![],
            }),
            pods: Known::Read(names.iter().map(|name| pod(name, "True")).collect()),
            backups: Known::Read(vec![]),
        }
    }

    #[test]
    fn a_cluster_is_well_when_the_condition_ready_is_true() {
        let mut sources = sources(3);
        assert_eq!(Page::of(&sources).verdict(), Verdict::Good);
        for status in ["False", "Unknown"] {
            say(&mut sources.cluster, "Ready", status, "MembersMissing", "2/3 members serve");
            assert_eq!(Page::of(&sources).verdict(), Verdict::Unhealthy, "{status}");
        }
        sources.cluster.status = None;
        assert_eq!(Page::of(&sources).verdict(), Verdict::Unhealthy);
    }

    #[test]
    fn what_may_not_be_read_is_a_remark() {
        let pods = Known::Unread("not allowed to read pods".to_owned());
        let page = Page::of(&Sources { pods, ..sources(3) });
        assert_eq!(page.remarks, ["not allowed to read pods"]);
        assert_eq!(page.members.len(), 3);
    }

    #[test]
    fn a_status_of_an_older_spec_is_said_to_be_one() {
        let mut sources = sources(3);
        sources.cluster.metadata.generation = Some(2);
        assert!(Page::of(&sources).remarks[0].contains("newest spec"));
    }
}
