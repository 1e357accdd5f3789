//! What every reconciliation of one scope's users shares.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcd_operator_shared::api::{EtcdCluster, EtcdUser};
use kube::runtime::reflector::ObjectRef;
use rand::RngExt;
use tokio::{sync::mpsc::Sender, time::Instant};

use crate::{
    apiserver::{lists::Lists, whole::Whole},
    cluster::{caches::People, context},
};

/// Whether a Secret is still there is asked so often: no watch shows it, and nobody may read it.
const ASKED: Duration = Duration::from_secs(3600);

/// Shared by reconciliations; made once a scope.
pub struct Context {
    /// Of the clusters of this scope.
    pub clusters: Arc<context::Context>,
    pub users: Whole<EtcdUser>,
    /// Lists of their own: a server without this kind has clusters all the same.
    pub lists: Lists,
    /// Told of each cluster that has to do something for a user.
    touched: Sender<ObjectRef<EtcdCluster>>,
    /// When the Secret of each user, by UID, was last written or asked for.
    asked: Mutex<HashMap<String, Instant>>,
}

impl Context {
    #[must_use]
    pub fn new(clusters: Arc<context::Context>, touched: Sender<ObjectRef<EtcdCluster>>) -> Self {
        let People { users, lists } = clusters.caches.people.clone();
        Self { clusters, users, lists, touched, asked: Mutex::default() }
    }

    /// Tells the cluster of this name. One that is not told looks by itself, later.
    pub fn touch(&self, namespace: &str, cluster: &str) {
        let _ = self.touched.try_send(ObjectRef::new(cluster).within(namespace));
    }

    /// How long until it is to be asked whether a user's Secret is there. After a start no two at once.
    pub fn asks_in(&self, uid: &str, now: Instant) -> Duration {
        let spread = || now.checked_sub(ASKED.mul_f64(rand::rng().random_range(0.0..0.9))).unwrap_or(now);
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *all.entry(uid.to_owned()).or_insert_with(spread);
        ASKED.saturating_sub(now.duration_since(last))
    }

    /// It was just seen to be there.
    pub fn is_there(&self, uid: &str, now: Instant) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), now);
    }

    /// Forgets users that are gone.
    pub fn forget_the_gone(&self) {
        let there: Vec<Option<String>> =
            self.users.store().state().iter().map(|user| user.metadata.uid.clone()).collect();
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|uid, _| there.iter().flatten().any(|known| known == uid));
    }
}
