//! The mark: a small file beside the data directory that says whose volume this is.

use std::collections::BTreeMap;

use etcd_operator_shared::api::member::ToldOptions;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The mark of a volume: who may start on it, and how it came to be so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Layout of this file; readers refuse a newer one.
    pub format: u32,
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether the ID was given by the cluster when the member was added. Such an ID is fresh: it needs no proof and, to begin
    /// with, no claim.
    #[serde(default)]
    pub joined: bool,
    /// Whether the member was seen to vote under an ID that it joined with. A learner's data is nowhere's only copy.
    #[serde(default)]
    pub voted: bool,
    /// Whether this volume is to join under a new ID. It never bootstraps.
    #[serde(default)]
    pub replacing: bool,
    /// UID of the pod with which the member left the cluster for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
    /// Rises at each start, at each ordered stop and every 15 minutes, here first and then in the EtcdMember.
    pub counter: i64,
    /// Addresses of the members when they were last known, for a start without the API server.
    #[serde(default)]
    pub peers: Vec<Address>,
    /// The voters in the last list of this member's own etcd that was found to be the cluster's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voters: Vec<Voter>,
    /// What was wrong with the etcd that last ran here, until it is cleared up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<Suspicion>,
    /// What a person wanted of the member when the API server was last heard.
    #[serde(default, skip_serializing_if = "Wish::is_none")]
    pub wish: Wish,
    /// Version of the etcd that last ran here, such as `v3.6.16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the cluster as that etcd last knew it, such as `3.6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_version: Option<String>,
    /// Options of etcd.
    #[serde(default, skip_serializing_if = "Options::is_none")]
    pub options: Options,
    /// What a newer agent wrote beside all this: kept as it is, since it may decide about data there.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// What a person wants of a member, until it is taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wish {
    /// The membership rests: nobody joins, leaves, is promoted or removed, and no data is set aside.
    pub paused: bool,
    /// etcd is off while the pod stays: nothing is started, and nothing on the volume is touched.
    pub held: bool,
}

impl Wish {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of etcd's options, as texts of the coordinator's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Those that etcd last served with here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<String>,
    /// What was told last, and to which pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<ToldOptions>,
    /// Those that etcd has refused here last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedOptions>,
}

/// Options that etcd has refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefusedOptions {
    pub digest: String,
    /// Version of the etcd that has.
    pub version: String,
    /// In etcd's words.
    pub words: String,
}

impl Options {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A member that votes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// etcd's member ID, in hexadecimal.
    pub id: String,
    /// Name of the member that its peer URL is of; the URL itself if it is nobody's here.
    pub member: String,
    /// Number of that member within its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<u32>,
}

/// Why an etcd that ran on a volume was not this member's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Suspicion {
    /// It ran under another member ID than the mark's.
    OtherId { found: String },
    /// It ran in a cluster with another ID than this incarnation's.
    OtherCluster { found: String },
    /// It called itself the only voter, and nobody had removed these.
    Forced { lost: Vec<Voter> },
}

/// Where a member was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    pub name: String,
    pub address: String,
}

/// The newest layout that this program reads and writes.
pub const FORMAT: u32 = 1;

/// Who may start on a volume, and for which of etcd's members.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// UID of the EtcdCluster that the volume was first used for.
    pub cluster_uid: String,
    /// Number of the incarnation whose data the volume holds.
    pub incarnation: i64,
    /// Name of the member.
    pub member: String,
    /// Random, drawn when the volume was first touched, and anew when its data was lost or set aside.
    pub volume_id: String,
    /// Number of the last claim that the API server accepted for this volume; 0 before the first.
    pub claim: i64,
    /// etcd's member ID that this volume is for, in hexadecimal. Written before etcd may start.
    pub member_id: Option<String>,
}

impl Mark {
    /// A mark under which nothing has happened yet.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            format: FORMAT,
            identity,
            joined: false,
            voted: false,
            replacing: false,
            retired: None,
            counter: 0,
            peers: vec![],
            voters: vec![],
            suspicion: None,
            wish: Wish::default(),
            version: None,
            cluster_version: None,
            options: Options::default(),
            unknown: BTreeMap::new(),
        }
    }
}

impl std::ops::Deref for Mark {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}
