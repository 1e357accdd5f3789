//! The watches of one scope, and the reconciliations that they trigger.
//!
//! ```text
//!   EtcdCluster ───────────────▶ itself ┐
//!   StatefulSet, EtcdMember ───▶ owner  ├─▶ queue (one entry a cluster) ─▶ reconcile, many clusters at a time
//!   Pod, PersistentVolumeClaim ▶ label  │
//!   Service, ConfigMap, budget … ▶ owner┘      (metadata only: the ledger wants versions, not contents)
//! ```
//! Each watch fills its cache before it triggers. A list that is made anew (the watch was too late, or the API server away)
//! replaces a cache at its end only, and says nothing of what is gone: then every cluster is looked at. All but EtcdClusters are watched by the label that every object of ours
//! carries, so that a busy cluster's other pods cost nothing.

use std::{fmt::Debug, sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember},
    names::LABEL_CLUSTER,
};
use futures::{Stream, StreamExt, channel::mpsc};
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
    let stores = ctx.stores.clone();
    let (listed, lists) = mpsc::unbounded();
    let ears = Ears { scope, client: ctx.api.client(), ledger: Arc::clone(&ctx.ledger), listed };
    let controller =
        Controller::for_stream(ears.cached(watcher::Config::default(), clusters), ctx.stores.clusters.clone())
            .owns_stream(ears.cached::<StatefulSet>(ours(), sets))
            .owns_stream(ears.cached::<EtcdMember>(ours(), members))
            .watches_stream(ears.cached(ours(), pods), |pod| by_label(&pod))
            .watches_stream(ears.cached(ours(), claims), |claim| by_label(&claim))
            .owns_stream(ears.noticed::<Service>())
            .owns_stream(ears.noticed::<ConfigMap>())
            .owns_stream(ears.noticed::<ServiceAccount>())
            .owns_stream(ears.noticed::<PodDisruptionBudget>())
            .owns_stream(ears.noticed::<Role>())
            .owns_stream(ears.noticed::<RoleBinding>())
            .reconcile_all_on(lists);
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

/// What all watches of one scope share.
struct Ears {
    scope: Scope,
    client: Client,
    ledger: Arc<Ledger>,
    /// Told whenever a list is complete.
    listed: mpsc::UnboundedSender<()>,
}

impl Ears {
    /// A watch that fills a cache.
    fn cached<K>(
        &self,
        config: watcher::Config,
        writer: Writer<K>,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        // managedFields are half of an object, and nothing here reads them.
        let events = watcher(self.scope.api::<K>(&self.client), config).default_backoff();
        let events = events.modify(|o| o.managed_fields_mut().clear());
        triggers(events.inspect(self.listener()).reflect(writer), self.listed.clone())
    }

    /// A watch of metadata, for the ledger alone.
    fn noticed<K>(&self) -> impl Stream<Item = Result<PartialObjectMeta<K>, watcher::Error>> + Send + use<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        let api: Api<PartialObjectMeta<K>> = self.scope.api(&self.client);
        triggers(watcher(api, ours()).default_backoff().inspect(self.listener()), self.listed.clone())
    }

    fn listener<K: Watched>(&self) -> impl FnMut(&watcher::Result<watcher::Event<K>>) + Send + use<K> {
        let (ledger, namespace) = (Arc::clone(&self.ledger), self.scope.0.clone());
        move |event| match event {
            Ok(event) => ledger.hear(namespace.as_deref(), event),
            Err(error) => warn!(kind = %K::kind(&()), %error, "watch interrupted"),
        }
    }
}

/// The objects that are touched, and a word whenever a list is complete: only then does a cache hold it.
fn triggers<K: Watched>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    listed: mpsc::UnboundedSender<()>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send {
    let tell = move |event: &watcher::Result<watcher::Event<K>>| {
        if matches!(event, Ok(watcher::Event::InitDone)) {
            // Nobody listens any more: the controller ends.
            let _ = listed.unbounded_send(());
        }
    };
    events.inspect(tell).touched_objects()
}

/// The cluster that an object is labelled for.
fn by_label<K: ResourceExt>(object: &K) -> Option<ObjectRef<EtcdCluster>> {
    let cluster = object.labels().get(LABEL_CLUSTER)?;
    Some(ObjectRef::new(cluster).within(object.meta().namespace.as_deref()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use kube::runtime::{reflector, watcher::Event};

    fn map(name: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.into());
        map
    }

    #[tokio::test]
    async fn what_a_new_list_lacks_is_noticed_once_the_cache_has_the_list() {
        let (store, writer) = reflector::store();
        let (listed, mut lists) = mpsc::unbounded();
        let first = [Event::Init, Event::InitApply(map("a")), Event::InitApply(map("b")), Event::InitDone];
        let second = [Event::Init, Event::InitApply(map("a")), Event::InitDone];
        let events = stream::iter(first.into_iter().chain(second).map(Ok));
        let mut touched = Box::pin(triggers(events.reflect(writer), listed));
        while touched.next().await.is_some() {}
        assert_eq!(store.len(), 1);
        assert_eq!((lists.next().await, lists.next().await), (Some(()), Some(())));
    }
}
