//! The caches of one scope, each filled by one watch. Reading them is free; what they say may be a moment old.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember},
    names,
};
use futures::FutureExt;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{
        self, ObjectRef, Store,
        store::{Writer, WriterDropped},
    },
};

use crate::facts::{Facts, Whose};

/// Readers.
#[derive(Debug, Clone)]
pub struct Stores {
    pub clusters: Store<EtcdCluster>,
    pub sets: Store<StatefulSet>,
    pub members: Store<EtcdMember>,
    pub pods: Store<Pod>,
    pub claims: Store<PartialObjectMeta<PersistentVolumeClaim>>,
    /// EtcdClusters as we wrote them last, until their watch has caught up: the next status would else be reckoned from
    /// the one before, and be refused.
    written: Arc<Mutex<HashMap<String, Arc<EtcdCluster>>>>,
}

/// Writers, for the watches.
pub struct Writers {
    pub clusters: Writer<EtcdCluster>,
    pub sets: Writer<StatefulSet>,
    pub members: Writer<EtcdMember>,
    pub pods: Writer<Pod>,
    pub claims: Writer<PartialObjectMeta<PersistentVolumeClaim>>,
}

/// How long the first lists may take before a reconciliation gives its slot back.
const FIRST_LISTS: Duration = Duration::from_secs(10);
/// How often it looks whether they came.
const LOOK: Duration = Duration::from_millis(10);

#[must_use]
pub fn stores() -> (Stores, Writers) {
    let (clusters, clusters_writer) = reflector::store();
    let (sets, sets_writer) = reflector::store();
    let (members, members_writer) = reflector::store();
    let (pods, pods_writer) = reflector::store();
    let (claims, claims_writer) = reflector::store();
    let writers = Writers {
        clusters: clusters_writer,
        sets: sets_writer,
        members: members_writer,
        pods: pods_writer,
        claims: claims_writer,
    };
    (Stores { clusters, sets, members, pods, claims, written: Arc::default() }, writers)
}

impl Stores {
    /// Waits until every cache was filled once; `false` if one was not in time. An empty cache is unknown, not empty.
    ///
    /// Looks again and again instead of waiting to be woken: of several tasks that wait, a store wakes the last one only
    /// (kube-runtime 5.0, `utils/delayed_init.rs`: one channel, one waker).
    pub async fn filled(&self) -> bool {
        let looking = async {
            while !self.are_filled() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(FIRST_LISTS, looking).await.is_ok()
    }

    /// Whether every cache was filled once. Before that nothing is reconciled.
    pub fn are_filled(&self) -> bool {
        let filled = |look: Option<Result<(), WriterDropped>>| look.is_some_and(|answer| answer.is_ok());
        filled(self.clusters.wait_until_ready().now_or_never())
            && filled(self.sets.wait_until_ready().now_or_never())
            && filled(self.members.wait_until_ready().now_or_never())
            && filled(self.pods.wait_until_ready().now_or_never())
            && filled(self.claims.wait_until_ready().now_or_never())
    }

    /// A cluster as it is now, or `None` if it is gone.
    #[must_use]
    pub fn current(&self, cluster: &EtcdCluster) -> Option<Arc<EtcdCluster>> {
        let there = self.clusters.get(&ObjectRef::from_obj(cluster))?;
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

    /// What the caches know of a cluster.
    #[must_use]
    pub fn facts(&self, cluster: &EtcdCluster) -> Facts {
        let (name, uid) = (cluster.name_any(), cluster.uid().unwrap_or_default());
        let set = self.sets.get(&ObjectRef::new(&names::stateful_set(&name)).within(&namespace(cluster)));
        let set = set.filter(|s| s.owner_references().iter().any(|o| o.uid == uid));
        let same = |member| member;
        let (members, pods) = (of(&self.members, cluster, same), of(&self.pods, cluster, same));
        Facts { claims: self.claimed(cluster), ..Facts::of(&Whose::cluster(cluster), set.as_deref(), members, pods) }
    }

    /// The ordinals that have a claim, and whether it is being deleted.
    #[must_use]
    pub fn claimed(&self, cluster: &EtcdCluster) -> BTreeMap<u32, bool> {
        let ordinal = |claim: &str| names::ordinal(&names::volume_claim(&cluster.name_any()), claim);
        let claims = self.claims(cluster);
        let of = |c: &Arc<PartialObjectMeta<PersistentVolumeClaim>>| {
            Some((ordinal(&c.name_any())?, c.metadata.deletion_timestamp.is_some()))
        };
        claims.iter().filter_map(of).collect()
    }

    /// The volume claims that were made for a cluster.
    #[must_use]
    pub fn claims(&self, cluster: &EtcdCluster) -> Vec<Arc<PartialObjectMeta<PersistentVolumeClaim>>> {
        let uid = cluster.uid().unwrap_or_default();
        let mut claims = of(&self.claims, cluster, |member| names::volume_claim(&member));
        claims.retain(|c| c.labels().get(names::LABEL_CLUSTER_UID) == Some(&uid));
        claims
    }
}

/// By name, one ordinal after the other: a scan would cost every reconciliation as much as there are clusters.
fn of<K>(store: &Store<K>, cluster: &EtcdCluster, name: impl Fn(String) -> String) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (cluster, namespace) = (cluster.name_any(), namespace(cluster));
    let get = |ordinal| store.get(&ObjectRef::new(&name(names::member(&cluster, ordinal))).within(&namespace));
    (0..names::MAX_MEMBERS).filter_map(get).collect()
}

/// Versions rise; Kubernetes promises since 1.35 what was always so. One that is no number is never newer.
fn version(cluster: &EtcdCluster) -> Option<u64> {
    cluster.resource_version()?.parse().ok()
}

fn namespace(cluster: &EtcdCluster) -> String {
    cluster.namespace().unwrap_or_default()
}
