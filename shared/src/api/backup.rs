//! EtcdBackup: one backup of an EtcdCluster, and whether it is known to be good.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cluster::Store, word};

/// One backup. Those of schedules are made by the operator; one that a user makes is taken at once. Deleting it deletes no bytes.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[kube(
    group = "etcd.etcd.io",
    version = "v1alpha1",
    kind = "EtcdBackup",
    plural = "etcdbackups",
    shortname = "etcdb",
    category = "etcd",
    namespaced,
    status = "EtcdBackupStatus",
    derive = "PartialEq",
    doc = "One backup of an EtcdCluster of the same namespace, taken at once. It counts once another etcd has opened it and found it equal to the original. Deleting this object deletes no bytes.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "EtcdCluster that it is of"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "How far it is, in one word"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision", description = "Revision of the store in it"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size", description = "Size of the snapshot"),
    printcolumn(name = "Verified", type_ = "string", json_path = ".status.conditions[?(@.type==\"Verified\")].status", description = "Whether another etcd has opened it and found it equal to the original"),
    printcolumn(name = "Member", type_ = "string", json_path = ".status.member", description = "Member that it was taken of"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Verified\")].reason", description = "Why it is or is not verified", priority = 1),
    printcolumn(name = "Location", type_ = "string", json_path = ".status.location", description = "Where in the store its manifest is", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec == oldSelf.spec").message("an EtcdBackup is not changed: make another one")
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdBackupSpec {
    /// Name of the EtcdCluster, in the same namespace. It says in `spec.backup` where backups go.
    #[schemars(length(min = 1, max = 52))]
    pub cluster: String,
    /// Name of the schedule by which it was taken. Set by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub schedule: Option<String>,
    /// Minute for which the schedule wanted it, such as `20261126T2300Z`. Set by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub slot: Option<String>,
}

/// What became of it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EtcdBackupStatus {
    /// Generation of the object that this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word::known")]
    pub phase: Option<BackupPhase>,
    /// Ready: it is verified. Verified: another etcd has opened it and found it equal to the original. Stalled: a person must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Store that it is in: as the cluster named it when the backup was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// Secret with that store's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// Key of its manifest in the store, with the store's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub location: Option<String>,
    /// Member that it was taken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub member: Option<String>,
    /// Version of etcd that it was taken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub version: Option<String>,
    /// SHA-256 of the snapshot file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// Bytes of the snapshot file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// The same, rounded, such as `20Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub size: Option<String>,
    /// Revision of the store in it. Until it is verified, one that is surely in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// When taking it began, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub started: Option<String>,
    /// When it was taken, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub taken: Option<String>,
    /// How often it was tried, to be taken or to be verified, without success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i32,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// How far a backup is.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupPhase {
    /// It waits for something before it is taken; the condition Verified says for what.
    Pending,
    /// A member streams it to the store.
    Taking,
    /// It is in the store, and another etcd opens it.
    Verifying,
    /// Another etcd has opened it and found it equal to the original.
    Verified,
    /// It was not taken, or is not what it should be: it is never restored.
    Failed,
}
