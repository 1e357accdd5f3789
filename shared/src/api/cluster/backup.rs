//! Where backups go and when they are taken, and what a cluster begins with.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where backups go, and when they are taken. The agents keep it beside their data and go on by it while the API server is away.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Where they go.
    pub store: Store,
    /// Secret of the same namespace with the store's credentials: for S3 `accessKeyID`, `secretAccessKey` and, where needed,
    /// `sessionToken` and `ca.crt`. Left out, it is the cluster's name with `-store`. It may be made, and changed, at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message("backup.secretName must be the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub secret_name: Option<String>,
    /// When backups are taken. An EtcdBackup takes one at any other time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<Schedule>,
    /// How many backups that another etcd has opened and found right are kept, however old they are (3, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep_verified: Option<i32>,
}

/// A store of objects. One of its fields names which.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// Amazon S3, or a store that speaks its language.
    pub s3: S3,
}

/// A bucket of S3.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// Name of the bucket, which must exist.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][-a-z0-9.]*[a-z0-9]$')").message("backup.store.s3.bucket must be the name of a bucket: lower case letters, digits, '-' and '.'"))]
    pub bucket: String,
    /// Before all that is stored: below it the objects of a cluster stand under its namespace, name and UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$') && !self.matches('(^|/)[.]{1,2}(/|$)')").message("backup.store.s3.prefix takes letters, digits, '_', '-' and '.', with '/' between its parts"))]
    pub prefix: Option<String>,
    /// URL of the store, such as `https://s3.example.com`. Left out, it is Amazon's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$') || self.matches('^https?://[[][0-9a-fA-F:]+[]](:[0-9]{1,5})?/?$')").message("backup.store.s3.endpoint must be a URL without a path, such as https://s3.example.com"))]
    pub endpoint: Option<String>,
    /// Region of the bucket (`us-east-1`, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
}

/// When backups are taken.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Name, part of the backups' names.
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("backup.schedules.name must begin with a letter and hold only lower case letters, digits and '-'"))]
    pub name: String,
    /// When, as cron says it: minute, hour, day of month, month, day of week, such as `0 * * * *`; or `@hourly`, `@daily`, `@weekly`.
    #[schemars(length(min = 1, max = 128))]
    pub cron: String,
    /// Time zone in which it is meant, such as `Europe/Berlin` (UTC, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// How many backups of this schedule are kept, the newest ones (24, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub keep: Option<i32>,
    /// Whether it rests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What a new cluster begins with. It is read once, before the cluster begins.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// Name of an EtcdRestore of the same namespace: the cluster begins with the data that it names, and not before that was found to
    /// be right.
    #[schemars(length(min = 1, max = 253))]
    pub restore: String,
}

/// The data that a life of a cluster began with.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// Name of the EtcdRestore.
    #[schemars(length(max = 253))]
    pub by: String,
    /// SHA-256 of the snapshot file, in hexadecimal: members begin with these very bytes.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Bytes of that file.
    pub size: i64,
    /// Revision of the store in it.
    pub revision: i64,
    /// By how much members raise it, and forget what was before: no client sees a revision twice with other content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bump: Option<i64>,
    /// Member whose volume has the file, and that gives it to the others; left out, a pod does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub seed: Option<String>,
}

/// The backups of a cluster.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupSummary {
    /// Name of the newest EtcdBackup that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last: Option<String>,
    /// When that was, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_time: Option<String>,
    /// Name of the newest one that another etcd has opened and found right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last_verified: Option<String>,
    /// When that one was taken, in RFC 3339: what was written later may be lost with the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_verified_time: Option<String>,
}
