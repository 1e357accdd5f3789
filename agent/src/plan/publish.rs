//! What the EtcdMember's status shall say, and whether it is worth a write.
//!
//! Ten thousand clusters must fit one API server: what a person or the coordinator acts on is written at once, sizes
//! and revisions ride along, and by themselves cause a write only when they changed much, and rarely.

mod due;
mod refused;

use std::time::Duration;

use etcd_operator_shared::{
    api::{
        EtcdMemberStatus,
        cluster::Chore,
        member::{AuthStatus, Certificates, Claim, Exit, Membership, Notice, TakenBackup},
    },
    version::{Minor, Version},
};

pub use due::{Due, MANY, RARELY, Standing, Told, WINDOW, due};
pub use refused::Refused;

use super::health::Health;
use crate::etcd::member::Status;

/// Everything that the status is made of.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    pub generation: Option<i64>,
    /// As whom it is said.
    pub account: Option<&'a str>,
    pub claim: Option<Claim>,
    pub counter: i64,
    pub pod_uid: &'a str,
    pub address: &'a str,
    /// Whether this pod's member is out of the cluster for good.
    pub left: bool,
    pub membership: Option<Membership>,
    pub health: &'a Health,
    pub etcd: Option<&'a Status>,
    pub versions: Versions,
    /// The alarms that are raised for this member.
    pub alarms: &'a [String],
    pub certificates: Option<Certificates>,
    /// What was done about etcd's users.
    pub auth: Option<&'a AuthStatus>,
    /// The last backups that were taken or tried.
    pub backups: &'a [TakenBackup],
    /// What was lately done for databases.
    pub chores: &'a [Chore],
    /// The ID on the mark, known before etcd answers.
    pub member_id: Option<&'a str>,
    pub restarts: u32,
    pub last_exit: Option<Exit>,
    pub agent_version: &'a str,
    /// Digest of the options that etcd was last started with, and of those that it refuses.
    pub options: Option<&'a str>,
    /// Bytes; of the options that etcd runs with, where that is known.
    pub quota: Option<u64>,
    pub refused_options: Option<&'a str>,
}

/// What there is to say of versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    pub server: Option<Version>,
    pub cluster: Option<Minor>,
    pub storage: Option<Minor>,
    /// The minor version that the cluster may go down to.
    pub downgrade: Option<Minor>,
    /// Highest version that can read the log.
    pub log: Option<Minor>,
}

/// The whole status.
#[must_use]
pub fn status(inputs: &Inputs<'_>) -> EtcdMemberStatus {
    let Inputs {
        generation,
        account,
        claim,
        counter,
        pod_uid,
        address,
        left,
        membership,
        health,
        etcd,
        versions,
        alarms,
        certificates,
        auth,
        backups,
        chores,
        member_id,
        restarts,
        last_exit,
        agent_version,
        options,
        quota,
        refused_options,
    } = inputs;
    EtcdMemberStatus {
        observed_generation: *generation,
        account: account.map(Into::into),
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
        version: etcd.map(|e| e.version.clone()).or_else(|| versions.server.map(|version| version.to_string())),
        cluster_version: versions.cluster.map(|minor| minor.to_string()),
        storage_version: versions.storage.map(|minor| minor.to_string()),
        downgrade: versions.downgrade.map(|minor| minor.to_string()),
        log_readable_by: versions.log.map(|minor| minor.to_string()),
        revision: etcd.map(|e| e.revision),
        db_size: etcd.map(|e| rounded(e.db_size)),
        db_size_in_use: etcd.map(|e| rounded(e.db_size_in_use)),
        db_quota: quota.map(signed),
        alarms: alarms.to_vec(),
        notices: health.told().map(notice).collect(),
        certificates: certificates.clone(),
        auth: auth.cloned(),
        backups: backups.to_vec(),
        chores: chores.to_vec(),
        restarts: i32::try_from(*restarts).unwrap_or(i32::MAX),
        last_exit: last_exit.clone(),
        agent_version: Some((*agent_version).to_owned()),
        swappable: true,
        options: options.map(Into::into),
        refused_options: refused_options.map(Into::into),
    }
}

/// The counter to tell. It never falls, or an older copy of the volume would hide itself by telling its own; and a
/// volume that does not hold the claim (`None`) has no say.
#[must_use]
pub fn counter(volume: Option<i64>, told: i64) -> i64 {
    volume.unwrap_or_default().max(told)
}

/// The API server believes a token for ten seconds after it was last asked about it (`--authentication-token` cache of
/// kube-apiserver): what it takes within this proves nothing of an account that was made anew.
const BELIEVED: Duration = Duration::from_secs(15);

/// As whom this pod's agent says that it speaks: as the spec's account, and where it has spoken as another one, only
/// when a write shows that its token is one of the new account. `seen`: how long the spec has named it.
#[must_use]
pub fn account<'a>(
    named: Option<&'a str>,
    said: Option<&'a EtcdMemberStatus>,
    pod_uid: &str,
    seen: Duration,
) -> Option<&'a str> {
    let own = said.filter(|said| said.pod_uid.as_deref() == Some(pod_uid));
    let former = own.and_then(|said| said.account.as_deref()).filter(|former| Some(*former) != named);
    former.filter(|_| seen < BELIEVED).or(named)
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

/// Whether this agent may write. One that is asked to end has nothing to add to what its successor says, and one
/// without the claim is the quieter.
#[must_use]
pub fn may_speak(speaker: Speaker) -> Due {
    let Speaker { mine, contested, ending, age } = speaker;
    if contested && ending && age < Duration::MAX {
        return Due::No;
    }
    if contested && !mine && age < UNCLAIMED_PAUSE { Due::Soon } else { Due::Now }
}

fn notice((reason, message): (&str, &str)) -> Notice {
    Notice { reason: reason.to_owned(), message: message.to_owned() }
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
    #[test]
    fn seconds_that_run_cause_no_write() {
        assert_eq!(steady("has not answered for 12 s"), "has not answered for some seconds");
        assert_eq!(steady("counter 3, last seen 5"), "counter 3, last seen 5");
    }

    #[test]
    fn a_write_that_an_old_token_may_have_made_does_not_speak_for_a_new_account() {
        let spoke = |account: Option<&str>, pod: &str| EtcdMemberStatus {
            account: account.map(Into::into),
            pod_uid: Some(pod.into()),
            ..EtcdMemberStatus::default()
        };
        let says = |said: &EtcdMemberStatus, seconds| {
            account(Some("new"), Some(said), "pod", Duration::from_secs(seconds)).map(str::to_owned)
        };
        assert_eq!(says(&spoke(Some("former"), "pod"), 14).as_deref(), Some("former"));
        assert_eq!(says(&spoke(Some("former"), "pod"), 15).as_deref(), Some("new"));
        for heard in [spoke(None, "pod"), spoke(Some("new"), "pod"), spoke(Some("former"), "the one before")] {
            assert_eq!(says(&heard, 0).as_deref(), Some("new"), "{heard:?}");
        }
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
