//! What the coordinator says of a cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    backup::{BackupSummary, Restored},
    maintenance::Chore,
    security::Encrypted,
};
use crate::api::word::{self, Word};

/// What the coordinator adds up from the members.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EtcdClusterStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What the cluster is doing, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word::known")]
    pub phase: Option<Phase>,
    /// Ready, Reconciling and Stalled as kstatus reads them, and conditions of etcd's own world.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The present life of the cluster's data. Written before anything else is made; the number only rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// The installation of the operator that acts on this cluster, by namespace and name of its Lease, such as
    /// `etcd-operator-system/etcd-coordinator`. Any other leaves the cluster alone while that Lease exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub operator: Option<String>,
    /// etcd's cluster ID, in hexadecimal as etcdctl prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub cluster_id: Option<String>,
    /// Name of the member that leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub leader: Option<String>,
    /// Version that the members run: the lowest while they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub version: Option<String>,
    /// Version of the cluster as etcd has agreed on it, such as `3.5`: it follows the members' when all of them run a newer minor
    /// version, and decides which versions may come next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub cluster_version: Option<String>,
    /// What pods are made with: what the spec says, unless the way there is refused or still waits for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<Etcd>,
    /// A change to another minor version that is under way. Written before anything is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll: Option<Roll>,
    /// Members that serve, of those wanted, such as `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub ready: Option<String>,
    /// Number of pods.
    #[serde(default)]
    pub replicas: i32,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// Largest database file of a member, rounded, such as `20Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub db_size: Option<String>,
    /// Size that the members' volumes were given or have asked for; it only grows, unless they move to smaller ones.
    #[schemars(length(max = 24))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<String>,
    /// Size of the database file at which etcd refuses writes, such as `2Gi`.
    #[schemars(length(max = 24))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_backend: Option<String>,
    /// What has grown by itself beyond what the spec says. It stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grown: Option<Grown>,
    /// That members move to other volumes, because `spec.storage` names another class or a smaller size. Written before anything is
    /// done about it, and gone when all have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Moving>,
    /// Its backups, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupSummary>,
    /// What agents have lately done for the databases, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub chores: Vec<Chore>,
    /// The members, by ordinal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub members: Vec<MemberSummary>,
}

/// What has grown by itself (`storage.autoGrow`).
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Grown {
    /// Size of the volumes, such as `12Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub volume_size: Option<String>,
    /// Quota of the databases, such as `3Gi`. Written before any member has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub quota_backend: Option<String>,
}

/// Members that move to other volumes, one after the other.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Moving {
    /// StorageClass of the volumes that they move to, where the spec names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class_name: Option<String>,
    /// Size of these.
    #[schemars(length(max = 24))]
    pub size: String,
    /// How many have moved.
    pub moved: i32,
    /// Of so many.
    pub members: i32,
}

/// An etcd that pods are made with.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    /// Such as `v3.5.21`.
    #[schemars(length(max = 16))]
    pub version: String,
    /// The whole reference of its image.
    #[schemars(length(max = 1024))]
    pub image: String,
}

/// A change to another minor version.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Roll {
    pub from: Etcd,
    pub to: Etcd,
}

/// What the cluster is doing, in one word.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The first members are being started.
    Creating,
    /// All wanted members serve.
    Running,
    /// The number of members is changing.
    Scaling,
    /// Pods are being replaced, one at a time, because their template changed.
    Upgrading,
    /// Members are missing, but a quorum serves.
    Degraded,
    /// No quorum serves.
    Unavailable,
    /// Size 0: no pods run; membership and data are kept.
    Stopped,
    /// Something only a person can decide holds the cluster; the Stalled condition says what.
    Stalled,
    /// It rests as the spec says, and a quorum serves; the Paused condition says what would be done.
    Paused,
    /// It was deleted, and waits for a finalizer; the Reconciling condition says for which.
    Deleting,
}

/// One life of a cluster's data.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Incarnation {
    /// 1 for the first life; it only rises.
    pub number: i64,
    /// etcd's --initial-cluster-token.
    #[schemars(length(max = 512))]
    pub token: String,
    /// UID that all objects of the cluster are labelled with: that of the EtcdCluster with which the data began, where a person
    /// has let this one go on with it (`storage.adopt`); else its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub data_uid: Option<String>,
    /// Names of the members that form the cluster. Fixed for the incarnation.
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub initial_members: Vec<String>,
    /// Quota of the database where `etcd.quotaBackend` names none: chosen by the size of the volumes when this life began, and kept
    /// when they grow, since a change restarts the members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub quota_backend: Option<String>,
    /// Which traffic is encrypted. Fixed for the incarnation, since etcd forms its IDs of URLs; left out, none is.
    #[serde(default, skip_serializing_if = "Encrypted::is_off")]
    pub encrypted: Encrypted,
    /// The data that this life began with; left out, it began empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// Whether the pods have a place for the credentials of a store of backups from the beginning: adding one changes no pod then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_store: bool,
    /// Whether all of these members' EtcdMembers were made. From then on one made again can never bootstrap.
    #[serde(default)]
    pub members_created: bool,
    /// Why this life is over, once no pod of it is left. Only then is the next one begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Word<End>>,
}

impl Incarnation {
    /// Why it is over, where this program knows the word.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self.ended.as_ref()? {
            Word::Known(end) => Some(*end),
            Word::Unknown(_) => None,
        }
    }
}

/// Why a life of a cluster's data is over.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The cluster was stopped, and its volumes are deleted as `retention.whenStopped` says.
    Stopped,
    /// A person gave the data up (`recovery.abandonIncarnation`); it is set aside on the volumes.
    Abandoned,
}

/// One member in the cluster's status.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MemberSummary {
    /// Name of the member, its pod and its EtcdMember.
    #[schemars(length(max = 63))]
    pub name: String,
    /// etcd's member ID, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub id: Option<String>,
    /// Leader, Follower, Learner or Unknown.
    #[schemars(length(max = 16))]
    pub role: String,
    /// True, False or Unknown: a silent member is Unknown, not dead.
    #[schemars(length(max = 16))]
    pub ready: String,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
}
