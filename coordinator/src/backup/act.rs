//! Does what was decided for a backup.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdCluster, EtcdMember},
    validate::{self, Wanted},
};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use super::{
    context::Context,
    decide::{Noted, Objection, Order, Task},
    facts::is_over,
};
use crate::{
    apiserver::{Cause, Failed},
    cluster::build::proof::What,
    proofs::{self, Proof},
};

/// Tells a member to take it, if nobody has told it anything since it was read.
pub async fn order(ctx: &Context, namespace: &str, order: &Order) -> Result<(), Failed> {
    let Order { member, version, name } = order;
    tell(ctx, namespace, (member, version), json!(name)).await
}

/// Tells those that were asked that it need not be taken any more. One that is told too late finds it in the store.
pub async fn released(ctx: &Context, namespace: &str, Noted { told, .. }: &Noted) -> Result<(), Failed> {
    for (member, version) in told {
        tell(ctx, namespace, (member, version), json!(null)).await?;
    }
    Ok(())
}

async fn tell(
    ctx: &Context,
    namespace: &str,
    (member, version): (&str, &str),
    now: serde_json::Value,
) -> Result<(), Failed> {
    let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"backups": {"now": now}}});
    match ctx.clusters.api.merge::<EtcdMember>(namespace, member, &patch).await {
        // It has said something meanwhile, or is gone: the caches will know in a moment.
        Ok(_) | Err(Failed { cause: Cause::Conflict | Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// Whether the pod that opens it was made, or may not be made now.
pub enum Begun {
    Yes,
    /// As many as may be are under way.
    NotYet,
    Refused(Objection),
}

/// Makes the pod that opens it.
pub async fn prove(ctx: &Context, one: &EtcdBackup, cluster: &Arc<EtcdCluster>, task: &Task) -> Result<Begun, Failed> {
    let uid = one.uid().unwrap_or_default();
    let present = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
    let (Some(wanted), Some(incarnation)) = (in_force(cluster), present) else { return Ok(Begun::NotYet) };
    let namespace = one.namespace().unwrap_or_default();
    // The cache may not know yet what was just told: that it is over, and that the pod of that is gone.
    let there = ctx.clusters.api.get::<EtcdBackup>(&namespace, &one.name_any()).await?;
    if there.is_none_or(|there| there.uid() != one.uid() || is_over(&there)) {
        return Ok(Begun::NotYet);
    }
    if !ctx.proofs.may_begin(&namespace, &uid, Instant::now()) {
        return Ok(Begun::NotYet);
    }
    let Task { question, secret } = task;
    let (owner, what) = (proofs::owner(one), What::Stored { question, secret });
    let proof = Proof { cluster, wanted: &wanted, incarnation, owner, what };
    match proofs::begin(&ctx.clusters, proof, None).await {
        Ok(()) => Ok(Begun::Yes),
        Err(Failed { cause: Cause::Refused(words), .. }) => {
            ctx.proofs.end(&uid);
            Ok(Begun::Refused(Objection::PodRefused(words)))
        }
        Err(failed) => {
            ctx.proofs.end(&uid);
            Err(failed)
        }
    }
}

/// What the spec says, with the version that pods are made with: another one may be on its way.
fn in_force(cluster: &EtcdCluster) -> Option<Wanted> {
    let wanted = validate::cluster(cluster).ok()?;
    let etcd = cluster.status.as_ref().and_then(|status| status.etcd.as_ref());
    let version = etcd.and_then(|etcd| etcd.version.parse().ok());
    Some(match etcd.zip(version) {
        Some((etcd, version)) => Wanted { version, image: etcd.image.clone(), ..wanted },
        None => wanted,
    })
}
