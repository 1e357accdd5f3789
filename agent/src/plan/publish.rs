//! What the EtcdMember's status shall say, and whether it is worth a write.
//!
//! Ten thousand clusters must fit one API server: what a person or the coordinator acts on is written at once, sizes and
//! revisions ride along, and by themselves cause a write only when they changed much, and rarely.

use std::time::Duration;

use etcd_operator_shared::api::{
    EtcdMemberStatus,
    member::{Claim, Exit, Membership},
};

use super::health::Health;
use crate::etcd::member::Status;

/// Everything that the status is made of.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    pub generation: Option<i64>,
    pub claim: Option<Claim>,
    pub counter: i64,
    pub pod_uid: &'a str,
    pub address: &'a str,
    /// Whether this pod's member is out of the cluster for good.
    pub left: bool,
    pub membership: Option<Membership>,
    pub health: &'a Health,
    pub etcd: Option<&'a Status>,
    /// The ID on the mark, known before etcd answers.
    pub member_id: Option<&'a str>,
    pub restarts: u32,
    pub last_exit: Option<Exit>,
    pub agent_version: &'a str,
}

/// Shortest time between two writes that only sizes and revisions ask for.
const RARELY: Duration = Duration::from_secs(300);
/// Shortest time between two writes that nothing but the counter asks for.
const AT_ONCE: Duration = Duration::from_millis(50);

/// The whole status.
#[must_use]
pub fn status(inputs: &Inputs<'_>) -> EtcdMemberStatus {
    let Inputs {
        generation,
        claim,
        counter,
        pod_uid,
        address,
        left,
        membership,
        health,
        etcd,
        member_id,
        restarts,
        last_exit,
        agent_version,
    } = inputs;
    EtcdMemberStatus {
        observed_generation: *generation,
        claim: claim.clone(),
        counter: *counter,
        pod_uid: Some((*pod_uid).to_owned()),
        address: Some((*address).to_owned()),
        phase: Some(health.phase),
        ready: health.ready,
        reason: health.reason.to_owned(),
        message: steady(&health.message),
        member_id: etcd.map(|e| e.member_id.clone()).or_else(|| member_id.map(Into::into)),
        cluster_id: etcd.map(|e| e.cluster_id.clone()),
        left_pod_uid: left.then(|| (*pod_uid).to_owned()),
        membership: membership.clone(),
        role: health.role,
        leader_id: etcd.and_then(|e| e.leader_id.clone()),
        term: etcd.map(|e| signed(e.term)),
        settled: health.settled,
        version: etcd.map(|e| e.version.clone()),
        revision: etcd.map(|e| e.revision),
        db_size: etcd.map(|e| rounded(e.db_size)),
        db_size_in_use: etcd.map(|e| rounded(e.db_size_in_use)),
        alarms: etcd.map(|e| e.errors.clone()).unwrap_or_default(),
        restarts: i32::try_from(*restarts).unwrap_or(i32::MAX),
        last_exit: last_exit.clone(),
        agent_version: Some((*agent_version).to_owned()),
    }
}

/// The counter to tell. It never falls, or an older copy of the volume would hide itself by telling its own; and a volume that
/// does not hold the claim (`None`) has no say.
#[must_use]
pub fn counter(volume: Option<i64>, told: i64) -> i64 {
    volume.unwrap_or_default().max(told)
}

/// What it depends on whether this agent may write now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Whether no other volume has the claim.
    pub mine: bool,
    /// Whether another pod wrote last: this one's successor, or a twin.
    pub contested: bool,
    /// Whether this pod is being ended.
    pub ending: bool,
    /// Time since this process last wrote.
    pub age: Duration,
}

/// How often an agent whose claim does not stand may speak after another pod did: two would else write without end.
const UNCLAIMED_PAUSE: Duration = Duration::from_secs(2);

/// Whether this agent may write. One that is asked to end has nothing to add to what its successor says, and one without the
/// claim is the quieter.
#[must_use]
pub fn may_speak(speaker: Speaker) -> Due {
    let Speaker { mine, contested, ending, age } = speaker;
    if contested && ending && age < Duration::MAX {
        return Due::No;
    }
    if contested && !mine && age < UNCLAIMED_PAUSE { Due::Soon } else { Due::Now }
}

/// Whether a status is worth a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    /// It is, but the last write was only just done.
    Soon,
    No,
}

/// Whether `next` should be written over `last`, which was written `ago`.
#[must_use]
pub fn due(last: Option<&EtcdMemberStatus>, next: &EtcdMemberStatus, ago: Duration) -> Due {
    let Some(last) = last else { return Due::Now };
    let sizes = moved(last.db_size, next.db_size) || moved(last.db_size_in_use, next.db_size_in_use);
    match significant(last) != significant(next) {
        true if ago < AT_ONCE => Due::Soon,
        true => Due::Now,
        false if sizes && ago >= RARELY => Due::Now,
        false => Due::No,
    }
}

/// The status without what changes by itself all the time.
fn significant(status: &EtcdMemberStatus) -> EtcdMemberStatus {
    EtcdMemberStatus {
        observed_generation: None,
        revision: None,
        db_size: None,
        db_size_in_use: None,
        ..status.clone()
    }
}

/// A tenth more or less.
fn moved(last: Option<i64>, next: Option<i64>) -> bool {
    match (last, next) {
        (Some(last), Some(next)) => (next - last).abs() * 10 > last,
        (last, next) => last.is_some() != next.is_some(),
    }
}

/// Whole mebibytes, at least one.
fn rounded(bytes: i64) -> i64 {
    const MIB: i64 = 1 << 20;
    ((bytes + MIB / 2) / MIB).max(1) * MIB
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A message without its running seconds: they would cause a write each time.
fn steady(message: &str) -> String {
    let words: Vec<&str> = message.split(' ').collect();
    let counts = |i: usize| words[i].bytes().all(|b| b.is_ascii_digit()) && words.get(i + 1) == Some(&"s");
    let kept = (0..words.len()).map(|i| if !words[i].is_empty() && counts(i) { "some" } else { words[i] });
    kept.collect::<Vec<_>>().join(" ").replace("some s", "some seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> EtcdMemberStatus {
        EtcdMemberStatus { ready: true, db_size: Some(10 << 20), revision: Some(5), ..EtcdMemberStatus::default() }
    }

    #[test]
    fn readiness_is_written_at_once() {
        let next = EtcdMemberStatus { ready: false, ..base() };
        assert_eq!(due(Some(&base()), &next, Duration::from_millis(60)), Due::Now);
        assert_eq!(due(Some(&base()), &next, Duration::from_millis(20)), Due::Soon);
    }

    #[test]
    fn a_busy_store_causes_few_writes() {
        let next = EtcdMemberStatus { revision: Some(900), db_size: Some(30 << 20), ..base() };
        assert_eq!(due(Some(&base()), &next, Duration::from_secs(10)), Due::No);
        assert_eq!(due(Some(&base()), &next, RARELY), Due::Now);
        assert_eq!(due(Some(&base()), &EtcdMemberStatus { revision: Some(900), ..base() }, RARELY), Due::No);
    }

    #[test]
    fn seconds_that_run_cause_no_write() {
        assert_eq!(steady("has not answered for 12 s"), "has not answered for some seconds");
        assert_eq!(steady("counter 3, last seen 5"), "counter 3, last seen 5");
    }

    #[test]
    fn an_older_copy_does_not_hide_itself() {
        assert_eq!([counter(Some(3), 5), counter(Some(6), 5), counter(None, 5)], [5, 6, 5]);
    }

    #[test]
    fn sizes_are_whole_mebibytes() {
        assert_eq!((rounded(0), rounded(20_480), rounded((3 << 20) + 5)), (1 << 20, 1 << 20, 3 << 20));
    }
}
