//! The watch of one scope's EtcdBackups, and what triggers them: themselves, and the clusters that they are of.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdBackup, EtcdCluster};
use futures::{StreamExt, stream};
use kube::{
    ResourceExt,
    runtime::{Config, Controller, reflector::ObjectRef},
};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    context::Context,
    facts::is_over,
    reconcile::{after_failure, reconcile},
};
use crate::apiserver::{
    guard::{self, Unreadable},
    watch::Scope,
};

/// Backups reconciled at a time.
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
    let lists = archive.backup_lists.clone();
    let watches = ctx.watches(scope, lists.clone());
    let (words, whole, told) = (lists.words(), Arc::clone(&ctx), Arc::clone(&ctx));
    let all = watches.whole(&archive.backups, guard::nothing, tell).inspect(move |one| {
        if let Ok(one) = one {
            told.touch(one.metadata.namespace.as_deref(), &one.spec.cluster);
        }
    });
    let its = Arc::clone(&ctx);
    let touched = stream::unfold(touched, |mut touched| async { Some((touched.recv().await?, touched)) });
    let of_clusters = touched.flat_map(move |cluster| stream::iter(of(&its, &cluster)));
    let running = Controller::for_stream(all, archive.backups.store())
        .reconcile_on(of_clusters)
        .reconcile_all_on(words.inspect(move |()| whole.forget_the_gone()))
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(reconcile, |one, failed, ctx| after_failure(&one, failed, &ctx), ctx)
        .for_each(async |result| {
            if let Err(error) = result {
                debug!(%error, "controller of backups");
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

/// The backups of a cluster for which something may have to be done.
fn of(ctx: &Context, cluster: &ObjectRef<EtcdCluster>) -> Vec<ObjectRef<EtcdBackup>> {
    let all = ctx.clusters.caches.archive.backups.store().state();
    let its =
        |one: &EtcdBackup| one.namespace() == cluster.namespace && one.spec.cluster == cluster.name && !is_over(one);
    all.iter().filter(|one| its(one)).map(|one| ObjectRef::from_obj(&**one)).collect()
}

fn tell(Unreadable { metadata, whole: _, words }: Unreadable) {
    let (namespace, name) = (metadata.namespace, metadata.name);
    warn!(namespace, name, words, "an EtcdBackup cannot be read: nothing is done for it");
}
