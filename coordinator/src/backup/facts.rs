//! What a backup depends on, as plain data.

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdCluster, backup::BackupPhase, cluster::Store, member::TakenBackup},
    backup,
};
use kube::ResourceExt;

use crate::cluster::facts::{Facts as Observed, Readiness, proof::Seen};

/// Of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `None`: there is none of this name, or it is on its way out.
    pub cluster: Option<Cluster>,
    /// By name; those that have a pod.
    pub members: Vec<Member>,
    /// Name of an elder EtcdBackup of the cluster that is not taken yet.
    pub elder: Option<String>,
    pub proof: Seen,
}

/// The cluster that a backup is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Where backups go, and the Secret with the credentials; `None` where the spec does not say.
    pub store: Option<(Store, String)>,
    /// Whether it was told to rest, at size 0.
    pub stopped: bool,
}

/// A member, as far as it can take a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// resourceVersion of its EtcdMember.
    pub version: String,
    /// Whether it serves and is caught up.
    pub serves: bool,
    pub leads: bool,
    /// Whether it was told where backups go.
    pub told: bool,
    /// What it was told to take now.
    pub now: Option<String>,
    /// What it has taken lately, or could not.
    pub reports: Vec<TakenBackup>,
}

impl Facts {
    /// `others`: the EtcdBackups of the namespace.
    #[must_use]
    pub fn of<'a>(
        one: &EtcdBackup,
        cluster: Option<(&EtcdCluster, &Observed)>,
        others: impl IntoIterator<Item = &'a EtcdBackup>,
        proof: Seen,
    ) -> Self {
        let rank = |one: &EtcdBackup| (one.creation_timestamp().map(|made| made.0), one.uid());
        let waits = |other: &&EtcdBackup| {
            other.spec.cluster == one.spec.cluster
                && other.spec.slot.is_none()
                && !is_taken(other)
                && rank(other) < rank(one)
        };
        let elder = others.into_iter().filter(waits).min_by_key(|other| rank(other)).map(ResourceExt::name_any);
        let cluster = cluster.filter(|(cluster, _)| cluster.metadata.deletion_timestamp.is_none());
        let members = cluster.map(|(_, observed)| members(observed)).unwrap_or_default();
        Self { cluster: cluster.map(|(cluster, _)| Cluster::of(cluster)), members, elder, proof }
    }
}

/// Whether it is in the store.
#[must_use]
pub fn is_taken(one: &EtcdBackup) -> bool {
    one.status.as_ref().is_some_and(|status| status.location.is_some())
}

/// Whether nothing will be done for it any more.
#[must_use]
pub fn is_over(one: &EtcdBackup) -> bool {
    match one.status.as_ref().and_then(|status| status.phase) {
        Some(BackupPhase::Verified | BackupPhase::Failed) => true,
        Some(BackupPhase::Pending | BackupPhase::Taking | BackupPhase::Verifying) | None => false,
    }
}

impl Cluster {
    fn of(cluster: &EtcdCluster) -> Self {
        let secret = || backup::secret(&cluster.name_any());
        let store = cluster
            .spec
            .backup
            .as_ref()
            .map(|policy| (policy.store.clone(), policy.secret_name.clone().unwrap_or_else(secret)));
        Self { store, stopped: cluster.spec.size == 0 }
    }
}

fn members(observed: &Observed) -> Vec<Member> {
    let leader = observed.leader().map(|(ordinal, _)| ordinal);
    let one = |(ordinal, slot): (&u32, &crate::cluster::facts::Slot)| {
        let (member, report) = (slot.member.as_ref()?, slot.report()?);
        let told = member.spec.backups.as_ref();
        Some(Member {
            name: member.name.clone(),
            version: member.version.resource.clone().unwrap_or_default(),
            serves: matches!(slot.readiness(), Readiness::Ready(said) if said.settled),
            leads: leader == Some(*ordinal),
            told: told.is_some(),
            now: told.and_then(|told| told.now.clone()),
            reports: report.backups.clone(),
        })
    };
    observed.slots.iter().filter_map(one).collect()
}
