//! What every reconciliation of one scope shares.

use std::sync::Arc;

use etcd_operator_shared::api::cluster::PodUser;

use crate::{
    apiserver::{ApiServer, applied::Applied, events::Events},
    cluster::{caches::Caches, inquiries::Inquiries, timers::Timers},
    metrics::Metrics,
};

/// Shared by reconciliations; made once a scope.
pub struct Context {
    pub api: Arc<ApiServer>,
    pub caches: Caches,
    pub applied: Arc<Applied>,
    pub events: Events,
    pub metrics: Metrics,
    pub agent_image: String,
    /// As whom pods run whose cluster does not say.
    pub pod_user: PodUser,
    pub timers: Timers,
    pub inquiries: Inquiries,
}
