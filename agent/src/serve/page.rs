//! The member at one moment, as it is shown.

use std::{collections::BTreeMap, time::Instant};

use etcd_operator_shared::process::probe::Check;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    args,
    etcd::member::Status,
    hosts::whoami::WhoAmI,
    launch::protocol::Exit,
    plan::{
        exit::{Class, classify},
        health::{self, Health, judge},
    },
    volume::room::Room,
};

/// What the sidecar publishes for everybody who asks.
#[derive(Debug, Clone)]
pub struct Page {
    pub cluster_uid: String,
    pub member: String,
    /// The addresses in etcd's hosts file, by member.
    pub addresses: BTreeMap<String, String>,
    pub cluster: String,
    pub namespace: String,
    pub incarnation: i64,
    pub health: Health,
    pub etcd: Option<Status>,
    /// The alarms that are raised for this member.
    pub alarms: Vec<String>,
    /// When etcd last answered.
    pub answered: Option<Instant>,
    pub pid: Option<i32>,
    pub restarts: u32,
    pub last_exit: Option<Exit>,
    /// Voters and learners in the membership as last confirmed.
    pub members: usize,
    /// Members that etcd has a connection to.
    pub connected: Option<usize>,
    pub volume_id: Option<String>,
    /// etcd's ID that the volume is for.
    pub member_id: Option<String>,
    /// Whether etcd's list of members is the cluster's, see `plan::trust`.
    pub vouches: bool,
    /// Room on the volume, as it was last looked at.
    pub room: Option<Room>,
    /// Bytes of its database at which etcd refuses writes.
    pub quota: Option<u64>,
    /// Whether a backup is being taken of this member.
    pub backs_up: bool,
    pub counter: i64,
    pub claim: i64,
    pub api_server: bool,
    /// When the first of the member's certificates ends, where traffic is encrypted.
    pub certificates_end: Option<Timestamp>,
    /// Whether the EtcdMember has been told everything that is worth it.
    pub told: bool,
    /// When the sidecar's loop last turned; `None` before it does for the first time.
    pub turned: Option<Instant>,
}

/// The page before anything is known.
#[must_use]
pub fn first(config: &args::Sidecar) -> Page {
    Page {
        cluster_uid: config.cluster_uid.clone(),
        member: config.member.clone(),
        cluster: config.cluster.clone(),
        namespace: config.namespace.clone(),
        incarnation: config.incarnation,
        ..blank()
    }
}

/// Nobody's page.
pub(super) fn blank() -> Page {
    Page {
        cluster_uid: String::new(),
        member: String::new(),
        cluster: String::new(),
        namespace: String::new(),
        incarnation: 0,
        health: judge(&health::Facts::default()),
        etcd: None,
        alarms: vec![],
        answered: None,
        pid: None,
        restarts: 0,
        last_exit: None,
        members: 0,
        connected: None,
        addresses: BTreeMap::new(),
        volume_id: None,
        member_id: None,
        vouches: false,
        room: None,
        quota: None,
        backs_up: false,
        counter: 0,
        claim: 0,
        api_server: false,
        certificates_end: None,
        told: false,
        turned: None,
    }
}

/// `/whoami`: how siblings know that an address is this member's.
#[must_use]
pub fn who_am_i(page: &Page) -> String {
    let Page { cluster_uid, member, addresses, member_id, vouches, room, backs_up, .. } = page.clone();
    let (member_id, vouches, room) = (Some(member_id.unwrap_or_default()), Some(vouches), room.map(|room| room.free));
    serde_json::to_string(&WhoAmI { cluster_uid, member, addresses, member_id, vouches, room, backs_up })
        .unwrap_or_default()
}

/// `/status`.
#[must_use]
pub fn json(page: &Page) -> String {
    let value = json!({
        "member": page.member,
        "cluster": format!("{}/{}", page.namespace, page.cluster),
        "incarnation": page.incarnation,
        "phase": page.health.phase,
        "ready": page.health.ready,
        "reason": page.health.reason,
        "message": page.health.message,
        "role": page.health.role,
        "settled": page.health.settled,
        "checks": checks(&page.health.checks),
        "notices": checks(&page.health.notices),
        "etcd": page.etcd.as_ref().map(|status| etcd(page, status)),
        "process": {
            "pid": page.pid,
            "restarts": page.restarts,
            "lastExit": page.last_exit.as_ref().map(exit),
        },
        "volume": {
            "id": page.volume_id,
            "counter": page.counter,
            "claim": page.claim,
            "sizeBytes": page.room.map(|room| room.total),
            "freeBytes": page.room.map(|room| room.free),
        },
        "certificates": page.certificates_end.map(|end| json!({"notAfter": end.to_string()})),
        "apiServer": {"connected": page.api_server},
        "agent": {"version": env!("CARGO_PKG_VERSION")},
    });
    format!("{value:#}\n")
}

fn checks(checks: &[Check]) -> Vec<Value> {
    checks.iter().map(|c| json!({"name": c.name, "ok": c.failed.is_none(), "reason": c.failed})).collect()
}

fn etcd(page: &Page, status: &Status) -> Value {
    json!({
        "memberId": status.member_id,
        "clusterId": status.cluster_id,
        "version": status.version,
        "leaderId": status.leader_id,
        "term": status.term,
        "revision": status.revision,
        "raftIndex": status.raft_index,
        "raftAppliedIndex": status.raft_applied_index,
        "dbSizeBytes": status.db_size,
        "dbSizeInUseBytes": status.db_size_in_use,
        "dbQuotaBytes": page.quota,
        "members": page.members,
        "connectedPeers": page.connected,
        "alarms": page.alarms,
        "answeredSecondsAgo": page.answered.map(|at| at.elapsed().as_secs()),
    })
}

fn exit(exit: &Exit) -> Value {
    let verdict = classify(&exit.ended());
    let class: Class = verdict.class;
    json!({"class": class.as_str(), "line": verdict.line, "code": exit.code, "signal": exit.signal, "at": exit.at})
}
