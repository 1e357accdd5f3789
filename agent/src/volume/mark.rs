//! The mark: a small file beside the data directory that says whose volume this is.

use serde::{Deserialize, Serialize};

/// Identity of a volume. Everything but `counter` and `peers` names who may start on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Layout of this file; readers refuse a newer one.
    pub format: u32,
    /// UID of the EtcdCluster that the volume was first used for.
    pub cluster_uid: String,
    /// Number of the incarnation whose data the volume holds.
    pub incarnation: i64,
    /// Name of the member.
    pub member: String,
    /// Random, drawn when the volume was first touched.
    pub volume_id: String,
    /// Number of the last claim that the API server accepted for this volume; 0 before the first.
    pub claim: i64,
    /// etcd's member ID that this volume is for, in hexadecimal. Written before etcd may start.
    pub member_id: Option<String>,
    /// Rises at each start, at each ordered stop and every 15 minutes, here first and then in the EtcdMember.
    pub counter: i64,
    /// Addresses of the members when they were last known, for a start without the API server.
    #[serde(default)]
    pub peers: Vec<Address>,
}

/// Where a member was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub name: String,
    pub address: String,
}

/// The newest layout that this program reads and writes.
pub const FORMAT: u32 = 1;

/// What must stay the same for the launcher to start etcd again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub cluster_uid: String,
    pub incarnation: i64,
    pub member: String,
    pub volume_id: String,
    pub claim: i64,
    pub member_id: Option<String>,
}

impl Mark {
    #[must_use]
    pub fn identity(&self) -> Identity {
        let Self { format: _, cluster_uid, incarnation, member, volume_id, claim, member_id, counter: _, peers: _ } =
            self;
        Identity {
            cluster_uid: cluster_uid.clone(),
            incarnation: *incarnation,
            member: member.clone(),
            volume_id: volume_id.clone(),
            claim: *claim,
            member_id: member_id.clone(),
        }
    }
}
