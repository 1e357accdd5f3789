//! The StatefulSet, by compare-and-swap.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{
        Cause, Failed, Kind,
        applied::{Key, fingerprint},
        recorder::Note,
    },
    cluster::{
        build::Blueprint,
        context::Context,
        facts::{Facts, Version},
    },
};

/// Applies the StatefulSet, if it is still the one that the decision was made on: whatever has been decided about
/// members then still holds.
pub async fn stateful_set(ctx: &Context, plan: &Blueprint<'_>, replicas: u32, facts: &Facts) -> Result<(), Failed> {
    let set = plan.stateful_set(replicas);
    let (key, print) = (Key::of(&set), fingerprint(&set));
    if ctx.applied.holds(&key, print) {
        return Ok(());
    }
    let (namespace, name) = (set.namespace().unwrap_or_default(), set.name_any());
    let read = facts.set.as_ref().map(|set| set.version.clone()).unwrap_or_default();
    let mut sent = set;
    sent.metadata.resource_version.clone_from(&read.resource);
    let before = facts.set.as_ref().map(|set| set.replicas);
    let after = loop {
        match ctx.api.apply::<StatefulSet, _>(&namespace, &name, &sent).await {
            Ok(after) => break after,
            Err(failed @ Failed { cause: Cause::Refused(_), .. }) => {
                // The pods keep the template that they have. How many there are does not depend on it.
                if before.is_some_and(|before| before != replicas) {
                    scale(ctx, &namespace, &name, replicas, &sent.metadata.resource_version).await?;
                    scaled(ctx, plan, before, replicas);
                }
                return Err(failed);
            }
            Err(failed) => {
                let since = unless_told::<StatefulSet>(ctx, &namespace, &name, &read, failed).await?;
                sent.metadata.resource_version = since;
            }
        }
    };
    ctx.applied.note(key, print, &after);
    scaled(ctx, plan, before, replicas);
    Ok(())
}

/// Sets the number of replicas alone, if the StatefulSet still has this version.
async fn scale(
    ctx: &Context,
    namespace: &str,
    name: &str,
    replicas: u32,
    version: &Option<String>,
) -> Result<(), Failed> {
    let patch = json!({ "metadata": { "resourceVersion": version }, "spec": { "replicas": replicas } });
    ctx.api.merge::<StatefulSet>(namespace, name, &patch).await.map(|_| ())
}

fn scaled(ctx: &Context, plan: &Blueprint<'_>, before: Option<u32>, replicas: u32) {
    let (namespace, name) = (plan.cluster.namespace().unwrap_or_default(), plan.name());
    if before != Some(replicas) {
        info!(%namespace, %name, replicas, "StatefulSet applied");
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
