//! What is written of an incarnation: that it begins, that its members were made, that it is over. When is
//! [`crate::cluster::decide::incarnation`]'s to say.
//!
//! The number and the latches stand in the EtcdCluster's status and are written by compare-and-swap, so that a crash
//! between any two writes is made good by doing the second one again.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdRestore, Word,
        cluster::{End, Incarnation, Restored},
    },
    ids, names, validate,
};
use futures::future::{join, try_join_all};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    authorities::{Made, Whose},
    cluster::{
        apply::{self, members},
        build::Blueprint,
        context::Context,
        decide::{Care, Decision},
        facts::{
            Facts,
            archive::{Replacement, Restore},
            certificates::{Held, Known},
        },
        fetch,
        outcome::Seen,
    },
    ownership::Owner,
    pki::Pair,
};

/// Writes that an incarnation begins, before anything of it exists but its authorities: one that is to be encrypted and can have none
/// does not begin, and so can still begin plain.
pub async fn begin(ctx: &Context, seen: &Seen, incarnation: &Incarnation) -> Result<Seen, Failed> {
    authorities(ctx, &seen.cluster, incarnation).await?;
    let cluster = write(ctx, &seen.cluster, incarnation).await?;
    let facts =
        match (&seen.cluster.status.as_ref().and_then(|status| status.incarnation.as_ref()), &incarnation.data_uid) {
            // All that the former cluster has left is this one's now.
            (None, Some(_)) => fetch::live(&ctx.api, &cluster).await?,
            (None | Some(_), _) => seen.facts.clone().begun(),
        };
    Ok(Seen { cluster, facts })
}

/// Makes the EtcdMembers of the founders, and then latches that they were made. What does not depend on them is made
/// meanwhile; if that fails it is tried again with everything else.
pub async fn make_members(ctx: &Context, seen: &Seen, decision: &Decision, care: &Care) -> Result<Seen, Failed> {
    let plan = apply::blueprint(ctx, seen, decision, care);
    let incarnation = &care.incarnation;
    // Members that ask for certificates must find somebody who vouches for them.
    let authorities = authorities(ctx, &seen.cluster, incarnation).await?;
    let known = authorities.as_deref().map(|pair| Held::of(pair, Timestamp::now()));
    let plan = Blueprint { authority: known.as_ref().map(|held| held.shown.as_str()), ..plan };
    let founders = async {
        let ordinals = incarnation.initial_members.iter().filter_map(|name| names::ordinal(&plan.name(), name));
        let made = ordinals.map(async |ordinal| Ok((ordinal, members::make(ctx, &plan, ordinal).await?)));
        let made = try_join_all(made).await?;
        let latched = Incarnation { members_created: true, ..incarnation.clone() };
        Ok((made, write(ctx, &seen.cluster, &latched).await?))
    };
    let (founders, _) = join(founders, apply::objects(ctx, &plan)).await;
    let (made, cluster) = founders?;
    let facts = seen.facts.clone().with_members(made);
    Ok(Seen { cluster, facts: Facts { authorities: known.map(|held| Known::Held(Box::new(held))), ..facts } })
}

/// The authorities of a cluster no member of which exists yet, where its traffic is to be encrypted. One that goes on with former data
/// has members that believe the former ones.
async fn authorities(
    ctx: &Context,
    cluster: &EtcdCluster,
    incarnation: &Incarnation,
) -> Result<Option<Arc<Pair>>, Failed> {
    if incarnation.encrypted.is_off() || incarnation.members_created {
        return Ok(None);
    }
    let Ok(encryption) = validate::encryption(cluster.spec.security.as_ref()) else { return Ok(None) };
    ctx.authorities.found(&ctx.api, &whose(cluster), Made::of(&encryption)).await.map(Some)
}

pub fn whose(cluster: &EtcdCluster) -> Whose {
    let (cluster_name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    Whose { life: Owner::of(cluster).life, cluster: cluster_name, namespace }
}

/// Latches that the present incarnation is over, and what the next one begins with where it had to make room. It was
/// seen, live, that no pod of it is left. From here on there is no way back.
pub async fn end(ctx: &Context, seen: &Seen, incarnation: &Incarnation, why: End) -> Result<Seen, Failed> {
    let next = match why {
        End::Stopped | End::Abandoned => None,
        End::Replaced => match successor(ctx, seen, incarnation.number).await? {
            Some(data) => Some(data),
            // Taken back in the last moment.
            None => return Ok(Seen { cluster: Arc::clone(&seen.cluster), facts: seen.facts.clone() }),
        },
    };
    let over = Incarnation { ended: Some(Word::Known(why)), next, ..incarnation.clone() };
    let cluster = write(ctx, &seen.cluster, &over).await?;
    info!(cluster = cluster.name_any(), number = incarnation.number, ?why, "incarnation ended");
    Ok(Seen { cluster, facts: seen.facts.clone() })
}

/// What a person wants in the place of this life, as the API server says now.
async fn successor(ctx: &Context, seen: &Seen, number: i64) -> Result<Option<Restored>, Failed> {
    let Some(known) = &seen.facts.restore else { return Ok(None) };
    let (name, namespace) = (seen.cluster.name_any(), seen.cluster.namespace().unwrap_or_default());
    let there = ctx.api.get::<EtcdRestore>(&namespace, &known.name).await?;
    let there = there.filter(|there| there.metadata.deletion_timestamp.is_none());
    let restore = there.map(|there| Restore::of(&there, &name));
    let replaces = restore.filter(|restore| restore.replaces(number) == Some(Replacement::Found));
    Ok(replaces.and_then(|restore| restore.found))
}

/// The ID of a cluster that was formed already, as etcd reckons it from the members that it began with.
fn cluster_id(cluster: &EtcdCluster, incarnation: &Incarnation) -> String {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let scheme = names::Scheme::of(incarnation.encrypted.peer);
    let urls = incarnation.initial_members.iter().map(|member| names::peer_url(scheme, member, &name, &namespace));
    let urls: Vec<String> = urls.collect();
    ids::cluster(urls.iter().map(String::as_str), &incarnation.token)
}

/// Writes the incarnation, if nobody wrote the object since it was read.
async fn write(ctx: &Context, cluster: &EtcdCluster, incarnation: &Incarnation) -> Result<Arc<EtcdCluster>, Failed> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let before = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
    let begins = before.is_none_or(|before| before.number != incarnation.number);
    let mut status = json!({ "incarnation": incarnation });
    // In a merge, what is left out stays.
    status["incarnation"]["ended"] = json!(incarnation.ended);
    status["incarnation"]["restored"] = json!(incarnation.restored);
    status["incarnation"]["next"] = json!(incarnation.next);
    status["incarnation"]["hasStore"] = json!(incarnation.has_store.then_some(true));
    if incarnation.encrypted.is_off() {
        status["incarnation"]["encrypted"] = json!(null);
    }
    if begins {
        // What was said of the members before is not said of these.
        let former = incarnation.data_uid.as_ref().filter(|_| before.is_none());
        status["clusterId"] = json!(former.map(|_| cluster_id(cluster, incarnation)));
        status["members"] = json!([]);
        for said in ["clusterVersion", "etcd", "roll"] {
            status[said] = json!(null);
        }
    }
    let patch = json!({ "metadata": { "resourceVersion": cluster.resource_version() }, "status": status });
    let written = Arc::new(ctx.api.merge_status::<EtcdCluster>(&namespace, &name, &patch).await?);
    if written.status.as_ref().and_then(|status| status.incarnation.as_ref()) != Some(incarnation) {
        // Kinds that do not know a field drop it without a word; a latch that does not latch is none.
        return Err(Failed { attempt: format!("write the incarnation of EtcdCluster {name}"), cause: Cause::Dropped });
    }
    if begins {
        info!(%namespace, %name, number = incarnation.number, token = incarnation.token, "incarnation written");
        let note = match (before, &incarnation.data_uid) {
            (None, Some(former)) => Note::adopted(incarnation, former),
            (before, _) => Note::founded(incarnation, before.and_then(Incarnation::end)),
        };
        ctx.events.note(cluster, note);
    }
    ctx.caches.wrote(Arc::clone(&written));
    Ok(written)
}
