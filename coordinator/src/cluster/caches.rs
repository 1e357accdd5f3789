//! The caches of one scope, each filled by one watch. Reading them is free; what they say may be a moment old.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdCluster, EtcdRestore, EtcdUser},
    auth::User,
    names, validate,
};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    apiserver::{cache::Cache, lists::Lists, whole::Whole},
    cluster::facts::{
        Claim, ClusterKey, Facts, Member, Of, Pod, Set,
        archive::{Backup, Replacement, Restore},
        claim::Kept,
    },
    ownership::Owner,
};

/// One cache a kind.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    pub clusters: Whole<EtcdCluster>,
    pub sets: Cache<Of<Set>>,
    pub members: Cache<Member>,
    pub pods: Cache<Of<Pod>>,
    pub claims: Cache<Of<Kept>>,
    pub archive: Archive,
    pub people: People,
    /// EtcdClusters as we wrote them last, until their watch has caught up: the next status would else be reckoned from
    /// the one before, and be refused.
    written: Arc<Mutex<HashMap<String, Arc<EtcdCluster>>>>,
}

/// Backups and restores. Their lists are lists of their own: a server without these kinds has clusters all the same.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    pub backups: Whole<EtcdBackup>,
    pub restores: Whole<EtcdRestore>,
    pub backup_lists: Lists,
    pub restore_lists: Lists,
}

/// Users. Their lists are lists of their own, as those of backups.
#[derive(Debug, Clone, Default)]
pub struct People {
    pub users: Whole<EtcdUser>,
    pub lists: Lists,
}

impl People {
    /// What the users of a cluster may do, who are not on their way out and break no rule; `None` while they are not
    /// known.
    #[must_use]
    pub fn of(&self, cluster: &EtcdCluster) -> Option<Vec<User>> {
        let name = cluster.name_any();
        let its = |user: &EtcdUser| {
            let here = user.metadata.namespace == cluster.metadata.namespace && user.spec.cluster == name;
            here && user.metadata.deletion_timestamp.is_none()
        };
        let all = || self.users.store().state();
        let one = |user: &EtcdUser| validate::user(&user.name_any(), &user.spec).ok();
        self.lists.are_complete().then(|| all().iter().filter(|user| its(user)).filter_map(|user| one(user)).collect())
    }
}

impl Archive {
    /// Whether both kinds were listed.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.backup_lists.are_complete() && self.restore_lists.are_complete()
    }

    /// The backups of a cluster; `None` while they are not known.
    fn backups_of(&self, cluster: &EtcdCluster) -> Option<Vec<Backup>> {
        let name = cluster.name_any();
        let its = |one: &EtcdBackup| one.metadata.namespace == cluster.metadata.namespace && one.spec.cluster == name;
        let all = || self.backups.store().state();
        self.backup_lists
            .are_complete()
            .then(|| all().iter().filter(|one| its(one)).map(|one| Backup::of(one)).collect())
    }

    /// The restore that the present life makes room for, else the one that it began with, else the one that the first is
    /// to begin with.
    fn restore_of(&self, cluster: &EtcdCluster) -> Option<Restore> {
        let (namespace, name) = (namespace(cluster), cluster.name_any());
        let life = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
        if let Some(restore) = life.and_then(|life| self.replacing(&namespace, &name, life.number)) {
            return Some(restore);
        }
        let began = life.and_then(|life| life.restored.as_ref()).map(|restored| &restored.by);
        let named = cluster.spec.bootstrap.as_ref().map(|bootstrap| &bootstrap.restore);
        let restore = self.restores.get(&namespace, began.or(named)?)?;
        let going = restore.metadata.deletion_timestamp.is_some();
        (!going).then(|| Restore::of(&restore, &name))
    }

    /// The first of those that are about to take the place of a life.
    fn replacing(&self, namespace: &str, cluster: &str, number: i64) -> Option<Restore> {
        let all = self.restores.store().state();
        let its = all.iter().filter(|one| {
            one.spec.replaces_incarnation == Some(number)
                && one.spec.cluster == cluster
                && one.metadata.namespace.as_deref() == Some(namespace)
                && one.metadata.deletion_timestamp.is_none()
        });
        let wants = its.map(|one| Restore::of(one, cluster));
        let wants = wants.filter_map(|one| Some((one.replaces(number)?, one)));
        // One whose data was found does not wait for one that still reads.
        wants.min_by_key(|(wish, one)| (*wish == Replacement::Reads, one.name.clone())).map(|(_, one)| one)
    }
}

impl Caches {
    /// A cluster as it is now, or `None` if it is gone.
    #[must_use]
    pub fn current(&self, cluster: &EtcdCluster) -> Option<Arc<EtcdCluster>> {
        let there = self.clusters.get(&namespace(cluster), &cluster.name_any())?;
        (there.uid() == cluster.uid()).then(|| self.newest(there))
    }

    /// The newest that is known of a cluster: what the watch says, or what was written since.
    fn newest(&self, watched: Arc<EtcdCluster>) -> Arc<EtcdCluster> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = watched.uid().unwrap_or_default();
        match written.get(&uid) {
            Some(ours) if version(ours) > version(&watched) => Arc::clone(ours),
            Some(_) => {
                written.remove(&uid);
                watched
            }
            None => watched,
        }
    }

    /// Notes what was written.
    pub fn wrote(&self, cluster: Arc<EtcdCluster>) {
        let uid = cluster.uid().unwrap_or_default();
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, cluster);
    }

    /// The UIDs of all clusters.
    #[must_use]
    pub fn uids(&self) -> HashSet<String> {
        self.clusters.store().state().iter().filter_map(|cluster| cluster.uid()).collect()
    }

    /// Forgets what was written of clusters that are not there any more.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| is_there(uid));
    }

    /// What the caches know of a cluster.
    #[must_use]
    pub fn facts(&self, cluster: &EtcdCluster) -> Facts {
        let (name, owner, now) = (cluster.name_any(), Owner::of(cluster), Timestamp::now());
        let namespace = namespace(cluster);
        let set = self.sets.get(&namespace, &names::stateful_set(&name));
        let (members, pods) = (self.members.of(&namespace, &name), self.pods.of(&namespace, &name));
        let claims = self.claims.of(&namespace, &name);
        let ours = claims.iter().filter(|claim| claim.cluster.as_ref() == Some(&owner.life));
        let claims = ours.map(|claim| Claim::of(&claim.known, &owner.uid, now));
        let facts = Facts::of(&ClusterKey::cluster(cluster), set, members, pods, claims, now);
        let (backups, restore) = (self.archive.backups_of(cluster), self.archive.restore_of(cluster));
        Facts { backups, restore, users: self.people.of(cluster), ..facts }
    }
}

/// Versions rise; Kubernetes promises since 1.35 what was always so. One that is no number is never newer.
fn version(cluster: &EtcdCluster) -> Option<u64> {
    cluster.resource_version()?.parse().ok()
}

fn namespace(cluster: &EtcdCluster) -> String {
    cluster.namespace().unwrap_or_default()
}
