//! Performs the founding that [`crate::founding`] decides: incarnation, EtcdMembers, latch, in this order.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember, cluster::Incarnation, member::Peer},
    names,
    validate::Wanted,
};
use futures::future::{join, try_join_all};
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{Cause, Failed},
    apply,
    build::{Blueprint, member},
    context::Context,
    decide,
    events::Note,
    facts::Facts,
    fetch, founding,
    refusal::Refusal,
};

/// How far a cluster is.
#[derive(Debug)]
pub enum Founded {
    /// All members are made and latched; the object is the newest that is known.
    Yes(Arc<EtcdCluster>, Incarnation),
    /// Size 0 from the beginning: there is nothing to found yet.
    NotWanted,
    Refused(Refusal),
}

/// Founds a cluster, or finds that it was. Everything up to the StatefulSet, which is left to the caller. The members that
/// were made are added to the facts: the cache will know them later.
pub async fn found(
    ctx: &Context,
    cluster: &Arc<EtcdCluster>,
    wanted: &Wanted,
    facts: &mut Facts,
) -> Result<Founded, Failed> {
    let known = incarnation(cluster);
    if known.is_none() && wanted.size == 0 {
        return Ok(Founded::NotWanted);
    }
    if facts.set.is_none() {
        let ground = fetch::ground(&ctx.api, cluster, wanted).await?;
        let (uid, name) = (cluster.uid().unwrap_or_default(), cluster.name_any());
        if let Err(refusal) = founding::check(&uid, &name, &ground) {
            return Ok(Founded::Refused(refusal));
        }
        if ground.set_owner.is_some() {
            // It is ours, and the cache does not know it yet.
            return Err(Failed { attempt: format!("go by the cache of StatefulSet {name}"), cause: Cause::Conflict });
        }
    }
    let cluster = match known {
        Some(_) => Arc::clone(cluster),
        None => write(ctx, cluster, founding::first(cluster, wanted)).await?,
    };
    match incarnation(&cluster) {
        Some(life) if life.members_created => Ok(Founded::Yes(cluster, life)),
        Some(life) => populate(ctx, &cluster, wanted, life, facts).await,
        None => Ok(Founded::NotWanted),
    }
}

/// Makes the first members and latches; what does not depend on them is made meanwhile.
async fn populate(
    ctx: &Context,
    cluster: &Arc<EtcdCluster>,
    wanted: &Wanted,
    life: Incarnation,
    facts: &mut Facts,
) -> Result<Founded, Failed> {
    let plan = Blueprint {
        cluster,
        wanted,
        life: &life,
        agent_image: &ctx.agent_image,
        server: ctx.api.version(),
        members: decide::members(&life),
        storage: None,
    };
    let latched = Incarnation { members_created: true, ..life.clone() };
    let founders = async {
        let ordinals = life.initial_members.iter().filter_map(|name| names::ordinal(&plan.name(), name));
        let made = ordinals.map(async |ordinal| Ok((ordinal, make(ctx, &plan, ordinal, &[]).await?)));
        let made = try_join_all(made).await?;
        Ok((made, write(ctx, cluster, latched.clone()).await?))
    };
    let (founders, objects) = join(founders, apply::objects(ctx, &plan)).await;
    let (members, cluster) = founders?;
    objects?;
    for (ordinal, member) in members {
        facts.seats.entry(ordinal).or_default().member = Some(Arc::new(member));
    }
    Ok(Founded::Yes(cluster, latched))
}

/// Makes one EtcdMember. One that exists is fine if it is this cluster's.
pub async fn make(ctx: &Context, plan: &Blueprint<'_>, ordinal: u32, peers: &[Peer]) -> Result<EtcdMember, Failed> {
    let member = member::member(plan, ordinal, peers);
    let (name, namespace) = (member.name_any(), member.namespace().unwrap_or_default());
    match ctx.api.create(&member).await {
        Ok(made) => {
            info!(%namespace, %name, initial = made.spec.initial, "EtcdMember created");
            Ok(made)
        }
        Err(failed @ Failed { cause: Cause::Exists, .. }) => {
            let there = ctx.api.get::<EtcdMember>(&namespace, &name).await?;
            there.filter(|m| m.spec.cluster_uid == plan.uid()).ok_or(failed)
        }
        Err(failed) => Err(failed),
    }
}

/// Writes the incarnation, if nobody wrote the object since it was read.
async fn write(ctx: &Context, cluster: &EtcdCluster, life: Incarnation) -> Result<Arc<EtcdCluster>, Failed> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let patch = json!({
        "metadata": { "resourceVersion": cluster.resource_version() },
        "status": { "incarnation": life },
    });
    let written = ctx.api.merge_status::<EtcdCluster>(&namespace, &name, &patch).await?;
    if !life.members_created {
        info!(%namespace, %name, number = life.number, token = life.token, "incarnation written");
        ctx.events.note(cluster, Note::founded(&life));
    }
    let written = Arc::new(written);
    ctx.stores.wrote(Arc::clone(&written));
    Ok(written)
}

fn incarnation(cluster: &EtcdCluster) -> Option<Incarnation> {
    cluster.status.as_ref()?.incarnation.clone()
}
