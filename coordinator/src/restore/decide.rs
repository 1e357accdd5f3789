//! What is done for a restore, decided.
//!
//! ```text
//!   Refused, Waits ─▶ Prove ─▶ Proving ─▶ Found: served until the cluster has what it needs ─▶ Complete ─▶ Rests
//!                       ▲          ├─▶ Bad ─▶ Rests: Failed
//!                       └─ Again ◀─┘ it says nothing of the data
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
}

/// Why nothing is done until a person acts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Objection {
    #[error("EtcdCluster {0} has begun without it: what a cluster begins with is read once; make a new cluster")]
    HasBegun(String),
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
            Self::HasBegun(_) => "ClusterHasBegun",
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
    let Some(Cluster { names_this, life, version }) = &facts.cluster else {
        return match phase {
            Some(RestorePhase::Completed) => Verdict::Rests,
            Some(RestorePhase::Pending | RestorePhase::Rehearsing | RestorePhase::Restoring | RestorePhase::Failed)
            | None => Verdict::Waits("NoSuchCluster", format!("it waits for EtcdCluster {of} to be made")),
        };
    };
    match (life, phase) {
        (Life::Serves, Some(RestorePhase::Completed)) => return Verdict::Rests,
        (Life::Serves, _) => return Verdict::Complete,
        // It serves no more at the moment, for another reason.
        (Life::Begins, Some(RestorePhase::Completed)) => return Verdict::Rests,
        (Life::Other, Some(RestorePhase::Completed)) => return Verdict::Rests,
        (Life::Other, _) => return Verdict::Refused(Objection::HasBegun(of.clone())),
        (Life::None, Some(RestorePhase::Failed)) => return Verdict::Rests,
        (Life::None, _) if !names_this => {
            let message = format!("EtcdCluster {of} does not name it in spec.bootstrap.restore");
            return Verdict::Waits("NotNamed", message);
        }
        (Life::None | Life::Begins, _) => {}
    }
    let Some(cluster) = version else { return Verdict::Refused(Objection::Invalid(of.clone())) };
    let (question, secret, data) = match &facts.source {
        Source::NoSuchBackup(name) => return Verdict::Refused(Objection::NoSuchBackup(name.clone())),
        Source::Failed(name) => return Verdict::Refused(Objection::BackupFailed(name.clone())),
        Source::Nowhere(name) => return Verdict::Refused(Objection::BackupNowhere(name.clone())),
        Source::NotVerified(name) => {
            let message = format!("EtcdBackup {name} is not verified yet");
            return Verdict::Waits("BackupNotVerified", message);
        }
        Source::Stored { question, secret, version } => (question, secret, version),
    };
    if let Some(objection) = data.and_then(|data| too_old(data, *cluster)) {
        return Verdict::Refused(objection);
    }
    let task = || Task { question: question.clone(), secret: secret.clone() };
    prove(one, facts, *cluster, task, now)
}

/// A newer minor version writes what an older one does not read.
fn too_old(data: Version, cluster: Version) -> Option<Objection> {
    let minor = data.minor;
    (cluster.minor < minor).then(|| Objection::TooOld { data, cluster, minor: minor.to_string() })
}

fn prove(one: &EtcdRestore, facts: &Facts, cluster: Version, task: impl FnOnce() -> Task, now: Timestamp) -> Verdict {
    match &facts.proof.state {
        State::Absent => Verdict::Prove(task()),
        State::Going => Verdict::Proving(None),
        State::UnderWay(waits) => Verdict::Proving(waits.clone()),
        State::Said(Proof::Good { location, name: _, digest, bytes, revision, version }) => {
            if let Some(objection) = version.parse().ok().and_then(|data| too_old(data, cluster)) {
                return Verdict::Refused(objection);
            }
            Verdict::Found(Found {
                location: location.clone(),
                digest: digest.clone(),
                bytes: *bytes,
                revision: *revision,
                serves: facts.proof.serves.clone(),
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
mod tests;
