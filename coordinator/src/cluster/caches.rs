//! The caches of one scope, each filled by one watch. Reading them is free; what they say may be a moment old.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use etcd_operator_shared::{api::EtcdCluster, names};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    apiserver::{cache::Cache, whole::Whole},
    cluster::facts::{Claim, ClusterKey, Facts, Member, Of, Pod, Set, claim::Kept},
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
    /// EtcdClusters as we wrote them last, until their watch has caught up: the next status would else be reckoned from
    /// the one before, and be refused.
    written: Arc<Mutex<HashMap<String, Arc<EtcdCluster>>>>,
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
        Facts::of(&ClusterKey::cluster(cluster), set, members, pods, claims, now)
    }
}

/// Versions rise; Kubernetes promises since 1.35 what was always so. One that is no number is never newer.
fn version(cluster: &EtcdCluster) -> Option<u64> {
    cluster.resource_version()?.parse().ok()
}

fn namespace(cluster: &EtcdCluster) -> String {
    cluster.namespace().unwrap_or_default()
}
