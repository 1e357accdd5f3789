//! What every reconciliation of one scope shares.

use std::sync::{Arc, Once};

use etcd_operator_shared::api::{EtcdCluster, cluster::PodUser};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::mpsc::Sender;

use crate::{
    apiserver::{ApiServer, applied::Applied, events::Events, lists::Lists},
    authorities::Authorities,
    cluster::{
        caches::Caches, inquiries::Inquiries, installations::Installations, rehearsals::Rehearsals, timers::Timers,
        turns::Turns,
    },
    metrics::Metrics,
};

/// Shared by reconciliations; made once a scope.
pub struct Context {
    pub api: Arc<ApiServer>,
    pub caches: Caches,
    /// Whether the caches are filled.
    pub lists: Lists,
    pub applied: Arc<Applied>,
    pub events: Events,
    pub metrics: Metrics,
    pub agent_image: String,
    /// As whom pods run whose cluster does not say.
    pub pod_user: PodUser,
    /// Shared by all scopes.
    pub installations: Arc<Installations>,
    /// Shared by all scopes.
    pub authorities: Arc<Authorities>,
    pub timers: Timers,
    pub inquiries: Inquiries,
    pub rehearsals: Rehearsals,
    pub turns: Turns,
    /// Told of every cluster that is touched: its users, backups and restores may depend on it. Nobody listens where
    /// there are none of them.
    pub touched: Vec<Sender<ObjectRef<EtcdCluster>>>,
    /// Whether the rolls that were under way have their turns.
    pub resumed: Once,
}

impl Context {
    /// Forgets what it holds in memory of clusters that are gone.
    pub fn forget_the_gone(&self) {
        let there = self.caches.uids();
        self.caches.forget_all_but(|uid| there.contains(uid));
        self.timers.forget_all_but(|uid| there.contains(uid));
        self.inquiries.forget_all_but(|uid| there.contains(uid));
        self.rehearsals.forget_all_but(|uid| there.contains(uid));
        self.turns.forget_all_but(|uid| there.contains(uid));
        self.installations.forget_all_but(|uid| there.contains(uid));
    }

    /// As [`forget_the_gone`](Self::forget_the_gone), of one cluster that was touched.
    pub fn forget_if_gone(&self, cluster: &EtcdCluster) {
        if self.caches.current(cluster).is_none() {
            let gone = cluster.uid().unwrap_or_default();
            self.caches.forget_all_but(|uid| uid != gone);
            self.timers.forget(&gone);
            self.inquiries.forget(&gone);
            self.rehearsals.forget_all_but(|uid| uid != gone);
            self.turns.forget_all_but(|uid| uid != gone);
            self.installations.forget(&gone);
        }
    }
}
