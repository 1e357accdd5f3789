//! Brings what was built to the API server. What is there already, unchanged, is not sent.

use std::collections::BTreeSet;

use etcd_operator_shared::{
    api::{EtcdMember, cluster::Keep},
    names,
};
use futures::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{ResourceExt, core::PartialObjectMeta};
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{Cause, Failed, Kind},
    build::{Blueprint, Objects, member, owner},
    context::Context,
    course::Course,
    ending,
    events::Note,
    facts::{Facts, Version},
    found,
    ledger::{Key, fingerprint},
    membership::Proof,
    replace::Victim,
    retire::Retired,
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

/// Brings the EtcdMembers up to date: missing ones are made, and each gets the difference only. Those that are cleared away
/// in the same turn are left alone; all others are told, with or without a pod: the longest list of addresses is the one known.
pub async fn members(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, course: &Course) -> Result<(), Failed> {
    let there = facts.seats.iter().filter(|(_, seat)| seat.member.is_some()).map(|(ordinal, _)| *ordinal);
    let mut all: BTreeSet<u32> = there.chain(0..course.seats).collect();
    all.retain(|ordinal| course.retired.iter().all(|r| r.ordinal != *ordinal));
    let one = async |ordinal: u32| match facts.seat(ordinal).member {
        Some(member) => tell(ctx, plan, &member).await,
        None => found::make(ctx, plan, ordinal).await.map(|_| ()),
    };
    join_all(all.into_iter().map(one)).await.into_iter().collect()
}

/// Tells one member what is wanted, if nobody else has told it anything since it was read.
async fn tell(ctx: &Context, plan: &Blueprint<'_>, member: &EtcdMember) -> Result<(), Failed> {
    let Some(mut patch) = member::update(plan, member) else { return Ok(()) };
    let (namespace, name, read) = (member.namespace().unwrap_or_default(), member.name_any(), Version::of(member));
    while let Err(failed) = ctx.api.merge::<EtcdMember>(&namespace, &name, &patch).await {
        let since = unless_told::<EtcdMember>(ctx, &namespace, &name, &read, failed).await?;
        patch["metadata"]["resourceVersion"] = json!(since);
    }
    Ok(())
}

/// Applies the StatefulSet, if it is still the one that the decision was made on: whatever has been decided about members
/// then still holds.
pub async fn stateful_set(ctx: &Context, plan: &Blueprint<'_>, replicas: u32, facts: &Facts) -> Result<(), Failed> {
    let set = plan.stateful_set(replicas);
    let (key, print) = (Key::of(&set), fingerprint(&set));
    if ctx.ledger.holds(&key, print) {
        return Ok(());
    }
    let (namespace, name) = (set.namespace().unwrap_or_default(), set.name_any());
    let read = facts.set.as_ref().map(|set| set.version.clone()).unwrap_or_default();
    let mut sent = set;
    sent.metadata.resource_version.clone_from(&read.resource);
    let after = loop {
        match ctx.api.apply::<StatefulSet, _>(&namespace, &name, &sent).await {
            Ok(after) => break after,
            Err(failed) => {
                let since = unless_told::<StatefulSet>(ctx, &namespace, &name, &read, failed).await?;
                sent.metadata.resource_version = since;
            }
        }
    };
    ctx.ledger.applied(key, print, &after);
    let before = facts.set.as_ref().map(|set| set.replicas);
    if before != Some(replicas) {
        info!(%namespace, %name, replicas, "StatefulSet applied");
    }
    if let Some(before) = before.filter(|before| *before != replicas) {
        ctx.events.note(plan.cluster, Note::scaled(before, replicas));
    }
    Ok(())
}

/// After a write that was refused: the version to try again with, if nobody has written the object's spec since `read`. The
/// API server compares the version of the whole object, and statuses are busy while pods come and go: one that a status alone
/// has changed is no reason to decide again.
async fn unless_told<K: Kind>(
    ctx: &Context,
    namespace: &str,
    name: &str,
    read: &Version,
    failed: Failed,
) -> Result<Option<String>, Failed> {
    if !matches!(failed.cause, Cause::Conflict) {
        return Err(failed);
    }
    let now = ctx.api.get_metadata::<K>(namespace, name).await?.map(|object| Version::of(&object));
    now.filter(|now| now.is_same_spec(read)).map(|now| now.resource).ok_or(failed)
}

/// Clears away what members that are gone have left: the volume as the user wants it, then the EtcdMember, each by UID.
pub async fn retire(ctx: &Context, plan: &Blueprint<'_>, retired: &[Retired]) -> Result<(), Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    try_join_all(retired.iter().map(async |Retired { ordinal: _, name, uid, proof }| {
        if *proof == Proof::Absent {
            ctx.events.note(plan.cluster, Note::removed(name));
        }
        match plan.cluster.spec.storage.retention.when_scaled {
            Keep::Delete => delete_volume(ctx, plan, &namespace, name).await?,
            Keep::Retain => ctx.events.note(plan.cluster, Note::volume_kept(&names::volume_claim(name))),
        }
        ending::gone(ctx.api.delete::<EtcdMember>(&namespace, name, uid).await)?;
        info!(%namespace, member = name, "EtcdMember deleted: its member has left");
        Ok(())
    }))
    .await?;
    Ok(())
}

/// Deletes a member's volume, if it is one of this cluster's.
async fn delete_volume(ctx: &Context, plan: &Blueprint<'_>, namespace: &str, member: &str) -> Result<(), Failed> {
    let name = names::volume_claim(member);
    let claim = ctx.api.get_metadata::<PersistentVolumeClaim>(namespace, &name).await?;
    let ours = |claim: &PartialObjectMeta<PersistentVolumeClaim>| {
        claim.labels().get(names::LABEL_CLUSTER_UID) == Some(&plan.uid()) && claim.metadata.deletion_timestamp.is_none()
    };
    let Some(claim) = claim.filter(ours) else { return Ok(()) };
    let uid = claim.uid().unwrap_or_default();
    ending::gone(ctx.api.delete::<PersistentVolumeClaim>(namespace, &name, &uid).await)?;
    info!(%namespace, name, member, "PersistentVolumeClaim deleted: its member has left");
    ctx.events.note(plan.cluster, Note::volume_deleted(&name, &format!("{member} has left")));
    Ok(())
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
            failed => ending::gone(failed),
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
