//! All clusters, a line each: made of the EtcdClusters alone, whatever their number.

use etcd_operator_shared::api::{EtcdCluster, cluster::Phase};
use jiff::Timestamp;
use serde::Serialize;

use super::{answer::Answer, page};
use crate::{apiserver::lists::Listed, verdict::Verdict};

/// All that were asked for.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    pub clusters: Vec<Line>,
    /// A line for each object that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// One cluster.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub ready: Answer,
    /// Of the condition Ready.
    pub reason: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified_backup: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl Fleet {
    #[must_use]
    pub fn of(listed: Listed<EtcdCluster>) -> Self {
        let mut clusters: Vec<Line> = listed.items.iter().map(Line::of).collect();
        clusters.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Self { clusters, remarks: listed.unreadable }
    }

    /// How many are Ready, of how many.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.clusters.iter().filter(|line| line.ready == Answer::True).count(), self.clusters.len())
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (ready, all) = self.count();
        Verdict::of_health(ready == all && self.remarks.is_empty())
    }
}

impl Line {
    fn of(cluster: &EtcdCluster) -> Self {
        let status = cluster.status.clone().unwrap_or_default();
        let ready = page::conditions(cluster).into_iter().find(|one| one.kind == "Ready");
        let (answer, reason, message) = match ready {
            Some(said) => (said.status, said.reason, said.message),
            None => (Answer::Unknown, "NotSeen".to_owned(), page::unseen(cluster).unwrap_or_default()),
        };
        Self {
            namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
            name: cluster.metadata.name.clone().unwrap_or_default(),
            phase: status.phase,
            ready: answer,
            reason,
            message,
            serving: status.ready,
            version: status.version,
            leader: status.leader,
            db_size: status.db_size,
            last_verified_backup: status.backup.and_then(|backup| backup.last_verified_time?.parse().ok()),
            created: cluster.metadata.creation_timestamp.as_ref().map(|time| time.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::page::tests::{cluster, say};

    #[test]
    fn a_fleet_is_as_well_as_its_worst_cluster() {
        let listed = |items| Listed { items, unreadable: vec![] };
        assert_eq!(Fleet::of(listed(vec![])).verdict(), Verdict::Good);
        assert_eq!(Fleet::of(listed(vec![cluster(3), cluster(1)])).verdict(), Verdict::Good);
        let mut ill = cluster(3);
        say(&mut ill, "Ready", "False", "MembersMissing", "2/3 members serve");
        let fleet = Fleet::of(listed(vec![cluster(3), ill]));
        assert_eq!((fleet.verdict(), fleet.count()), (Verdict::Unhealthy, (1, 2)));
    }

    #[test]
    fn a_cluster_that_no_coordinator_has_seen_is_not_known_to_be_ready() {
        let mut new = cluster(3);
        new.status = None;
        let fleet = Fleet::of(Listed { items: vec![new], unreadable: vec![] });
        assert_eq!((fleet.clusters[0].ready, fleet.clusters[0].reason.as_str()), (Answer::Unknown, "NotSeen"));
    }
}
