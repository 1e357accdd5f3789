//! The watch of one scope's EtcdUsers, and what triggers them: themselves, and the clusters that they are of.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdCluster, EtcdUser};
use futures::{StreamExt, stream};
use kube::runtime::{Config, Controller, reflector::ObjectRef};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    context::Context,
    reconcile::{after_failure, reconcile},
};
use crate::apiserver::{
    guard::{self, Unreadable},
    watch::{Scope, Watches},
};

/// Users reconciled at a time: each costs two writes when its certificate is issued, and else nothing.
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
    let watches = Watches {
        scope,
        client: ctx.clusters.api.client(),
        applied: Arc::clone(&ctx.clusters.applied),
        lists: ctx.lists.clone(),
    };
    let (words, whole) = (ctx.lists.words(), Arc::clone(&ctx));
    let all = watches.whole(&ctx.users, guard::nothing, tell);
    let users = Arc::clone(&ctx);
    let touched = stream::unfold(touched, |mut touched| async { Some((touched.recv().await?, touched)) });
    let of_clusters = touched.flat_map(move |cluster| stream::iter(of(&users, &cluster)));
    let running = Controller::for_stream(all, ctx.users.store())
        .reconcile_on(of_clusters)
        .reconcile_all_on(words.inspect(move |()| whole.forget_the_gone()))
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(reconcile, |user, failed, ctx| after_failure(&user, failed, &ctx), Arc::clone(&ctx))
        .for_each(async |result| {
            if let Err(error) = result {
                debug!(%error, "controller of users");
            }
        });
    let lists = ctx.lists.clone();
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

/// The users of a cluster.
fn of(ctx: &Context, cluster: &ObjectRef<EtcdCluster>) -> Vec<ObjectRef<EtcdUser>> {
    let all = ctx.users.store().state();
    let its = |user: &EtcdUser| user.metadata.namespace == cluster.namespace && user.spec.cluster == cluster.name;
    all.iter().filter(|user| its(user)).map(|user| ObjectRef::from_obj(&**user)).collect()
}

fn tell(Unreadable { metadata, whole: _, words }: Unreadable) {
    let (namespace, name) = (metadata.namespace, metadata.name);
    warn!(namespace, name, words, "an EtcdUser cannot be read: nothing is done for it");
}
