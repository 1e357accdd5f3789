//! The watch of one scope's EtcdRestores, and what triggers them: themselves, and the clusters that they are of.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdCluster, EtcdRestore};
use futures::{StreamExt, stream};
use kube::{
    ResourceExt,
    runtime::{Config, Controller, reflector::ObjectRef},
};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::reconcile::{after_failure, is_over, reconcile};
use crate::{
    apiserver::{
        guard::{self, Unreadable},
        watch::Scope,
    },
    backup::context::Context,
};

/// Restores reconciled at a time.
const CONCURRENCY: u16 = 10;
/// One that is under way at a shutdown gets this long.
const DRAIN: Duration = Duration::from_secs(12);

/// Runs until `shutdown`. `touched`: the clusters that something was heard of.
pub async fn run(
    scope: Scope,
    ctx: Arc<Context>,
    touched: Receiver<ObjectRef<EtcdCluster>>,
    shutdown: CancellationToken,
) {
    let archive = ctx.clusters.caches.archive.clone();
    let lists = archive.restore_lists.clone();
    let (watches, words, told) = (ctx.watches(scope, lists.clone()), lists.words(), Arc::clone(&ctx));
    let all = watches.whole(&archive.restores, guard::nothing, tell).inspect(move |one| {
        if let Ok(one) = one {
            told.touch(one.metadata.namespace.as_deref(), &one.spec.cluster);
        }
    });
    let its = Arc::clone(&ctx);
    let touched = stream::unfold(touched, |mut touched| async { Some((touched.recv().await?, touched)) });
    let of_clusters = touched.flat_map(move |cluster| stream::iter(of(&its, &cluster)));
    let running = Controller::for_stream(all, archive.restores.store())
        .reconcile_on(of_clusters)
        .reconcile_all_on(words)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(reconcile, |one, failed, ctx| after_failure(&one, failed, &ctx), ctx)
        .for_each(async |result| {
            if let Err(error) = result {
                debug!(%error, "controller of restores");
            }
        });
    // A server without this kind never lists it: such a controller has nothing under way, and does not stop when asked.
    let drained = async {
        shutdown.cancelled().await;
        if lists.are_complete() {
            tokio::time::sleep(DRAIN).await;
        }
    };
    tokio::select! {
        () = running => {}
        () = drained => {}
    }
}

/// The restores of a cluster for which something may have to be done.
fn of(ctx: &Context, cluster: &ObjectRef<EtcdCluster>) -> Vec<ObjectRef<EtcdRestore>> {
    let caches = &ctx.clusters.caches;
    let (all, namespace) = (caches.archive.restores.store().state(), cluster.namespace.clone().unwrap_or_default());
    let there = caches.clusters.get(&namespace, &cluster.name);
    let begun = there.is_some_and(|there| there.status.as_ref().is_some_and(|status| status.incarnation.is_some()));
    // One that is over may begin again where the cluster is made anew.
    let its = |one: &EtcdRestore| {
        one.namespace() == cluster.namespace && one.spec.cluster == cluster.name && !(begun && is_over(one))
    };
    all.iter().filter(|one| its(one)).map(|one| ObjectRef::from_obj(&**one)).collect()
}

fn tell(Unreadable { metadata, whole: _, words }: Unreadable) {
    let (namespace, name) = (metadata.namespace, metadata.name);
    warn!(namespace, name, words, "an EtcdRestore cannot be read: nothing is done for it");
}
