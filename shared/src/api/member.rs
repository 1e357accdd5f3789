//! EtcdMember: the contract between the two programs.
//!
//! The coordinator writes `spec`, that member's agent and nobody else writes `status`. The name is the pod's name. It is
//! made before the pod, so that an agent needs no right to create one, and outlives the pod: `status` is also the agent's
//! durable notebook, where the claim stands that keeps a twin pod or an old volume from speaking for the member.

mod auth;
mod backup;
mod security;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cluster::Chore, word};

pub use auth::{AuthStatus, ToldAuth, Ungranted};
pub use backup::{TakenBackup, ToldBackups, ToldRestore};
pub use security::{Certificates, ClientCertificates, Issued, PeerCertificate, RevocationList, ToldReload};

/// What one member must know of its cluster.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[kube(
    group = "etcd.etcd.io",
    version = "v1alpha1",
    kind = "EtcdMember",
    plural = "etcdmembers",
    shortname = "etcdm",
    category = "etcd",
    namespaced,
    status = "EtcdMemberStatus",
    derive = "PartialEq",
    doc = "One member of an EtcdCluster. Made by the coordinator; its status is written by the member's agent.",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "What the member is doing, in one word"
    ),
    printcolumn(
        name = "Role",
        type_ = "string",
        json_path = ".status.role",
        description = "Part that the member plays in Raft"
    ),
    printcolumn(
        name = "Ready",
        type_ = "boolean",
        json_path = ".status.ready",
        description = "Whether the member serves"
    ),
    printcolumn(
        name = "Member ID",
        type_ = "string",
        json_path = ".status.memberId",
        description = "etcd's ID of the member"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "Version that the member runs"
    ),
    printcolumn(
        name = "Restarts",
        type_ = "integer",
        json_path = ".status.restarts",
        description = "How often etcd was started again in this pod",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        description = "Why the member is not ready"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "The reason in a sentence",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMemberSpec {
    /// Name of the EtcdCluster.
    #[schemars(length(max = 63))]
    pub cluster_name: String,
    /// UID of the EtcdCluster.
    #[schemars(length(max = 64))]
    pub cluster_uid: String,
    /// Number of the incarnation that the member belongs to.
    pub incarnation: i64,
    /// etcd's --initial-cluster-token of that incarnation.
    #[schemars(length(max = 512))]
    pub token: String,
    /// Whether this object was made before the StatefulSet existed. Only then may the member bootstrap; an object made
    /// again never has it.
    #[serde(default)]
    pub initial: bool,
    /// Names of the members that form the cluster.
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub initial_members: Vec<String>,
    /// Where the members' pods are, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub peers: Vec<Peer>,
    /// UID of the ServiceAccount that the agents are to speak as. One that is made anew has another: tokens of the former are
    /// refused until kubelet has renewed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub account: Option<String>,
    /// Desired number of members of the cluster: a member whose ordinal is not below it leaves. While the cluster is stopped
    /// this is the size before.
    pub size: i32,
    /// Whether the cluster is stopped (size 0): the membership stays as it is.
    #[serde(default)]
    pub stopped: bool,
    /// Whether the membership rests (`EtcdCluster.spec.paused`): the member neither joins nor leaves, none is promoted or removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Whether the member's etcd is off while its pod stays (`EtcdCluster.spec.hold`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Minor version of etcd, such as `3.5`, that the leader's agent lets the cluster go down to; `none`: it takes back what it has
    /// allowed. Left out, the agents leave etcd's downgrades alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub downgrade: Option<String>,
    /// The certificates that the member's agent has asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Issued>,
    /// Whether etcd asks what a client may do, and who may do what: the leader's agent sees to it. Left out, the agents leave etcd's
    /// users, and whether it asks, alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ToldAuth>,
    /// Options of etcd that are to come into force in the pod that runs, whatever it was made with: its agent starts etcd once more
    /// with them. Left out, and for any other pod, what a pod was made with is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ToldOptions>,
    /// That etcd of one pod is to be started once more, to believe other authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<ToldReload>,
    /// Where backups go, and when the member takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<ToldBackups>,
    /// How databases are kept small, the cluster's `spec.maintenance` as JSON: the leader's agent goes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub maintenance: Option<String>,
    /// The data that a founder begins with. It is looked at only where the member would begin empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<ToldRestore>,
    /// Whether what the member has left is being cleared away: its place gets no pod before this object is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retiring: bool,
}

/// Options of etcd for one pod.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct ToldOptions {
    /// UID of the pod.
    #[schemars(length(max = 64))]
    pub pod: String,
    /// The options as JSON: those of `EtcdCluster.spec.etcd` that differ from the defaults.
    #[schemars(length(max = 65536))]
    pub said: String,
}

/// A member's pod and its address.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Name of the member.
    #[schemars(length(max = 63))]
    pub name: String,
    /// IP address of its pod.
    #[schemars(length(max = 64))]
    pub address: String,
}

/// What the member's agent says of it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMemberStatus {
    /// Generation of the spec that the agent last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The spec's `account` when this was written. An agent whose word names a former one has not been heard since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub account: Option<String>,
    /// Who may speak for the member. The higher number wins; an agent that finds a higher one stops writing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Rises at each start, at each ordered stop and every 15 minutes, on the volume first. A volume that is behind is an
    /// older copy put back.
    #[serde(default)]
    pub counter: i64,
    /// UID of the pod whose agent wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub pod_uid: Option<String>,
    /// IP address of that pod. The agent knows it a second before kubelet tells the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub address: Option<String>,
    /// What the member is doing, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word::known")]
    pub phase: Option<MemberPhase>,
    /// Whether the member serves.
    #[serde(default)]
    pub ready: bool,
    /// Why the member is not ready, CamelCase; empty when it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The reason in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub message: String,
    /// etcd's member ID, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub member_id: Option<String>,
    /// etcd's cluster ID, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub cluster_id: Option<String>,
    /// UID of the pod whose member has left the cluster for good: that pod never joins again, its successor may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub left_pod_uid: Option<String>,
    /// The membership of the cluster, told by the leader's agent and nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
    /// Part that the member plays in Raft.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word::known")]
    pub role: Option<Role>,
    /// Member ID of the leader that this member follows, in hexadecimal; absent when it knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub leader_id: Option<String>,
    /// Raft term in which the leader was last seen to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// Whether this member sees all voters connected and itself caught up.
    #[serde(default)]
    pub settled: bool,
    /// Version that the member runs, such as `v3.5.21`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub version: Option<String>,
    /// Version of the cluster as this member knows it, such as `3.5`: etcd raises it when all members run a newer minor version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub cluster_version: Option<String>,
    /// Version that this member's database is written in, such as `3.6`; etcd 3.5 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub storage_version: Option<String>,
    /// Minor version, such as `3.5`, that the cluster is allowed to go down to, while it is; etcd 3.5 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub downgrade: Option<String>,
    /// Highest minor version of etcd that can read this member's log, such as `3.6`: 3.7 ends at what 3.5 has written there, until
    /// a raft snapshot covers it. Known once the cluster is 3.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub log_readable_by: Option<String>,
    /// Revision of the store when this was written: it is not kept up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Size of the database file in bytes, rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_size: Option<i64>,
    /// Bytes of it in use, rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_size_in_use: Option<i64>,
    /// Quota in bytes that etcd runs with: the size of the database file at which it refuses writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_quota: Option<i64>,
    /// Alarms that are raised for this member, such as NOSPACE.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub alarms: Vec<String>,
    /// What a person should know of the member while it serves, such as a full disk. At most one a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["reason"]))]
    pub notices: Vec<Notice>,
    /// What it asks and has of certificates, where traffic is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Certificates>,
    /// What the leader's agent has done about etcd's users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthStatus>,
    /// The last backups that the member's agent has taken or tried to, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub backups: Vec<TakenBackup>,
    /// What this member's agent has lately done for the cluster's databases while it was the leader's, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub chores: Vec<Chore>,
    /// How often etcd was started again in this pod.
    #[serde(default)]
    pub restarts: i32,
    /// How etcd last ended in this pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub agent_version: Option<String>,
    /// Whether the agent gives etcd the flags of the version that its container holds, whatever the pod was made with: only then may
    /// etcd's image be changed in the pod.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub swappable: bool,
    /// Digest of the options that etcd was last started with in this pod. Agents and launchers that do not say it bring other options
    /// into force in another pod only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub options: Option<String>,
    /// Digest of options that etcd has refused, while they are wanted: it runs with the last good ones instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub refused_options: Option<String>,
}

/// Something to know of a member that serves.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// CamelCase, such as `DiskFull`.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The reason in a sentence.
    #[schemars(length(max = 8192))]
    pub message: String,
}

impl EtcdMemberStatus {
    /// Percent of the quota: so much in use is to be known at once.
    pub const FILLED: i64 = 80;

    /// Whether what is in use fills the quota, or soon will.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.db_size_in_use.zip(self.db_quota).is_some_and(|(in_use, quota)| in_use >= quota / 100 * Self::FILLED)
    }
}

impl Notice {
    /// Reason of the notice that databases are full, and that only a person can make room.
    pub const SPACE_EXHAUSTED: &str = "SpaceExhausted";
    /// Reason of the notice that members hold different keys, and that only a person can say what is right.
    pub const KEYS_DIFFER: &str = "KeysDiffer";
}

/// Who may speak for a member.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Rises with each claim.
    pub number: i64,
    /// Random ID of the volume that claims.
    #[schemars(length(max = 64))]
    pub volume_id: String,
}

/// The membership as a linearizable read found it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Generation of the EtcdMember's spec that its agent knew before it read the list. Only then does absence from the list say
    /// anything of that spec.
    pub generation: i64,
    /// The entries, by ID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub members: Vec<MemberEntry>,
}

/// One entry of the membership.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MemberEntry {
    /// etcd's member ID, in hexadecimal.
    #[schemars(length(max = 16))]
    pub id: String,
    /// Name of the member that the entry's peer URL is of; the URL itself if it is nobody's here.
    #[schemars(length(max = 2048))]
    pub name: String,
    /// Whether it is a learner.
    #[serde(default)]
    pub learner: bool,
    /// Whether it has ever told the cluster that it runs.
    #[serde(default)]
    pub started: bool,
    /// Whether the leader has a connection to it.
    #[serde(default)]
    pub connected: bool,
}

/// What a member is doing, in one word.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberPhase {
    /// The agent waits for something before etcd may start.
    Waiting,
    /// etcd was started and does not serve yet.
    Starting,
    /// The member is being added to the cluster under a new ID, or catches up as a learner.
    Joining,
    /// etcd serves, or did and is being brought back.
    Running,
    /// Starting would endanger data, or a person holds the member: the reason says which.
    Held,
    /// etcd cannot run: the reason names what it says.
    Failing,
    /// The member is not wanted any more and is on its way out.
    Leaving,
    /// The member is out of the cluster for good; its pod may go.
    Left,
}

/// Part that a member plays in Raft.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Leader,
    Follower,
    Learner,
}

/// How etcd ended.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Exit code, when it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal number, when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What it means, CamelCase: Stopped, Removed, Killed, OutOfMemory, DiskFull, CorruptWAL, CorruptDatabase, WrongFlags,
    /// AddressInUse, Crashed.
    #[schemars(length(max = 64))]
    pub class: String,
    /// The telling line of etcd's output.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// When, in RFC 3339.
    #[schemars(length(max = 64))]
    pub time: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_word_of_a_newer_program_does_not_make_the_rest_unreadable() {
        let status = json!({"phase": "Hibernating", "role": "Witness", "ready": true, "counter": 4});
        let status: EtcdMemberStatus = serde_json::from_value(status).expect("the rest is known");
        assert_eq!((status.phase, status.role, status.ready, status.counter), (None, None, true, 4));
        let known: EtcdMemberStatus =
            serde_json::from_value(json!({"phase": "Held", "role": null})).expect("all known");
        assert_eq!((known.phase, known.role), (Some(MemberPhase::Held), None));
    }
}
