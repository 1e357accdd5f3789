//! What is done for a restore, decided.
//!
//! ```text
//!   Refused, Waits ─▶ Prove ─▶ Proving ─▶ Found: served until the cluster has what it needs ─▶ Complete ─▶ Rests
//!                       ▲          ├─▶ Bad ─▶ Rests: Failed
//!                       └─ Again ◀─┘ it says nothing of the data
//!   survivors: AwaitsApproval ─▶ Stops ─▶ Read ─▶ Stops … ─▶ Found
//! ```
//! Nothing of the cluster is touched here. What was found once is pinned by its digest: whatever is lost and done again
//! gives the same bytes or none.

use etcd_operator_shared::{
    api::{EtcdRestore, restore::RestorePhase},
    backup::{Proof, Question},
    version::Version,
};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::facts::{Cluster, Facts, Life, Source};
use crate::{cluster::facts::proof::State, proofs};
use survivors::Choice;

pub mod survivors;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Refused(Objection),
    /// Reason and sentence.
    Waits(&'static str, String),
    /// A pod is to open the data.
    Prove(Task),
    /// A pod opens it, or waits for this.
    Proving(Option<String>),
    /// It is right, and served there once the pod does.
    Found(Found),
    /// It is not what it should be: reason and sentence.
    Bad(String, String),
    /// Nothing is known of it, for this reason: it is tried again after a while.
    Later(String, SignedDuration),
    /// The while is over.
    Again(String),
    /// The cluster serves it.
    Complete,
    Rests,
    /// A person is to say that the data may be replaced.
    AwaitsApproval(String),
    /// The members are stopped, so that their volumes can be read: how far that is.
    Stops(String),
    /// Pods are to read the volumes of these members.
    Read(Vec<String>),
}

/// What a pod is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub question: Question,
    pub secret: String,
}

/// Data that another etcd has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub location: String,
    pub digest: String,
    pub bytes: i64,
    pub revision: i64,
    pub serves: Option<String>,
    /// By how much the revision is raised.
    pub bump: Option<i64>,
    /// Where it was found on volumes.
    pub survivors: Option<Choice>,
}

/// Why nothing is done until a person acts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Objection {
    #[error(
        "EtcdCluster {cluster} has begun without it: make a new cluster, or an EtcdRestore with replacesIncarnation: {number}, which takes the place of all that {cluster} holds"
    )]
    HasBegun { cluster: String, number: i64 },
    #[error("EtcdCluster {0} has not begun: there is nothing whose place could be taken, or be read")]
    NotBegun(String),
    #[error(
        "incarnation {wanted} of EtcdCluster {cluster} is not the present one, which is {present}: nothing is done"
    )]
    OtherIncarnation { cluster: String, wanted: i64, present: i64 },
    #[error("EtcdCluster {0} has a quorum, and nothing is lost: a member whose volume is lost is replaced by itself")]
    HasQuorum(String),
    #[error("EtcdCluster {cluster} has no member {lost}, which source.survivors.lost names")]
    NoSuchMember { cluster: String, lost: String },
    #[error("source.survivors.lost names every member: there is no volume to read")]
    NothingLeft,
    #[error(
        "{member}: {words}; where that stays so, delete this object and make one that names {member} in source.survivors.lost: what only {member} holds is lost then"
    )]
    Volume { member: String, words: String },
    #[error("there is no EtcdBackup {0} in this namespace")]
    NoSuchBackup(String),
    #[error("EtcdBackup {0} was found not to be what it should be: it is never restored")]
    BackupFailed(String),
    #[error("EtcdBackup {0} does not say where it is")]
    BackupNowhere(String),
    #[error(
        "the data is of etcd {data}, which {cluster} may not be able to read: set its version to one of {minor} or above"
    )]
    TooOld { data: Version, cluster: Version, minor: String },
    #[error("EtcdCluster {0} cannot be begun: see its condition Stalled")]
    Invalid(String),
    #[error("the API server refuses a pod that would open the data: {0}")]
    PodRefused(String),
}

impl Objection {
    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::HasBegun { .. } => "ClusterHasBegun",
            Self::NotBegun(_) => "ClusterHasNotBegun",
            Self::OtherIncarnation { .. } => "OtherIncarnation",
            Self::HasQuorum(_) => "HasQuorum",
            Self::NoSuchMember { .. } => "NoSuchMember",
            Self::NothingLeft => "NothingLeft",
            Self::Volume { .. } => "VolumeUnreadable",
            Self::NoSuchBackup(_) => "NoSuchBackup",
            Self::BackupFailed(_) => "BackupFailed",
            Self::BackupNowhere(_) => "BackupNowhere",
            Self::TooOld { .. } => "VersionTooLow",
            Self::Invalid(_) => "ClusterInvalid",
            Self::PodRefused(_) => "PodRefused",
        }
    }
}

/// Decides about one restore.
#[must_use]
pub fn decide(one: &EtcdRestore, facts: &Facts, now: Timestamp) -> Verdict {
    let (of, phase) = (&one.spec.cluster, one.status.as_ref().and_then(|status| status.phase));
    let Some(cluster) = &facts.cluster else {
        return match phase {
            Some(RestorePhase::Completed) => Verdict::Rests,
            Some(
                RestorePhase::Pending
                | RestorePhase::AwaitingApproval
                | RestorePhase::Stopping
                | RestorePhase::Rehearsing
                | RestorePhase::Restoring
                | RestorePhase::Failed,
            )
            | None => Verdict::Waits("NoSuchCluster", format!("it waits for EtcdCluster {of} to be made")),
        };
    };
    if let Some(verdict) = at_once(one, cluster, phase) {
        return verdict;
    }
    let Some(version) = cluster.version else { return Verdict::Refused(Objection::Invalid(of.clone())) };
    let (question, secret, data) = match &facts.source {
        Source::NoSuchBackup(name) => return Verdict::Refused(Objection::NoSuchBackup(name.clone())),
        Source::Failed(name) => return Verdict::Refused(Objection::BackupFailed(name.clone())),
        Source::Nowhere(name) => return Verdict::Refused(Objection::BackupNowhere(name.clone())),
        Source::NotVerified(name) => {
            let message = format!("EtcdBackup {name} is not verified yet");
            return Verdict::Waits("BackupNotVerified", message);
        }
        Source::Volumes { lost, read } => return survivors::decide(one, cluster, lost, read, now),
        Source::Stored { question, secret, version } => (question, secret, version),
    };
    if let Some(objection) = data.and_then(|data| too_old(data, version)) {
        return Verdict::Refused(objection);
    }
    let task = || Task { question: question.clone(), secret: secret.clone() };
    prove(one, facts, (version, cluster.revision), task, now)
}

/// What follows from how far the cluster is alone; `None`: its data is to be looked for.
fn at_once(one: &EtcdRestore, cluster: &Cluster, phase: Option<RestorePhase>) -> Option<Verdict> {
    let (of, replaces) = (&one.spec.cluster, one.spec.replaces_incarnation);
    let refused = |objection| Some(Verdict::Refused(objection));
    match (cluster.life, phase) {
        // One that serves no more at the moment does not for another reason.
        (Life::Serves | Life::Begins | Life::Other { .. }, Some(RestorePhase::Completed)) => Some(Verdict::Rests),
        (Life::Serves, _) => Some(Verdict::Complete),
        (Life::Begins, _) => None,
        (Life::Other { number, over: false }, _) if replaces == Some(number) => match phase {
            Some(RestorePhase::Failed) => Some(Verdict::Rests),
            _ if cluster.paused => {
                Some(Verdict::Waits("Paused", format!("EtcdCluster {of} rests: spec.paused is true")))
            }
            _ => None,
        },
        (Life::Other { number, .. }, _) => match replaces {
            None if one.spec.source.survivors.is_some() => Some(survivors::awaits_approval(one, cluster, number)),
            None => refused(Objection::HasBegun { cluster: of.clone(), number }),
            Some(wanted) => refused(Objection::OtherIncarnation { cluster: of.clone(), wanted, present: number }),
        },
        (Life::None, Some(RestorePhase::Failed)) => Some(Verdict::Rests),
        (Life::None, _) if replaces.is_some() || one.spec.source.survivors.is_some() => {
            refused(Objection::NotBegun(of.clone()))
        }
        (Life::None, _) if !cluster.names_this => {
            let message = format!("EtcdCluster {of} does not name it in spec.bootstrap.restore");
            Some(Verdict::Waits("NotNamed", message))
        }
        (Life::None, _) => None,
    }
}

/// Revisions by which a life is raised that takes the place of another: more than were written since its members last
/// told theirs.
const BUMP: i64 = 1_000_000_000;

/// By how much revisions are raised in what takes the place of a life, so that no client sees one twice with other
/// content. `known`: the highest that a member has told of.
fn bump(one: &EtcdRestore, known: i64, revision: i64) -> Option<i64> {
    one.spec.replaces_incarnation.map(|_| BUMP + (known - revision).max(0))
}

/// A newer minor version writes what an older one does not read.
fn too_old(data: Version, cluster: Version) -> Option<Objection> {
    let minor = data.minor;
    (cluster.minor < minor).then(|| Objection::TooOld { data, cluster, minor: minor.to_string() })
}

/// `cluster`: its version, and the highest revision that is known of it.
fn prove(
    one: &EtcdRestore,
    facts: &Facts,
    (cluster, known): (Version, i64),
    task: impl FnOnce() -> Task,
    now: Timestamp,
) -> Verdict {
    match &facts.proof.state {
        State::Absent => Verdict::Prove(task()),
        State::Going => Verdict::Proving(None),
        State::UnderWay(waits) => Verdict::Proving(waits.clone()),
        State::Said(Proof::Good { location, name: _, digest, bytes, revision, version, log: _ }) => {
            if let Some(objection) = version.parse().ok().and_then(|data| too_old(data, cluster)) {
                return Verdict::Refused(objection);
            }
            Verdict::Found(Found {
                location: location.clone(),
                digest: digest.clone(),
                bytes: *bytes,
                revision: *revision,
                serves: facts.proof.serves.clone(),
                // What was reckoned once stays, since members may go by it.
                bump: one.status.as_ref().and_then(|said| said.bump).or_else(|| bump(one, known, *revision)),
                survivors: None,
            })
        }
        State::Said(Proof::Bad { reason, message }) => Verdict::Bad(reason.clone(), message.clone()),
        State::Said(Proof::Unknown { reason: _, message }) | State::Lost(message) => {
            let failures = one.status.as_ref().map_or(0, |status| status.failures);
            match proofs::wait(failures, facts.proof.since, now) {
                SignedDuration::ZERO => Verdict::Again(message.clone()),
                wait => Verdict::Later(message.clone(), wait),
            }
        }
    }
}

#[cfg(test)]
pub mod tests;
