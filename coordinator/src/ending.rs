//! The end of an incarnation, and what lies between it and the next.
//!
//! ```text
//!   no pod wanted ──▶ replicas 0 ──▶ no pod left (live) ──▶ latch `ended` ──┬─ Stopped: volumes and EtcdMembers deleted
//!                                                                           └─ Abandoned: volumes kept
//!   a size is wanted ──▶ no pod, and of a stopped one no volume, left (live) ──▶ the next incarnation is written
//! ```
//! Each arrow may be the last one for a while: the latch and the number stand in the EtcdCluster's status, written by
//! compare-and-swap, and all else is done again. Volumes go by UID, so that a late hand never takes those of the next life.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdMember,
        cluster::{End, Incarnation},
    },
    names,
    validate::Wanted,
};
use futures::future::{try_join, try_join_all};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use tracing::info;

use crate::{
    apiserver::{Cause, Failed},
    context::Context,
    events::Note,
    facts::Facts,
    fetch, found,
    moves::Pause,
};

/// Latches that the present incarnation is over. The caller has seen, live, that no pod of it is left.
pub async fn end(
    ctx: &Context,
    cluster: &EtcdCluster,
    life: &Incarnation,
    why: End,
) -> Result<Arc<EtcdCluster>, Failed> {
    let written = found::write(ctx, cluster, Incarnation { ended: Some(why), ..life.clone() }).await?;
    info!(cluster = cluster.name_any(), number = life.number, ?why, "incarnation ended");
    Ok(written)
}

/// Clears away what is left of an incarnation that has ended. `None` when the next one may begin; the facts are then live,
/// and nothing that the former members said is among them.
pub async fn clear(
    ctx: &Context,
    cluster: &EtcdCluster,
    wanted: &Wanted,
    life: &Incarnation,
    facts: &mut Facts,
) -> Result<Option<Pause>, Failed> {
    if life.ended == Some(End::Stopped) {
        try_join(volumes(ctx, cluster), members(ctx, cluster, facts)).await?;
    }
    if wanted.size == 0 {
        return Ok(None);
    }
    let (live, claims) = try_join(fetch::live(&ctx.api, cluster), claims(ctx, cluster)).await?;
    let pods: Vec<&str> = live.pods().map(|(_, pod)| pod.name.as_str()).collect();
    let pause = if live.replicas() > 0 || !pods.is_empty() {
        let message = format!("incarnation {} is over: waiting for {} to go", life.number, pods.join(", "));
        Some(Pause::new("Stopping", message))
    } else if life.ended == Some(End::Stopped) && !claims.is_empty() {
        let names: Vec<String> = claims.iter().map(ResourceExt::name_any).collect();
        let message = format!("incarnation {} is over: waiting for {} to be deleted", life.number, names.join(", "));
        Some(Pause::new("VolumeLeaving", message))
    } else {
        None
    };
    *facts = live;
    if pause.is_none() {
        facts.seats.clear();
    }
    Ok(pause)
}

/// Deletes the volumes, each by UID. One that is gone is as good as deleted.
async fn volumes(ctx: &Context, cluster: &EtcdCluster) -> Result<(), Failed> {
    let claims = ctx.stores.claims(cluster);
    let there = claims.iter().filter(|claim| claim.metadata.deletion_timestamp.is_none());
    try_join_all(there.map(async |claim| {
        let (namespace, name) = (claim.namespace().unwrap_or_default(), claim.name_any());
        gone(ctx.api.delete::<PersistentVolumeClaim>(&namespace, &name, &claim.uid().unwrap_or_default()).await)?;
        info!(%namespace, %name, "PersistentVolumeClaim deleted: the cluster was stopped");
        ctx.events.note(cluster, Note::volume_deleted(&name, "the cluster was stopped"));
        Ok(())
    }))
    .await?;
    Ok(())
}

async fn members(ctx: &Context, cluster: &EtcdCluster, facts: &Facts) -> Result<(), Failed> {
    let namespace = cluster.namespace().unwrap_or_default();
    let there = facts.seats.values().filter_map(|seat| seat.member.as_ref());
    try_join_all(there.map(async |member| {
        gone(ctx.api.delete::<EtcdMember>(&namespace, &member.name_any(), &member.uid().unwrap_or_default()).await)
    }))
    .await?;
    Ok(())
}

/// The cluster's volumes, with the API server's own eyes.
async fn claims(ctx: &Context, cluster: &EtcdCluster) -> Result<Vec<PersistentVolumeClaim>, Failed> {
    let (name, uid) = (cluster.name_any(), cluster.uid().unwrap_or_default());
    let labels = format!("{}={name},{}={uid}", names::LABEL_CLUSTER, names::LABEL_CLUSTER_UID);
    ctx.api.list::<PersistentVolumeClaim>(&cluster.namespace().unwrap_or_default(), &labels).await
}

/// A deletion by UID: an object that is gone, or another one by now, is as good as deleted.
pub fn gone(deleted: Result<(), Failed>) -> Result<(), Failed> {
    match deleted {
        Err(Failed { cause: Cause::Missing | Cause::Conflict, .. }) => Ok(()),
        other => other,
    }
}
