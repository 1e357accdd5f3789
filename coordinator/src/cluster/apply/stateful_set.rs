//! The StatefulSet, by compare-and-swap. Its spec is ours as a whole: a container, a variable or a probe that somebody
//! else has added is not kept, since it would act in the next pod that is made.

use etcd_operator_shared::names;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Resource, ResourceExt, api::Preconditions};
use tracing::info;

use crate::{
    apiserver::{Cause, Failed, Kind, applied::Wanted, recorder::Note},
    cluster::{
        build::{Blueprint, stateful_set::over},
        context::Context,
        facts::{Facts, Version},
    },
    ownership::stranger,
};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The spec is what it was when it was read.
    Same,
    /// The spec has changed: which pods are old is not known until its controller has seen that.
    Changed,
}

/// Writes the StatefulSet, if it is still the one that the decision was made on: whatever has been decided about members
/// then still holds.
pub async fn stateful_set(
    ctx: &Context,
    plan: &Blueprint<'_>,
    replicas: u32,
    facts: &Facts,
) -> Result<Written, Failed> {
    let wanted = Wanted::of(plan.stateful_set(replicas));
    let set = &wanted.object;
    let read = facts.set.as_ref().map(|set| &set.version);
    let generation = read.and_then(|read| read.generation);
    if read.is_some() && ctx.applied.holds_at(&wanted, generation) {
        return Ok(Written::Same);
    }
    let before = facts.set.as_ref().map(|set| set.replicas);
    let after = match read {
        None => create(ctx, plan, set).await?,
        Some(read) => match swap(ctx, plan, read, |there| over(there, set.clone())).await {
            Err(failed @ Failed { cause: Cause::Refused(_), .. }) if before != Some(replicas) => {
                // The pods keep the template that they have. How many there are does not depend on it.
                swap(ctx, plan, read, |there| with_replicas(there, replicas)).await?;
                scaled(ctx, plan, before, replicas);
                return Err(failed);
            }
            written => written?,
        },
    };
    ctx.applied.note(wanted, &after);
    scaled(ctx, plan, before, replicas);
    Ok(if after.metadata.generation == generation { Written::Same } else { Written::Changed })
}

/// Makes it. One that exists is looked at in the next turn, when it is known whose it is.
async fn create(ctx: &Context, plan: &Blueprint<'_>, set: &StatefulSet) -> Result<StatefulSet, Failed> {
    let failed = match ctx.api.create(set).await {
        Err(failed) if matches!(failed.cause, Cause::Exists) => failed,
        made => return made,
    };
    match ctx.api.get_metadata::<StatefulSet>(&set.namespace().unwrap_or_default(), &set.name_any()).await? {
        Some(there) if !plan.owner().owns(&there) => {
            let cause = Cause::Foreign(stranger(&StatefulSet::kind(&()), &plan.name(), &there));
            Err(Failed { cause, ..failed })
        }
        Some(_) | None => Err(Failed { cause: Cause::Conflict, ..failed }),
    }
}

/// Replaces it by what `change` makes of it, if its spec is still the one that was read. Statuses are busy while pods
/// come and go: one that a status alone has changed is no reason to decide again.
async fn swap(
    ctx: &Context,
    plan: &Blueprint<'_>,
    read: &Version,
    change: impl Fn(StatefulSet) -> StatefulSet,
) -> Result<StatefulSet, Failed> {
    let (namespace, name) = (plan.cluster.namespace().unwrap_or_default(), plan.name());
    let changed = || Failed { attempt: format!("replace StatefulSet {name}"), cause: Cause::Conflict };
    loop {
        let there = ctx.api.get::<StatefulSet>(&namespace, &name).await?.ok_or_else(changed)?;
        if !Version::of(&there).is_same_spec(read) || !plan.owner().owns(&there) {
            return Err(changed());
        }
        match ctx.api.replace(&change(there)).await {
            Err(Failed { cause: Cause::Conflict, .. }) => {}
            written => return written,
        }
    }
}

fn with_replicas(mut there: StatefulSet, replicas: u32) -> StatefulSet {
    there.spec.get_or_insert_default().replicas = Some(i32::try_from(replicas).unwrap_or(i32::MAX));
    there
}

/// Deletes the StatefulSet and leaves its pods: the next one, with claims of another size, takes them back. A conflict is
/// for the next reconciliation to decide about.
pub async fn release(ctx: &Context, plan: &Blueprint<'_>, version: &Version) -> Result<(), Failed> {
    let (namespace, name) = (plan.cluster.namespace().unwrap_or_default(), names::stateful_set(&plan.name()));
    let Version { uid, resource, generation: _ } = version.clone();
    let only = Preconditions { uid, resource_version: resource };
    ctx.api.release::<StatefulSet>(&namespace, &name, only).await?;
    info!(%namespace, %name, "StatefulSet deleted, its pods are left: it is made again with larger claims");
    ctx.events.note(plan.cluster, Note::released(&name, &plan.wanted.storage.size));
    Ok(())
}

fn scaled(ctx: &Context, plan: &Blueprint<'_>, before: Option<u32>, replicas: u32) {
    let (namespace, name) = (plan.cluster.namespace().unwrap_or_default(), plan.name());
    if before != Some(replicas) {
        info!(%namespace, %name, replicas, "StatefulSet written");
    }
    if let Some(before) = before.filter(|before| *before != replicas) {
        ctx.events.note(plan.cluster, Note::scaled(before, replicas));
    }
}

/// After a write that was refused: the version to try again with, if nobody has written the object's spec since `read`.
/// The API server compares the version of the whole object, and statuses are busy while pods come and go: one that a
/// status alone has changed is no reason to decide again.
pub async fn unless_told<K: Kind>(
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
