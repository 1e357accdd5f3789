//! EtcdRestore: data that an EtcdCluster begins with, or goes on with in place of its own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cluster::Store, word};

/// Data for an EtcdCluster: for one that has not begun yet and names this object in `spec.bootstrap.restore`, or in place of what
/// one has.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[kube(
    group = "etcd.etcd.io",
    version = "v1alpha1",
    kind = "EtcdRestore",
    plural = "etcdrestores",
    shortname = "etcdr",
    category = "etcd",
    namespaced,
    status = "EtcdRestoreStatus",
    derive = "PartialEq",
    doc = "Data for an EtcdCluster of the same namespace: what it begins with, where it names this object in spec.bootstrap.restore; or what takes the place of its present data (replacesIncarnation). Another etcd opens it before anything is touched.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "EtcdCluster that begins with it"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "How far it is, in one word"),
    printcolumn(name = "Source", type_ = "string", json_path = ".status.source", description = "Backup that it is"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision", description = "Revision of the store in it"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is or is not done"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec == oldSelf.spec || (has(self.spec.source.survivors) && has(oldSelf.spec.source.survivors) && !has(oldSelf.spec.replacesIncarnation) && self.spec.cluster == oldSelf.spec.cluster)").message("an EtcdRestore is not changed, but for one of survivors as long as it lacks replacesIncarnation: make another one")
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdRestoreSpec {
    /// Name of the EtcdCluster, in the same namespace.
    #[schemars(length(min = 1, max = 52))]
    pub cluster: String,
    /// What is restored.
    #[x_kube(validation = Rule::new("[has(self.backup), has(self.stored), has(self.survivors)].filter(named, named).size() == 1").message("source takes one of backup, stored and survivors"))]
    pub source: Source,
    /// Number of the incarnation whose place it takes (`status.incarnation.number` of the EtcdCluster): a person's word that this very
    /// data may be replaced. Once another etcd has opened what is restored, all members are stopped, their data is set aside on their
    /// volumes, and the cluster goes on with what is restored, under the same names, certificates and users. Until the members are
    /// stopped, deleting this object takes it back. Left out, the cluster must not have begun yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub replaces_incarnation: Option<i64>,
}

/// What is restored.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Name of a verified EtcdBackup of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub backup: Option<String>,
    /// A backup in a store, of a cluster that may be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// What the volumes of the cluster's own members still hold, where a quorum is lost, or of an earlier incarnation: the log that is
    /// furthest on, with all that a member has ever acknowledged of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survivors: Option<Survivors>,
}

/// The volumes that are left of a cluster.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Survivors {
    /// Names of the members whose volumes are lost. Every other one is read, and waited for: what only a lost one holds is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub lost: Vec<String>,
    /// Number of the incarnation whose data is read; left out, it is the present one. An earlier one's was set aside on the volumes when
    /// its place was taken: this takes that back, as long as the data is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub incarnation: Option<i64>,
}

/// A backup in a store.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// The store.
    pub store: Store,
    /// Secret of the same namespace with its credentials.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// The cluster that it is of: namespace, name and UID with `/` between them, as its objects stand in the store; without the UID,
    /// the cluster of that name whose backup is the newest.
    #[schemars(length(max = 400))]
    #[x_kube(validation = Rule::new("self.matches('^[-a-z0-9]+/[-a-z0-9]+(/[-a-z0-9]+)?$')").message("source.stored.cluster must be namespace/name or namespace/name/UID"))]
    pub cluster: String,
    /// Which one, as `etcd-agent snapshot list` names it. Left out, it is the newest that was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub snapshot: Option<String>,
}

/// What became of it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EtcdRestoreStatus {
    /// Generation of the object that this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word::known")]
    pub phase: Option<RestorePhase>,
    /// Ready: the cluster serves what was restored. Stalled: a person must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What was found and opened: from here on, only these very bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub source: Option<String>,
    /// SHA-256 of the snapshot file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// Bytes of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Revision of the store in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Where members fetch it while the cluster begins: address and port of a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub from: Option<String>,
    /// By how much revisions are raised, so that none that a client has seen comes back with other content. Left out, by nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bump: Option<i64>,
    /// Member on whose volume the data was found, and which gives it to the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub seed: Option<String>,
    /// What was read on the volumes that are left, by member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["member"]))]
    pub volumes: Vec<Volume>,
    /// How often it was tried without success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i32,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// What was read on a member's volume.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name of the member.
    #[schemars(length(max = 63))]
    pub member: String,
    /// Raft term and index of the last entry of its log: the volume with the highest is the furthest on.
    pub term: i64,
    pub index: i64,
    /// Index up to which this member knew that a quorum has what it has.
    pub commit: i64,
    /// Revision of the store with all of the log.
    pub revision: i64,
}

/// How far a restore is.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorePhase {
    /// It waits for its cluster, or for its source.
    Pending,
    /// A person is to say that the present data may be replaced.
    AwaitingApproval,
    /// The members are stopped, so that their volumes can be read. Deleting the object starts them again as they were.
    Stopping,
    /// Another etcd opens the data.
    Rehearsing,
    /// The members fetch the data and begin with it.
    Restoring,
    /// The cluster serves what was restored.
    Completed,
    /// It cannot be restored.
    Failed,
}
