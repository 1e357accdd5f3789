//! What a restore depends on, as plain data.

use etcd_operator_shared::{
    api::{
        EtcdBackup, EtcdCluster, EtcdRestore,
        backup::BackupPhase,
        cluster::{Incarnation, Phase, Store},
        restore::Source as Named,
    },
    backup::{self, Question},
    validate,
    version::Version,
};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::cluster::facts::{Facts as Known, proof::Seen};

/// Of one restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `None`: there is none of this name, or it is on its way out.
    pub cluster: Option<Cluster>,
    pub source: Source,
    pub proof: Seen,
}

/// The cluster that is to begin, or to go on, with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Whether it names this restore.
    pub names_this: bool,
    pub life: Life,
    /// Version of etcd that it is to run; `None`: its spec cannot be acted on.
    pub version: Option<Version>,
    pub paused: bool,
    /// Names of the members that it has.
    pub members: Vec<String>,
    /// Names of its pods.
    pub pods: Vec<String>,
    /// Since when no quorum has been serving; `None` while one does.
    pub unavailable: Option<Timestamp>,
    /// The highest revision that a member has told of: there may have been more.
    pub revision: i64,
}

/// How far the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has not begun.
    None,
    /// Its first members begin with this restore's data, or are about to.
    Begins,
    /// It serves what was restored.
    Serves,
    /// It lives without this restore, as the incarnation with this number.
    Other { number: i64, over: bool },
}

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// There is no EtcdBackup of this name.
    NoSuchBackup(String),
    /// It is not verified yet.
    NotVerified(String),
    /// It is known not to be right.
    Failed(String),
    /// It is verified and does not say where it is.
    Nowhere(String),
    /// Here, of this version where that is known.
    Stored { question: Question, secret: String, version: Option<Version> },
    /// On the volumes of the cluster's own members; what is seen of the pods that read them.
    Volumes { lost: Vec<String>, read: Vec<Reading> },
}

/// A pod that reads a member's volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub member: String,
    pub seen: Seen,
}

impl Facts {
    /// `read`: what is seen of the volumes of its members, where they are to be read.
    #[must_use]
    pub fn of(
        one: &EtcdRestore,
        cluster: Option<(&EtcdCluster, &Known)>,
        backup: Option<&EtcdBackup>,
        proof: Seen,
        read: Vec<Reading>,
    ) -> Self {
        let cluster = cluster.filter(|(cluster, _)| cluster.metadata.deletion_timestamp.is_none());
        let life = cluster.and_then(|(cluster, _)| cluster.status.as_ref()?.incarnation.as_ref());
        let source = match &one.spec.source.survivors {
            Some(survivors) => Source::Volumes { lost: survivors.lost.clone(), read },
            None => Source::of(one, life, backup),
        };
        Self { cluster: cluster.map(|(cluster, known)| Cluster::of(one, cluster, known)), source, proof }
    }
}

impl Cluster {
    fn of(one: &EtcdRestore, cluster: &EtcdCluster, known: &Known) -> Self {
        let status = cluster.status.as_ref();
        let condition = |kind: &str| status?.conditions.iter().find(|one| one.type_ == kind);
        let is_ready = condition("Ready").is_some_and(|one| one.status == "True")
            && status.and_then(|status| status.phase) == Some(Phase::Running);
        let unavailable = condition("Available").filter(|one| one.status != "True");
        let revisions = known.slots.values().filter_map(|slot| slot.member.as_ref()?.status.as_ref()?.revision);
        Self {
            names_this: cluster.spec.bootstrap.as_ref().is_some_and(|named| named.restore == one.name_any()),
            life: Life::of(one, status.and_then(|status| status.incarnation.as_ref()), is_ready),
            version: validate::cluster(cluster).ok().map(|wanted| wanted.version),
            paused: cluster.spec.paused,
            members: members(known),
            pods: known.pods().map(|(_, pod)| pod.name.clone()).collect(),
            unavailable: unavailable.map(|one| one.last_transition_time.0),
            revision: revisions.max().unwrap_or(0),
        }
    }
}

/// Names of the members of a cluster.
pub fn members(known: &Known) -> Vec<String> {
    known.slots.values().filter_map(|slot| Some(slot.member.as_ref()?.name.clone())).collect()
}

impl Life {
    fn of(one: &EtcdRestore, present: Option<&Incarnation>, is_ready: bool) -> Self {
        let (name, digest) = (one.name_any(), one.status.as_ref().and_then(|status| status.digest.as_ref()));
        let Some(present) = present else { return Self::None };
        let over = present.ended.is_some();
        let data = if over { &present.next } else { &present.restored };
        let is_ours = data.as_ref().is_some_and(|data| data.by == name && digest.is_none_or(|d| *d == data.digest));
        match (is_ours, over || !is_ready) {
            (true, true) => Self::Begins,
            (true, false) => Self::Serves,
            (false, _) => Self::Other { number: present.number, over },
        }
    }
}

impl Source {
    /// What is seen of the pods that read volumes.
    #[must_use]
    pub fn readings(&self) -> &[Reading] {
        match self {
            Self::Volumes { read, .. } => read,
            Self::NoSuchBackup(_) | Self::NotVerified(_) | Self::Failed(_) | Self::Nowhere(_) | Self::Stored { .. } => {
                &[]
            }
        }
    }

    fn of(one: &EtcdRestore, life: Option<&Incarnation>, found: Option<&EtcdBackup>) -> Self {
        let digest = one.status.as_ref().and_then(|status| status.digest.clone()).or_else(|| promised(one, life));
        let Named { backup: named, stored, survivors: _ } = &one.spec.source;
        if let Some(stored) = stored {
            let question = Question {
                store: stored.store.clone(),
                path: stored.cluster.clone(),
                name: pinned(one, &stored.store).or_else(|| stored.snapshot.clone()),
                digest,
            };
            return Self::Stored { question, secret: stored.secret_name.clone(), version: None };
        }
        let name = named.clone().unwrap_or_default();
        let Some(status) = found.map(|found| found.status.clone().unwrap_or_default()) else {
            return Self::NoSuchBackup(name);
        };
        match status.phase {
            Some(BackupPhase::Verified) => {}
            Some(BackupPhase::Failed) => return Self::Failed(name),
            Some(BackupPhase::Pending | BackupPhase::Taking | BackupPhase::Verifying) | None => {
                return Self::NotVerified(name);
            }
        }
        let (Some(store), Some(secret), Some(location)) = (status.store, status.secret_name, status.location) else {
            return Self::Nowhere(name);
        };
        let version = status.version.and_then(|version| version.parse().ok());
        let Some((path, stored)) = backup::parts_of(store.s3.prefix.as_deref(), &location) else {
            return Self::Nowhere(name);
        };
        let (path, stored) = (path.to_owned(), stored.to_owned());
        let question = Question { store, path, name: Some(stored), digest: digest.or(status.digest) };
        Self::Stored { question, secret, version }
    }
}

/// The name of what was found once: the newest may be another one by now.
fn pinned(one: &EtcdRestore, store: &Store) -> Option<String> {
    let location = one.status.as_ref()?.source.as_ref()?;
    Some(backup::parts_of(store.s3.prefix.as_deref(), location)?.1.to_owned())
}

/// The digest of what a life waits for that began with a restore of this name: one that was deleted meanwhile and made
/// again gives the same bytes or none.
fn promised(one: &EtcdRestore, life: Option<&Incarnation>) -> Option<String> {
    let life = life?;
    let data = life.next.as_ref().filter(|_| life.ended.is_some()).or(life.restored.as_ref())?;
    (data.by == one.name_any()).then(|| data.digest.clone())
}
