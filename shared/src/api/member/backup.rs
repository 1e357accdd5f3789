//! What a member is told of backups and of the data that it begins with, and what it has taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where backups go and when they are taken; kept beside the data, so that it is gone by without the API server.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct ToldBackups {
    /// The cluster's `spec.backup` as JSON.
    #[schemars(length(max = 16384))]
    pub policy: String,
    /// Before all keys of this cluster's objects, behind the store's own prefix: namespace, name and UID.
    #[schemars(length(max = 512))]
    pub path: String,
    /// A backup that this member is to take now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub now: Option<String>,
}

/// Data that a founder begins with.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct ToldRestore {
    /// SHA-256 of the snapshot file, in hexadecimal.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Bytes of that file.
    pub size: i64,
    /// Where it is fetched: address and port; absent while nobody serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub from: Option<String>,
    /// By how much the revision in it is raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bump: Option<i64>,
}

/// A backup that this member's agent has taken, or could not.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct TakenBackup {
    /// Its name in the store: `<schedule>-<slot>`, or that of an order.
    #[schemars(length(max = 128))]
    pub name: String,
    /// Whether it is in the store.
    pub stored: bool,
    /// Why it is not, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
    /// Member that it was taken of: another one's backup for the same minute is found in the store, and told as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub member: Option<String>,
    /// Key of the manifest, with the store's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub location: Option<String>,
    /// Version of etcd.
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
    /// A revision that is surely in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    /// When taking it began, in RFC 3339.
    #[schemars(length(max = 64))]
    pub started: String,
    /// When it ended.
    #[schemars(length(max = 64))]
    pub ended: String,
}
