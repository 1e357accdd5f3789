//! What a restore depends on, as plain data.

use etcd_operator_shared::{
    api::{
        EtcdBackup, EtcdCluster, EtcdRestore,
        backup::BackupPhase,
        cluster::{Phase, Store},
        restore::Source as Named,
    },
    backup::{self, Question},
    validate,
    version::Version,
};
use kube::ResourceExt;

use crate::cluster::facts::proof::Seen;

/// Of one restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `None`: there is none of this name, or it is on its way out.
    pub cluster: Option<Cluster>,
    pub source: Source,
    pub proof: Seen,
}

/// The cluster that is to begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Whether it names this restore.
    pub names_this: bool,
    pub life: Life,
    /// Version of etcd that it is to run; `None`: its spec cannot be acted on.
    pub version: Option<Version>,
}

/// How far the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has not begun.
    None,
    /// Its first members begin with this restore's data.
    Begins,
    /// It serves what was restored.
    Serves,
    /// It began without this restore.
    Other,
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
}

impl Facts {
    #[must_use]
    pub fn of(one: &EtcdRestore, cluster: Option<&EtcdCluster>, backup: Option<&EtcdBackup>, proof: Seen) -> Self {
        let cluster = cluster.filter(|cluster| cluster.metadata.deletion_timestamp.is_none());
        Self { cluster: cluster.map(|cluster| Cluster::of(one, cluster)), source: Source::of(one, backup), proof }
    }
}

impl Cluster {
    fn of(one: &EtcdRestore, cluster: &EtcdCluster) -> Self {
        let name = one.name_any();
        let status = cluster.status.as_ref();
        let incarnation = status.and_then(|status| status.incarnation.as_ref());
        let restored = incarnation.and_then(|incarnation| incarnation.restored.as_ref());
        let digest = one.status.as_ref().and_then(|status| status.digest.as_ref());
        let ours = restored
            .is_some_and(|restored| restored.by == name && digest.is_none_or(|known| *known == restored.digest));
        let ready = || {
            let all = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
            all.iter().any(|one| one.type_ == "Ready" && one.status == "True")
                && status.and_then(|status| status.phase) == Some(Phase::Running)
        };
        Self {
            names_this: cluster.spec.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.restore == name),
            life: match incarnation {
                None => Life::None,
                Some(_) if ours && ready() => Life::Serves,
                Some(_) if ours => Life::Begins,
                Some(_) => Life::Other,
            },
            version: validate::cluster(cluster).ok().map(|wanted| wanted.version),
        }
    }
}

impl Source {
    fn of(one: &EtcdRestore, found: Option<&EtcdBackup>) -> Self {
        let digest = one.status.as_ref().and_then(|status| status.digest.clone());
        let Named { backup: named, stored } = &one.spec.source;
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
