//! What holds the members' data, and when it goes.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Amount;

/// The volume of each member.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of each member's volume, such as `8Gi`. Volumes grow while they are in use, where their class can. To smaller ones, where
    /// the data fits, three or more members move: one after the other, each gets a new volume and its data from the others.
    #[serde(default = "default_storage_size")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^([1-9][0-9]{0,6}(Ki|Mi|Gi|Ti|k|M|G|T)|[1-9][0-9]{0,17})$') && quantity(self).compareTo(quantity('64Mi')) >= 0 && quantity(self).compareTo(quantity('64Ti')) <= 0").message("storage.size must be a whole number of bytes from 64Mi to 64Ti with one of Ki, Mi, Gi, Ti, k, M, G, T, such as 8Gi"))]
    pub size: String,

    /// StorageClass of the volumes. Left out, it is the cluster's default class; empty, it is none: the volumes are made by hand.
    /// Where another one is named, three or more members move to it, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class_name: Option<String>,

    /// What holds the data.
    #[serde(default)]
    pub medium: Medium,

    /// When volumes are deleted.
    #[serde(default)]
    pub retention: Retention,

    /// Whether the cluster, where it begins over volumes or pods that a former EtcdCluster of this name has left, goes on with
    /// their data, its cluster ID and members. Else it does not begin there. Later it says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,

    /// How far volumes and etcd's quota grow by themselves when keys fill the database. Left out, they do not. `size` and
    /// `etcd.quotaBackend` are then what the cluster begins with; the status says what it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_grow: Option<AutoGrow>,
}

/// How far volumes and etcd's quota grow by themselves: when what is in use fills 80 % of the quota, it rises by half. Before that, the
/// volumes are made as large as that takes, where they are not. What has grown stays, also when this is taken away.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AutoGrow {
    /// Size of a volume beyond which none grows, such as `64Gi`.
    #[schemars(length(max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^([1-9][0-9]{0,6}(Ki|Mi|Gi|Ti|k|M|G|T)|[1-9][0-9]{0,17})$') && quantity(self).compareTo(quantity('64Mi')) >= 0 && quantity(self).compareTo(quantity('64Ti')) <= 0").message("storage.autoGrow.maxSize must be a whole number of bytes from 64Mi to 64Ti with one of Ki, Mi, Gi, Ti, k, M, G, T, such as 64Gi"))]
    pub max_size: String,
    /// Quota beyond which it does not rise, such as `16Gi` (8Gi, the most that etcd recommends, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("string(self).matches('^([1-9][0-9]{0,6}(Ki|Mi|Gi|Ti|k|M|G|T)|[1-9][0-9]{0,17})$') && quantity(string(self)).compareTo(quantity('16Mi')) >= 0 && quantity(string(self)).compareTo(quantity('100Gi')) <= 0").message("storage.autoGrow.maxQuota must be a whole number of bytes from 16Mi to 100Gi with one of Ki, Mi, Gi, Ti, k, M, G, T, such as 16Gi"))]
    pub max_quota: Option<Amount>,
}

/// What holds a member's data.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Medium {
    /// A PersistentVolumeClaim of its own for each member.
    #[default]
    PersistentVolume,
}

/// When volumes are deleted.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// What becomes of the volume of a member that has left, because the size fell. Its data is of no use to the others.
    #[serde(default = "delete")]
    pub when_scaled: Keep,
    /// What becomes of the volumes when the cluster is stopped (size 0). Deleted, the cluster begins empty when it is started
    /// again.
    #[serde(default)]
    pub when_stopped: Keep,
    /// What becomes of the volumes when the EtcdCluster is deleted.
    #[serde(default)]
    pub when_deleted: Keep,
}

/// What becomes of volumes.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// They stay until a person deletes them.
    #[default]
    Retain,
    /// They are deleted, and the data with them.
    Delete,
}

fn delete() -> Keep {
    Keep::Delete
}
fn default_storage_size() -> String {
    "8Gi".into()
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: default_storage_size(),
            storage_class_name: None,
            medium: Medium::default(),
            retention: Retention::default(),
            adopt: false,
            auto_grow: None,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { when_scaled: Keep::Delete, when_stopped: Keep::Retain, when_deleted: Keep::Retain }
    }
}
