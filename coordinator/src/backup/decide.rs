//! What is done for a backup, decided.
//!
//! ```text
//!   not in the store   Refused, Waits ─▶ Order ─▶ Taking ─▶ Note
//!   in the store       Prove ─▶ Proving ─┬─▶ Good ─▶ Rests: Verified
//!                        ▲               ├─▶ Bad ──▶ Rests: Failed
//!                        └── Again ◀─────┘ it says nothing of the snapshot
//! ```
//! Each step can be done twice. Two members that were told to take the same backup make one: the store takes the first
//! manifest alone.

use etcd_operator_shared::{
    api::{EtcdBackup, backup::BackupPhase, cluster::Store, member::TakenBackup},
    backup::{self, Proof, Question},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use thiserror::Error;

use super::facts::{Cluster, Facts, Member, is_taken};
use crate::{cluster::facts::proof::State, proofs};

/// A member whose pod is made anew says again what it has taken. One of which nobody speaks for longer is known to
/// nobody.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Refused(Objection),
    /// It cannot be taken yet: reason and sentence.
    Waits(&'static str, String),
    /// This member is to take it.
    Order(Order),
    /// This member takes it; or could not so far, for this reason.
    Taking {
        member: String,
        trouble: Option<String>,
    },
    /// It is in the store: this is known of it.
    Note(Box<Noted>),
    /// A pod is to open it.
    Prove(Task),
    /// A pod opens it, or waits for this.
    Proving(Option<String>),
    Good {
        bytes: i64,
        revision: i64,
    },
    /// It will never be what it should be: reason and sentence.
    Bad(String, String),
    /// Nothing is known of it, for this reason: it is tried again after a while.
    Later(String, SignedDuration),
    /// The while is over.
    Again(String),
    Rests,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub member: String,
    /// resourceVersion of its EtcdMember.
    pub version: String,
    /// Name of the backup in the store.
    pub name: String,
}

/// What is noted of a backup that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub member: String,
    pub taken: TakenBackup,
    pub store: Store,
    pub secret: String,
    /// Members that need not take it any more: name and resourceVersion of their EtcdMembers.
    pub told: Vec<(String, String)>,
}

/// What a pod is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub question: Question,
    pub secret: String,
}

/// Why nothing is done until a person acts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Objection {
    #[error("there is no EtcdCluster {0} in this namespace")]
    NoSuchCluster(String),
    #[error("EtcdCluster {0} says in no spec.backup.store where backups go")]
    NoStore(String),
    #[error(
        "no member of EtcdCluster {0} knows of this backup any more: if it is in the store, etcd-agent snapshot list has it"
    )]
    Forgotten(String),
    #[error("its location {0} is none of its store's")]
    Misplaced(String),
    #[error("the API server refuses a pod that would open it: {0}")]
    PodRefused(String),
}

impl Objection {
    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchCluster(_) => "NoSuchCluster",
            Self::NoStore(_) => "NoStore",
            Self::Forgotten(_) => "Forgotten",
            Self::Misplaced(_) => "Misplaced",
            Self::PodRefused(_) => "PodRefused",
        }
    }
}

/// Decides about one backup.
#[must_use]
pub fn decide(one: &EtcdBackup, facts: &Facts, now: Timestamp) -> Verdict {
    let phase = one.status.as_ref().and_then(|status| status.phase);
    match phase {
        Some(BackupPhase::Verified | BackupPhase::Failed) => return Verdict::Rests,
        Some(BackupPhase::Pending | BackupPhase::Taking | BackupPhase::Verifying) | None => {}
    }
    if is_taken(one) { prove(one, facts, now) } else { take(one, facts, now) }
}

/// Name of it in the store.
#[must_use]
pub fn stored_name(one: &EtcdBackup) -> String {
    match (&one.spec.schedule, &one.spec.slot) {
        (Some(schedule), Some(slot)) => backup::scheduled(schedule, slot),
        (Some(_) | None, _) => backup::ordered(&one.uid().unwrap_or_default()),
    }
}

fn take(one: &EtcdBackup, facts: &Facts, now: Timestamp) -> Verdict {
    let (name, of) = (stored_name(one), one.spec.cluster.clone());
    let Some(cluster) = &facts.cluster else { return Verdict::Refused(Objection::NoSuchCluster(of)) };
    let Cluster { store: Some((store, secret)), stopped } = cluster else {
        return Verdict::Refused(Objection::NoStore(of));
    };
    let report = |member: &Member| member.reports.iter().find(|report| report.name == name).cloned();
    let told = |member: &&Member| member.now.as_ref() == Some(&name);
    let reports = || facts.members.iter().filter_map(|member| Some((member, report(member)?)));
    if let Some((member, taken)) = reports().find(|(_, report)| report.stored) {
        let told = facts.members.iter().filter(told).map(|one| (one.name.clone(), one.version.clone())).collect();
        let (store, secret) = (store.clone(), secret.clone());
        // Whoever came later found that of another.
        let member = taken.member.clone().unwrap_or_else(|| member.name.clone());
        return Verdict::Note(Box::new(Noted { member, taken, store, secret, told }));
    }
    if one.spec.slot.is_some() {
        let made = one.creation_timestamp().map_or(now, |made| made.0);
        return match now.duration_since(made) > PATIENCE {
            true => Verdict::Refused(Objection::Forgotten(of)),
            false => Verdict::Waits("NotReported", "the member that has taken it does not say so at the moment".into()),
        };
    }
    if *stopped {
        return Verdict::Waits("Stopped", format!("EtcdCluster {of} is stopped: no member can be asked"));
    }
    if let Some(elder) = &facts.elder {
        return Verdict::Waits("AnotherIsTaken", format!("EtcdBackup {elder} of the same cluster is taken first"));
    }
    if let Some(member) = facts.members.iter().filter(told).find(|member| member.serves) {
        let trouble = report(member).and_then(|report| report.message);
        return Verdict::Taking { member: member.name.clone(), trouble };
    }
    match chosen(&facts.members) {
        Some(member) if member.told => {
            Verdict::Order(Order { member: member.name.clone(), version: member.version.clone(), name })
        }
        Some(member) => Verdict::Waits("MemberNotTold", format!("{} is being told where backups go", member.name)),
        None => Verdict::Waits("NoMemberServes", format!("no member of EtcdCluster {of} serves and is caught up")),
    }
}

/// The member that is asked: rather one that follows, since reading all of the database costs the one that does.
fn chosen(members: &[Member]) -> Option<&Member> {
    let serve = || members.iter().filter(|member| member.serves);
    serve().rfind(|member| !member.leads).or_else(|| serve().next())
}

fn prove(one: &EtcdBackup, facts: &Facts, now: Timestamp) -> Verdict {
    let status = one.status.clone().unwrap_or_default();
    match &facts.proof.state {
        State::Absent if facts.cluster.is_none() => {
            Verdict::Refused(Objection::NoSuchCluster(one.spec.cluster.clone()))
        }
        State::Absent => task(one).map_or_else(Verdict::Refused, Verdict::Prove),
        State::Going => Verdict::Proving(None),
        State::UnderWay(waits) => Verdict::Proving(waits.clone()),
        State::Said(Proof::Good { bytes, revision, digest, .. }) => match &status.digest {
            Some(taken) if taken != digest => Verdict::Bad(
                "DigestChanged".into(),
                format!("its digest is {digest}, and was {taken} when it was taken"),
            ),
            Some(_) | None => Verdict::Good { bytes: *bytes, revision: *revision },
        },
        State::Said(Proof::Bad { reason, message }) => Verdict::Bad(reason.clone(), message.clone()),
        State::Said(Proof::Unknown { reason: _, message }) | State::Lost(message) => {
            match proofs::wait(status.failures, facts.proof.since, now) {
                SignedDuration::ZERO => Verdict::Again(message.clone()),
                wait => Verdict::Later(message.clone(), wait),
            }
        }
    }
}

/// What is asked of a backup that is in the store.
fn task(one: &EtcdBackup) -> Result<Task, Objection> {
    let status = one.status.clone().unwrap_or_default();
    let location = status.location.unwrap_or_default();
    let misplaced = || Objection::Misplaced(location.clone());
    let (store, secret) = status.store.zip(status.secret_name).ok_or_else(misplaced)?;
    let (path, name) = backup::parts_of(store.s3.prefix.as_deref(), &location).ok_or_else(misplaced)?;
    let (path, name) = (path.to_owned(), Some(name.to_owned()));
    Ok(Task { question: Question { store, path, name, digest: status.digest }, secret })
}

#[cfg(test)]
mod tests;
