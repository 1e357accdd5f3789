//! The watches of one scope, and the reconciliations that they trigger.
//!
//! ```text
//!   EtcdCluster ───────────────▶ itself ┐
//!   StatefulSet, EtcdMember ───▶ owner  ├─▶ queue (one entry a cluster) ─▶ reconcile, many clusters at a time
//!   Pod, PersistentVolumeClaim ▶ label  │
//!   Service, ConfigMap, budget … ▶ owner┘      (metadata only: the ledger wants versions, not contents)
//! ```
//! Each watch fills its cache before it triggers. All but EtcdClusters are watched by the label that every object of ours
//! carries, so that a busy cluster's other pods cost nothing.

use std::{fmt::Debug, sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember},
    names::LABEL_CLUSTER,
};
use futures::{Stream, StreamExt};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Config, Controller, WatchStreamExt,
        reflector::{ObjectRef, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    context::Context,
    ledger::Ledger,
    reconcile::{after_failure, reconcile},
    report,
    stores::{Stores, Writers},
};

/// Clusters reconciled at a time. One takes some milliseconds, and a call that hangs gives its slot back after 10 s.
const CONCURRENCY: u16 = 100;
/// Reconciliations under way at a shutdown get this long; each of their calls is bounded below it.
const DRAIN: Duration = Duration::from_secs(12);

/// Where to look: one namespace, or all.
#[derive(Debug, Clone)]
pub struct Scope(pub Option<String>);

/// What a watched kind must be.
trait Watched: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Watched for K {}

/// Runs until `shutdown`. Reconciliations under way are finished then.
pub async fn run(scope: Scope, ctx: Arc<Context>, writers: Writers, shutdown: CancellationToken) {
    let Writers { clusters, sets, members, pods, claims } = writers;
    let (client, ledger, stores) = (ctx.api.client(), Arc::clone(&ctx.ledger), ctx.stores.clone());
    let all = watcher::Config::default;
    let controller = Controller::for_stream(
        cached(scope.api(&client), all(), clusters, &scope, &ledger),
        ctx.stores.clusters.clone(),
    )
    .owns_stream(cached(scope.api::<StatefulSet>(&client), ours(), sets, &scope, &ledger))
    .owns_stream(cached(scope.api::<EtcdMember>(&client), ours(), members, &scope, &ledger))
    .watches_stream(cached(scope.api(&client), ours(), pods, &scope, &ledger), |pod| by_label(&pod))
    .watches_stream(cached(scope.api(&client), ours(), claims, &scope, &ledger), |claim| by_label(&claim))
    .owns_stream(noticed::<Service>(&client, &scope, &ledger))
    .owns_stream(noticed::<ConfigMap>(&client, &scope, &ledger))
    .owns_stream(noticed::<ServiceAccount>(&client, &scope, &ledger))
    .owns_stream(noticed::<PodDisruptionBudget>(&client, &scope, &ledger))
    .owns_stream(noticed::<Role>(&client, &scope, &ledger))
    .owns_stream(noticed::<RoleBinding>(&client, &scope, &ledger));
    let running = controller
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(
            |cluster, ctx| report::measured(Arc::clone(&ctx), reconcile(cluster, ctx)),
            |cluster, failed, ctx| after_failure(&cluster, failed, &ctx),
            ctx,
        )
        .for_each(async |result| {
            if let Err(error) = result {
                debug!(%error, "controller");
            }
        });
    // Dropping the controller aborts it: reconciliations are safe to be cut short anywhere.
    tokio::select! {
        () = running => {}
        () = drained(&stores, shutdown) => {}
    }
}

/// Returns when a shutdown has waited long enough. A controller whose first lists have not come does not stop when asked
/// (kube-runtime 5.0, `controller/runner.rs`), but it reconciles nothing either.
async fn drained(stores: &Stores, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    if stores.are_filled() {
        tokio::time::sleep(DRAIN).await;
        warn!("reconciliations cut short");
    }
}

impl Scope {
    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.0 {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// Objects that carry our label.
fn ours() -> watcher::Config {
    watcher::Config::default().labels(LABEL_CLUSTER)
}

/// A watch that fills a cache.
fn cached<K: Watched>(
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
    scope: &Scope,
    ledger: &Arc<Ledger>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K> {
    let hear = listener::<K>(scope, ledger);
    // managedFields are half of an object, and nothing here reads them.
    let stream = watcher(api, config).default_backoff().modify(|o| o.managed_fields_mut().clear());
    stream.inspect(hear).reflect(writer).touched_objects()
}

/// A watch of metadata, for the ledger alone.
fn noticed<K>(
    client: &Client,
    scope: &Scope,
    ledger: &Arc<Ledger>,
) -> impl Stream<Item = Result<PartialObjectMeta<K>, watcher::Error>> + Send + use<K>
where
    K: Watched + Resource<Scope = NamespaceResourceScope>,
{
    let hear = listener::<PartialObjectMeta<K>>(scope, ledger);
    let api: Api<PartialObjectMeta<K>> = scope.api(client);
    watcher(api, ours()).default_backoff().inspect(hear).touched_objects()
}

fn listener<K: Watched>(
    scope: &Scope,
    ledger: &Arc<Ledger>,
) -> impl FnMut(&watcher::Result<watcher::Event<K>>) + Send + use<K> {
    let (ledger, namespace) = (Arc::clone(ledger), scope.0.clone());
    move |event| match event {
        Ok(event) => ledger.hear(namespace.as_deref(), event),
        Err(error) => warn!(kind = %K::kind(&()), %error, "watch interrupted"),
    }
}

/// The cluster that an object is labelled for.
fn by_label<K: ResourceExt>(object: &K) -> Option<ObjectRef<EtcdCluster>> {
    let cluster = object.labels().get(LABEL_CLUSTER)?;
    Some(ObjectRef::new(cluster).within(object.meta().namespace.as_deref()?))
}
