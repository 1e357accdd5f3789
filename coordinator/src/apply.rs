//! Brings what was built to the API server. What is there already, unchanged, is not sent.

use etcd_operator_shared::api::{EtcdMember, cluster::Keep, member::Peer};
use futures::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{Cause, Failed, Kind},
    build::{Blueprint, Objects, member, owner},
    context::Context,
    events::Note,
    facts::Facts,
    found,
    ledger::{Key, fingerprint},
    replace::Victim,
};

/// Applies everything but members and StatefulSet, all at once. One that fails does not keep the others from being applied.
pub async fn objects(ctx: &Context, plan: &Blueprint<'_>) -> Result<(), Failed> {
    let Objects { peer_service, client_service, config_map, budget, account, role, binding } = plan.objects();
    // One who binds a role must hold all that it grants, so it must be there to be looked at.
    let rights = async {
        put(ctx, &role).await?;
        put(ctx, &binding).await
    };
    let (a, b, c, d, e, f) = futures::join!(
        put(ctx, &peer_service),
        put(ctx, &client_service),
        put(ctx, &config_map),
        put(ctx, &budget),
        put(ctx, &account),
        rights,
    );
    [a, b, c, d, e, f].into_iter().collect()
}

/// Brings the EtcdMembers up to date: missing ones are made, and each gets the difference only.
pub async fn members(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, peers: &[Peer]) -> Result<(), Failed> {
    let one = async |ordinal: u32| {
        let Some(object) = facts.seat(ordinal).member else {
            return found::make(ctx, plan, ordinal, peers).await.map(|_| ());
        };
        let Some(patch) = member::update(plan, &object, peers) else { return Ok(()) };
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        ctx.api.merge::<EtcdMember>(&namespace, &name, &patch).await?;
        Ok(())
    };
    join_all((0..plan.members).map(one)).await.into_iter().collect()
}

/// Applies the StatefulSet. `since` is the resourceVersion that it must still have, when replicas are lowered.
pub async fn stateful_set(
    ctx: &Context,
    plan: &Blueprint<'_>,
    replicas: u32,
    since: Option<String>,
) -> Result<(), Failed> {
    let mut set = plan.stateful_set(replicas);
    set.metadata.resource_version = since;
    put(ctx, &set).await
}

/// Deletes pods by UID, so that their successors get the newest template. One that is gone is as good as deleted.
pub async fn replace(ctx: &Context, plan: &Blueprint<'_>, victims: &[Victim]) -> Result<(), Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    try_join_all(victims.iter().map(async |Victim { name, uid, why }| {
        match ctx.api.delete::<Pod>(&namespace, name, uid).await {
            Ok(()) => {
                info!(%namespace, pod = name, why = why.as_str(), "pod deleted to be replaced");
                ctx.events.note(plan.cluster, Note::replaced(name, *why));
                Ok(())
            }
            Err(Failed { cause: Cause::Missing | Cause::Conflict, .. }) => Ok(()),
            Err(failed) => Err(failed),
        }
    }))
    .await?;
    Ok(())
}

/// Makes the volume claims go with the cluster, or not: an owner reference on each.
pub async fn retention(ctx: &Context, plan: &Blueprint<'_>) -> Result<(), Failed> {
    let owned = match plan.cluster.spec.storage.retention.when_deleted {
        Keep::Delete => true,
        Keep::Retain => false,
    };
    let uid = plan.uid();
    try_join_all(ctx.stores.claims(plan.cluster).iter().map(async |claim| {
        if claim.owner_references().iter().any(|o| o.uid == uid) == owned || is_being_bound(&**claim) {
            return Ok(());
        }
        // Not the controller: that is for whoever made the claim. The UID makes sure that nothing is created here.
        let owner = OwnerReference { controller: None, block_owner_deletion: None, ..owner(plan.cluster) };
        let owners = if owned { vec![owner] } else { vec![] };
        let (namespace, name) = (claim.namespace().unwrap_or_default(), claim.name_any());
        let patch = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": name, "uid": claim.uid(), "ownerReferences": owners },
        });
        ctx.api.apply::<PersistentVolumeClaim, _>(&namespace, &name, &patch).await.map(|_| ())
    }))
    .await?;
    Ok(())
}

/// Whether scheduler and provisioner are at work on a claim: a write between theirs would throw them back by seconds. One
/// that waits for longer waits for something else.
fn is_being_bound(claim: &impl ResourceExt) -> bool {
    const BINDING: SignedDuration = SignedDuration::from_secs(30);
    let bound = claim.annotations().contains_key("pv.kubernetes.io/bind-completed");
    let age = claim.creation_timestamp().map(|made| Timestamp::now().duration_since(made.0));
    !bound && age.is_none_or(|age| age < BINDING)
}

/// Applies one object, unless the very same was applied before and nobody has touched it since.
async fn put<K: Kind>(ctx: &Context, object: &K) -> Result<(), Failed> {
    let (key, print) = (Key::of(object), fingerprint(object));
    if ctx.ledger.holds(&key, print) {
        return Ok(());
    }
    let after = ctx.api.apply::<K, K>(&object.namespace().unwrap_or_default(), &object.name_any(), object).await?;
    ctx.ledger.applied(key, print, &after);
    Ok(())
}
