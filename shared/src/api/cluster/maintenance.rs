//! How the databases of a cluster are kept small.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Amount, Word};

/// How databases are kept small. Left out, each field is as its own description says. It rests while the cluster is paused.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    /// When members are defragmented: one after the other, followers first, and only while all members are well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defragmentation: Option<Defragmentation>,
    /// Whether a database that has reached its quota is compacted up to its present revision, where nothing else makes room (true,
    /// when left out). Old revisions of keys are forgotten then, no key is; a watch that is behind has to begin anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency_compaction: Option<bool>,
    /// How often it is looked whether all members hold the same keys, from 10s on (5m, when left out). Databases that take long are
    /// compared more seldom. A member that differs from a majority twice is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^([1-9][0-9]{0,5}(h|m|s))+$') && duration(self) >= duration('10s')").message("maintenance.compareEvery must be a duration of at least 10s, such as 5m"))]
    pub compare_every: Option<String>,
}

/// When members are defragmented. A member that is being defragmented answers nothing until it is done: about a second for each
/// 150 MB that it holds.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Defragmentation {
    /// Whether it rests. A database that has reached its quota is defragmented all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// How much of a database file is unused, in percent of it, before it is defragmented (45, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 90))]
    pub waste_percent: Option<i32>,
    /// How many bytes of it are unused at least, such as `100Mi` (that, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("string(self).matches('^([1-9][0-9]{0,6}(Ki|Mi|Gi|Ti|k|M|G|T)|[1-9][0-9]{0,17})$') && quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).compareTo(quantity('100Gi')) <= 0").message("maintenance.defragmentation.minimumWaste must be a whole number of bytes from 1Mi to 100Gi with one of Ki, Mi, Gi, Ti, k, M, G, T, such as 100Mi"))]
    pub minimum_waste: Option<Amount>,
    /// When it may begin. Left out: at any time, but never for the only member of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// A time that comes again and again.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens, as cron says it: minute, hour, day of month, month, day of week, such as `0 3 * * *`; or `@daily`, `@weekly`.
    #[schemars(length(min = 1, max = 128))]
    pub cron: String,
    /// For how long it is open, such as `2h`.
    #[schemars(length(min = 1, max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^([1-9][0-9]{0,5}(h|m|s))+$')").message("maintenance.defragmentation.window.duration must be a duration such as 2h or 1h30m"))]
    pub duration: String,
    /// Time zone in which `cron` is meant, such as `Europe/Berlin` (UTC, when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// Something that an agent has done for its cluster's databases.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Chore {
    /// What was done.
    pub action: Word<Action>,
    /// When it was over, in RFC 3339.
    #[schemars(length(max = 64))]
    pub time: String,
    /// For which member, why, and what came of it, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What was done for a database.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Old revisions were forgotten, in all members.
    Compacted,
    /// The file of one member was written anew without what it does not use.
    Defragmented,
    /// The alarm was taken back that keeps etcd from taking writes.
    Disarmed,
    /// A member that held other keys than a majority was removed, and joins anew.
    Removed,
}
