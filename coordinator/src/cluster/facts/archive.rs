//! What is known of a cluster's backups, and of what it is to begin with.

use etcd_operator_shared::api::{
    EtcdBackup, EtcdRestore, backup::BackupPhase, cluster::Restored, restore::RestorePhase,
};
use jiff::Timestamp;
use kube::ResourceExt;

/// An EtcdBackup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub name: String,
    pub uid: String,
    /// Schedule and slot; `None` of one that somebody has ordered.
    pub by: Option<(String, String)>,
    pub phase: Option<BackupPhase>,
    /// When it was taken.
    pub taken: Option<Timestamp>,
    /// Why it is not verified, where that is for a person to know: reason and sentence.
    pub trouble: Option<(String, String)>,
    pub deleting: bool,
}

/// The EtcdRestore that a cluster names, began with, or makes room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    pub name: String,
    /// The bytes that another etcd has opened.
    pub found: Option<Restored>,
    /// Where they are served.
    pub from: Option<String>,
    /// Why they cannot be had: reason and sentence.
    pub trouble: Option<(String, String)>,
    /// Number of the incarnation that it takes the place of.
    pub replaces: Option<i64>,
    /// Whether the members are to be stopped, so that their volumes can be read.
    pub reads: bool,
}

/// What a restore wants of the incarnation that it takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// Its volumes are to be read.
    Reads,
    /// Its successor's data was found: it may end.
    Found,
}

impl Backup {
    #[must_use]
    pub fn of(backup: &EtcdBackup) -> Self {
        let status = backup.status.clone().unwrap_or_default();
        let failed =
            status.conditions.iter().find(|condition| condition.type_ == "Stalled" && condition.status == "True");
        Self {
            name: backup.name_any(),
            uid: backup.uid().unwrap_or_default(),
            by: backup.spec.schedule.clone().zip(backup.spec.slot.clone()),
            phase: status.phase,
            taken: status.taken.and_then(|taken| taken.parse().ok()),
            trouble: failed.map(|condition| (condition.reason.clone(), condition.message.clone())),
            deleting: backup.metadata.deletion_timestamp.is_some(),
        }
    }

    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.phase == Some(BackupPhase::Verified)
    }
}

impl Restore {
    /// As a cluster of this name sees it.
    #[must_use]
    pub fn of(restore: &EtcdRestore, cluster: &str) -> Self {
        let (name, status) = (restore.name_any(), restore.status.clone().unwrap_or_default());
        let replaces = restore.spec.replaces_incarnation;
        if restore.spec.cluster != cluster {
            let trouble = ("OtherCluster".to_owned(), format!("it is for EtcdCluster {}", restore.spec.cluster));
            return Self { name, found: None, from: None, trouble: Some(trouble), replaces, reads: false };
        }
        let reads = status.phase == Some(RestorePhase::Stopping);
        let found = match status.phase {
            Some(RestorePhase::Restoring) => {
                let (digest, size, revision) = (status.digest, status.bytes, status.revision);
                let (bump, seed) = (status.bump, status.seed);
                digest.zip(size).zip(revision).map(|((digest, size), revision)| Restored {
                    by: name.clone(),
                    digest,
                    size,
                    revision,
                    bump,
                    seed,
                })
            }
            // What was done with it once says nothing of another cluster of that name.
            Some(
                RestorePhase::Pending
                | RestorePhase::AwaitingApproval
                | RestorePhase::Stopping
                | RestorePhase::Rehearsing
                | RestorePhase::Completed
                | RestorePhase::Failed,
            )
            | None => None,
        };
        let stalled = status.conditions.into_iter().find(|one| one.type_ == "Stalled" && one.status == "True");
        let trouble = stalled.map(|one| (one.reason, one.message));
        Self { name, found, from: status.from, trouble, replaces, reads }
    }

    /// What it wants of the incarnation with this number, if that is the one whose place it takes.
    #[must_use]
    pub fn replaces(&self, number: i64) -> Option<Replacement> {
        match (&self.found, self.reads) {
            _ if self.replaces != Some(number) => None,
            (Some(_), _) => Some(Replacement::Found),
            (None, true) => Some(Replacement::Reads),
            (None, false) => None,
        }
    }
}
