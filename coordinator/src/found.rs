//! Performs the founding that [`crate::founding`] decides: incarnation, EtcdMembers, latch, in this order.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember, cluster::Incarnation},
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
    ending,
    events::Note,
    facts::Facts,
    fetch, founding,
    membership::Word,
    moves::Pause,
    refusal::Refusal,
};

/// How far a cluster is.
#[derive(Debug)]
pub enum Founded {
    /// All members are made and latched; the object is the newest that is known.
    Yes(Arc<EtcdCluster>, Incarnation),
    /// The incarnation is over, and no next one has begun: none is wanted, or it waits.
    Over(Incarnation, Option<Pause>),
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
    if incarnation(cluster).is_none() && wanted.size == 0 {
        return Ok(Founded::NotWanted);
    }
    let cluster = match incarnation(cluster).filter(|life| life.ended.is_some()) {
        None => Arc::clone(cluster),
        Some(life) => match ending::clear(ctx, cluster, wanted, &life, facts).await? {
            _ if wanted.size == 0 => return Ok(Founded::Over(life, None)),
            Some(pause) => return Ok(Founded::Over(life, Some(pause))),
            None => write(ctx, cluster, founding::next(cluster, wanted, &life)).await?,
        },
    };
    if facts.set.is_none() {
        let ground = fetch::ground(&ctx.api, &cluster, wanted).await?;
        let (uid, name) = (cluster.uid().unwrap_or_default(), cluster.name_any());
        if let Err(refusal) = founding::check(&uid, &name, &ground) {
            return Ok(Founded::Refused(refusal));
        }
        if ground.set_owner.is_some() {
            // It is ours, and the cache does not know it yet.
            return Err(Failed { attempt: format!("go by the cache of StatefulSet {name}"), cause: Cause::Conflict });
        }
    }
    let cluster = match incarnation(&cluster) {
        Some(_) => cluster,
        None => write(ctx, &cluster, founding::first(&cluster, wanted)).await?,
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
    let size = if wanted.size == 0 { founding::founders(&life) } else { wanted.size };
    let word = Word { size, stopped: wanted.size == 0, peers: vec![] };
    let plan = Blueprint {
        cluster,
        wanted,
        life: &life,
        agent_image: &ctx.agent_image,
        server: ctx.api.version(),
        word: &word,
        voters: founding::founders(&life),
        learner: false,
        storage: None,
    };
    let latched = Incarnation { members_created: true, ..life.clone() };
    let founders = async {
        let ordinals = life.initial_members.iter().filter_map(|name| names::ordinal(&plan.name(), name));
        let made = ordinals.map(async |ordinal| Ok((ordinal, make(ctx, &plan, ordinal).await?)));
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

/// Makes one EtcdMember. One that exists is fine if it is this incarnation's; one of an earlier incarnation makes room.
pub async fn make(ctx: &Context, plan: &Blueprint<'_>, ordinal: u32) -> Result<EtcdMember, Failed> {
    let member = member::member(plan, ordinal);
    let (name, namespace) = (member.name_any(), member.namespace().unwrap_or_default());
    let failed = match create(ctx, &member).await {
        Err(failed @ Failed { cause: Cause::Exists, .. }) => failed,
        made => return made,
    };
    let there = ctx.api.get::<EtcdMember>(&namespace, &name).await?;
    let Some(there) = there.filter(|m| m.spec.cluster_uid == plan.uid()) else { return Err(failed) };
    match there.spec.incarnation {
        number if number == plan.life.number => Ok(there),
        number if number < plan.life.number => {
            ctx.api.delete::<EtcdMember>(&namespace, &name, &there.uid().unwrap_or_default()).await?;
            create(ctx, &member).await
        }
        _ => Err(failed),
    }
}

async fn create(ctx: &Context, member: &EtcdMember) -> Result<EtcdMember, Failed> {
    let made = ctx.api.create(member).await?;
    info!(namespace = made.namespace(), name = made.name_any(), initial = made.spec.initial, "EtcdMember created");
    Ok(made)
}

/// Writes the incarnation, if nobody wrote the object since it was read.
pub async fn write(ctx: &Context, cluster: &EtcdCluster, life: Incarnation) -> Result<Arc<EtcdCluster>, Failed> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let before = incarnation(cluster);
    let begins = before.as_ref().is_none_or(|before| before.number != life.number);
    let mut status = json!({ "incarnation": life });
    // In a merge, what is left out stays.
    status["incarnation"]["ended"] = json!(life.ended);
    if begins {
        // What was said of the members before is not said of these.
        status["clusterId"] = json!(null);
        status["members"] = json!([]);
    }
    let patch = json!({ "metadata": { "resourceVersion": cluster.resource_version() }, "status": status });
    let written = ctx.api.merge_status::<EtcdCluster>(&namespace, &name, &patch).await?;
    if begins {
        info!(%namespace, %name, number = life.number, token = life.token, "incarnation written");
        ctx.events.note(cluster, Note::founded(&life, before.and_then(|before| before.ended)));
    }
    let written = Arc::new(written);
    ctx.stores.wrote(Arc::clone(&written));
    Ok(written)
}

fn incarnation(cluster: &EtcdCluster) -> Option<Incarnation> {
    cluster.status.as_ref()?.incarnation.clone()
}
