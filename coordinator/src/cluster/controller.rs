//! The watches of one scope, and the reconciliations that they trigger.
//!
//! ```text
//!   EtcdCluster ───────────────▶ itself ┐
//!   StatefulSet, EtcdMember ───▶ label, ├─▶ queue (one entry a cluster) ─▶ reconcile, many clusters at a time
//!   Pod, PersistentVolumeClaim ▶ owner  │
//!   Service, ConfigMap, budget … ▶ both ┘      (metadata only: what was applied is known by version, not contents)
//!   EtcdBackup, EtcdRestore ───▶ their own controllers, which tell of the cluster
//! ```

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember},
    names::LABEL_CLUSTER,
};
use futures::{StreamExt, channel::mpsc, stream};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{self as core, ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{Config, Controller, reflector::ObjectRef},
};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    apiserver::{
        guard::{self, Guard},
        lists::Lists,
        watch::{Scope, Watches},
    },
    cluster::{
        caches::Caches,
        context::Context,
        facts::{Member, Of, Pod, Set, claim::Kept},
        reconcile::{after_failure, reconcile},
        report, salvage, unreadable,
    },
};

/// Clusters reconciled at a time. One takes some milliseconds, and a call that hangs gives its place back after 10 s.
const CONCURRENCY: u16 = 100;
/// Reconciliations under way at a shutdown get this long; each of their calls is bounded below it.
const DRAIN: Duration = Duration::from_secs(12);

/// Runs until `shutdown`. Reconciliations under way are finished then. `of_archive`: the clusters of which a backup or
/// a restore was touched.
pub async fn run(
    scope: Scope,
    ctx: Arc<Context>,
    of_archive: Receiver<ObjectRef<EtcdCluster>>,
    shutdown: CancellationToken,
) {
    let Caches { clusters, sets, members, pods, claims, .. } = &ctx.caches;
    let (lists, words) = (ctx.lists.clone(), ctx.lists.words());
    let watches = Watches { scope, client: ctx.api.client(), applied: Arc::clone(&ctx.applied), lists: lists.clone() };
    let (found, unreadable) = mpsc::unbounded();
    let telling = unreadable::tell(Arc::clone(&ctx), unreadable, found.clone());
    // Nobody listens any more: the controller ends.
    let tell = move |one| drop(found.unbounded_send(one));
    let all = watches.whole(clusters, guard::nothing, tell);
    let (memory, whole) = (Arc::clone(&ctx), Arc::clone(&ctx));
    let all = all.inspect(move |cluster| {
        if let Ok(cluster) = cluster {
            memory.forget_if_gone(cluster);
            for touched in &memory.touched {
                let _ = touched.try_send(ObjectRef::from_obj(cluster));
            }
        }
    });
    let controller = Controller::for_stream(all, ctx.caches.clusters.store())
        .watches_stream(watches.kept_and_noticed(sets, keep_set), |set| clusters_of(&set))
        .watches_stream(watches.kept(members, keep_member), |member| clusters_of(&member))
        .watches_stream(watches.kept(pods, keep_pod), |pod| clusters_of(&pod))
        .watches_stream(watches.kept(claims, keep_claim), |claim| clusters_of(&claim))
        .watches_stream(watches.noticed::<Service>(), |object| clusters_of(&object))
        .watches_stream(watches.noticed::<ConfigMap>(), |object| clusters_of(&object))
        .watches_stream(watches.noticed::<ServiceAccount>(), |object| clusters_of(&object))
        .watches_stream(watches.noticed::<PodDisruptionBudget>(), |object| clusters_of(&object))
        .watches_stream(watches.noticed::<Role>(), |object| clusters_of(&object))
        .watches_stream(watches.noticed::<RoleBinding>(), |object| clusters_of(&object))
        .reconcile_on(stream::unfold(of_archive, |mut of| async { Some((of.recv().await?, of)) }))
        .reconcile_all_on(words.inspect(move |()| whole.forget_the_gone()));
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
        () = telling => {}
        () = drained(&lists, shutdown) => {}
    }
}

/// Returns when a shutdown has waited long enough. A controller whose first lists have not come does not stop when
/// asked (kube-runtime 5.0, `controller/runner.rs`), but it reconciles nothing either.
async fn drained(lists: &Lists, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    if lists.are_complete() {
        tokio::time::sleep(DRAIN).await;
        warn!("reconciliations cut short");
    }
}

fn keep_set(set: &StatefulSet, _: Option<&Of<Set>>) -> Option<Of<Set>> {
    Some(Of::set(set))
}

fn keep_pod(pod: &core::Pod, _: Option<&Of<Pod>>) -> Option<Of<Pod>> {
    Some(Of::pod(pod))
}

fn keep_claim(claim: &PartialObjectMeta<PersistentVolumeClaim>, _: Option<&Of<Kept>>) -> Option<Of<Kept>> {
    Some(Of::claim(claim))
}

/// One that cannot be read is named by its cluster.
fn keep_member(Guard(member): &Guard<EtcdMember>, other: Option<&Member>) -> Option<Member> {
    let member = match member {
        Ok(member) => Member::of(member),
        Err(unreadable) => Member::of(&salvage::without_status(unreadable)?),
    };
    Some(match other {
        Some(other) => member.sharing(other),
        None => member,
    })
}

/// The clusters that an object is labelled for or owned by: one of both may have been taken away.
fn clusters_of<K: ResourceExt>(object: &K) -> Vec<ObjectRef<EtcdCluster>> {
    let Some(namespace) = object.meta().namespace.as_deref() else { return vec![] };
    let owners = object.owner_references().iter().filter(|owner| owner.kind == EtcdCluster::kind(&()));
    let mut names: Vec<&String> = owners.map(|owner| &owner.name).chain(object.labels().get(LABEL_CLUSTER)).collect();
    names.dedup();
    names.into_iter().map(|name| ObjectRef::new(name).within(namespace)).collect()
}
