//! Words that those who take, prove and restore backups have in common: where objects stand in a store, what is said of one, and what
//! a proof finds.
//!
//! ```text
//! <prefix>/<namespace>/<name>/<uid>/data/<random>.db.zst            the snapshot, compressed
//!                                  /snapshots/<incarnation>/<name>.json   its manifest: put once, by whoever was first
//!                                  /verified/<incarnation>/<name>.json    what a proof found, put once it was found right
//! ```

use serde::{Deserialize, Serialize};

/// Layout of manifests; readers refuse a newer one.
pub const FORMAT: u32 = 1;

/// What is said of a snapshot in the store.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    /// `<schedule>-<slot>`, or that of an order.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Minute for which the schedule wanted it, such as `20261126T2300Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    pub namespace: String,
    pub cluster: String,
    pub cluster_uid: String,
    pub incarnation: i64,
    /// etcd's cluster ID, in hexadecimal.
    pub cluster_id: String,
    pub member: String,
    /// Version of etcd, such as `v3.5.21`.
    pub version: String,
    /// Key of the data, relative to the cluster's own path.
    pub data: String,
    /// SHA-256 of what is stored, in hexadecimal.
    pub stored_digest: String,
    pub stored_bytes: i64,
    /// SHA-256 of the snapshot file (the database and etcd's own trailer), in hexadecimal.
    pub digest: String,
    pub bytes: i64,
    /// A revision that is surely in it: that of a linearizable read before.
    pub at_least: i64,
    /// `HashKV` of members at `at_least`, as they were when the snapshot was taken: equal only at equal compact revisions.
    pub hashes: Vec<Hash>,
    /// When taking it began, and when it was stored, in RFC 3339.
    pub started: String,
    pub taken: String,
}

/// A member's `HashKV`.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hash {
    pub member: String,
    pub hash: u32,
    pub revision: i64,
    pub compact_revision: i64,
}

/// What a proof found: the termination message of its container, and in the store once it is good.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Proof {
    /// Another etcd has opened it, and its keys are the original's.
    #[serde(rename_all = "camelCase")]
    Good {
        /// Key of the manifest, with the store's prefix.
        location: String,
        name: String,
        digest: String,
        bytes: i64,
        /// The very revision in it.
        revision: i64,
        /// Version of the etcd that it was taken of.
        version: String,
        /// How far the log went, of what was found on a member's volume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogEnd>,
    },
    /// It is not what it should be, and will never be.
    #[serde(rename_all = "camelCase")]
    Bad { reason: String, message: String },
    /// Nothing is known: it may go well another time.
    #[serde(rename_all = "camelCase")]
    Unknown { reason: String, message: String },
}

/// How far a member's log goes.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LogEnd {
    /// Of its last entry.
    pub term: u64,
    pub index: u64,
    /// What the member knew to be a quorum's.
    pub commit: u64,
    /// Whether more was written and cannot be read.
    pub torn: bool,
    /// Whether the member has a vote; and the names of those that have one, as far as it knew.
    pub votes: bool,
    pub voters: Vec<String>,
}

/// A question to a proof: its container's argument, as JSON.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The store.
    pub store: crate::api::cluster::Store,
    /// Namespace, name and UID; or without the UID.
    pub path: String,
    /// Name of the snapshot; the newest that is verified, when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only this digest is right, where it is known already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Folder of the manifests, behind the cluster's path.
pub const MANIFESTS: &str = "snapshots";
/// Folder of what proofs found.
pub const VERIFIED: &str = "verified";
/// Folder of the data.
pub const DATA: &str = "data";
/// Port at which a pod serves the bytes that members begin with, at `/<digest>`.
pub const PORT: u16 = 2383;
/// Where a member's volume is mounted in a pod that reads it.
pub const SALVAGED_DIR: &str = "/salvaged";
/// Where the credentials of a store are mounted.
pub const CREDENTIALS_DIR: &str = "/store";
/// Environment variable of a proof's container: the [`Question`] as JSON.
pub const QUESTION: &str = "SNAPSHOT_QUESTION";

/// etcd's token for a life that begins with the data of this digest. etcd makes its IDs of the token: a member that
/// began empty, or with other data, would be of another cluster. Logs alone do not show it: those of all founders
/// begin alike.
#[must_use]
pub fn token(life: &str, digest: &str) -> String {
    format!("{life}{BEGINS}{digest}")
}

/// Digest of the data that a life with this token begins with, if it begins with any.
#[must_use]
pub fn begins_with(token: &str) -> Option<&str> {
    token.split_once(BEGINS).map(|(_, digest)| digest)
}

/// The token without that.
#[must_use]
pub fn life_of(token: &str) -> &str {
    token.split_once(BEGINS).map_or(token, |(life, _)| life)
}

/// No name of an object has it.
const BEGINS: &str = "/sha256:";

/// Longest name of a backup.
const NAME: usize = 128;

/// Before all keys of a cluster's objects, behind the store's own prefix.
#[must_use]
pub fn path(namespace: &str, cluster: &str, uid: &str) -> String {
    format!("{namespace}/{cluster}/{uid}")
}

/// Secret with a store's credentials, where none is named.
#[must_use]
pub fn secret(cluster: &str) -> String {
    format!("{cluster}-store")
}

/// Name in the store of the backup that an EtcdBackup orders.
#[must_use]
pub fn ordered(uid: &str) -> String {
    format!("once-{uid}")
}

/// Name in the store of a schedule's backup for a slot.
#[must_use]
pub fn scheduled(schedule: &str, slot: &str) -> String {
    format!("{schedule}-{slot}")
}

/// Path and name of the snapshot whose manifest has this key.
#[must_use]
pub fn parts_of<'a>(prefix: Option<&str>, location: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = match prefix {
        Some(prefix) => location.strip_prefix(prefix)?.strip_prefix('/')?,
        None => location,
    };
    let (path, rest) = rest.split_once(&format!("/{MANIFESTS}/"))?;
    Some((path, rest.split_once('/')?.1.strip_suffix(".json")?))
}

/// The schedule and the slot of a backup that is a schedule's, by its name.
#[must_use]
pub fn of_schedule(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('-').filter(|(schedule, slot)| !schedule.is_empty() && crate::schedule::time(slot).is_some())
}

/// Whether a backup may have this name: it is part of keys and of objects' names.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=NAME).contains(&name.len()) && name.chars().all(letter) && !name.starts_with('-')
}

/// Key of a manifest, behind the cluster's path.
#[must_use]
pub fn manifest_key(incarnation: i64, name: &str) -> String {
    format!("{MANIFESTS}/{incarnation}/{name}.json")
}

/// Key of what a proof found, behind the cluster's path.
#[must_use]
pub fn verified_key(incarnation: i64, name: &str) -> String {
    format!("{VERIFIED}/{incarnation}/{name}.json")
}

/// Key of data, behind the cluster's path.
#[must_use]
pub fn data_key(random: &str) -> String {
    format!("{DATA}/{random}.db.zst")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn a_token_says_what_its_life_begins_with() {
        let empty = names::token("ns", "demo", "u", 1);
        assert_eq!(begins_with(&empty), None);
        let restored = token(&empty, "d1");
        assert_eq!((begins_with(&restored), life_of(&restored)), (Some("d1"), empty.as_str()));
        assert_eq!(life_of(&empty), empty);
    }

    #[test]
    fn path_and_name_are_read_back_from_a_location() {
        let (path, key) = (path("ns", "demo", "u"), manifest_key(3, "once-x"));
        let at =
            |prefix: Option<&str>| format!("{}{path}/{key}", prefix.map(|one| format!("{one}/")).unwrap_or_default());
        for prefix in [None, Some("a/b")] {
            assert_eq!(parts_of(prefix, &at(prefix)), Some((path.as_str(), "once-x")));
        }
        assert_eq!(parts_of(Some("c"), &at(None)), None);
    }

    #[test]
    fn a_schedules_backup_is_known_by_its_name_and_an_ordered_one_is_none() {
        assert_eq!(of_schedule(&scheduled("at-night", "20261126T2300Z")), Some(("at-night", "20261126T2300Z")));
        assert_eq!(of_schedule(&ordered("0b6c2a52-7d4e-4c55-9d0e-2f1a6d0f1b2c")), None);
        assert_eq!(of_schedule("20261126T2300Z"), None);
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        assert!(is_name("hourly-20261126T2300Z") && is_name(&ordered("u")));
        for none in ["", "a/b", "..", "a.json", "-a", "a b", &"a".repeat(129)] {
            assert!(!is_name(none), "{none}");
        }
    }
}
