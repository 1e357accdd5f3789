//! What every reconciliation of one scope's backups and restores shares.

use std::sync::Arc;

use etcd_operator_shared::api::EtcdCluster;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::mpsc::Sender;

use crate::{
    apiserver::{
        lists::Lists,
        watch::{Scope, Watches},
    },
    cluster::context,
    proofs::Proofs,
};

/// Shared by reconciliations; made once a scope.
pub struct Context {
    /// Of the clusters of this scope.
    pub clusters: Arc<context::Context>,
    pub proofs: Arc<Proofs>,
    /// Told of each cluster of which a backup or a restore was touched.
    pub touched: Sender<ObjectRef<EtcdCluster>>,
}

impl Context {
    /// The watches of a scope.
    pub fn watches(&self, scope: Scope, lists: Lists) -> Watches {
        Watches { scope, client: self.clusters.api.client(), applied: Arc::clone(&self.clusters.applied), lists }
    }

    /// Tells the cluster of this name. One that is not told looks by itself, later.
    pub fn touch(&self, namespace: Option<&str>, cluster: &str) {
        if let Some(namespace) = namespace {
            let _ = self.touched.try_send(ObjectRef::new(cluster).within(namespace));
        }
    }

    /// Forgets what it holds of backups that are gone.
    pub fn forget_the_gone(&self) {
        let there: Vec<Option<String>> =
            self.clusters.caches.archive.backups.store().state().iter().map(|one| one.uid()).collect();
        self.proofs.forget_all_but(|uid| there.iter().flatten().any(|known| known == uid));
    }

    /// Whether another installation acts on the cluster, and so on what is its.
    pub fn is_anothers(&self, namespace: &str, cluster: &str) -> bool {
        let cluster = self.clusters.caches.clusters.get(namespace, cluster);
        let acts = cluster.and_then(|cluster| cluster.status.as_ref()?.operator.clone());
        acts.is_some_and(|acts| self.clusters.installations.mine.as_ref() != Some(&acts))
    }
}
