//! A pod's etcd gets another image: kubelet restarts that container, and nothing else of the pod. Where the API server
//! does not take the change, the pod is replaced. Or it gets other options: its agent is told, and starts it once more.

use etcd_operator_shared::{api::EtcdMember, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use super::{
    pods::{Replaced, for_budget, replace_one},
    stateful_set::unless_told,
};
use crate::{
    apiserver::{Cause, Failed, gone, recorder::Note},
    cluster::{
        build::{Blueprint, member},
        context::Context,
        decide::step::{Deletion, Means, Swap, Turn, Waiting},
        facts::{Facts, shape::CHANGED, swap::Swapped},
    },
};

/// Swaps it, if its PodDisruptionBudget would let the pod go: its member is away for as long as etcd restarts.
pub async fn swap(ctx: &Context, plan: &Blueprint<'_>, swap: &Swap) -> Replaced {
    match attempt(ctx, plan, swap).await {
        Ok(waits) => Replaced { waits, ..Replaced::default() },
        Err(failed) => Replaced { failed: vec![failed], ..Replaced::default() },
    }
}

async fn attempt(ctx: &Context, plan: &Blueprint<'_>, swap: &Swap) -> Result<Option<Waiting>, Failed> {
    let name = &swap.name;
    let namespace = plan.cluster.namespace().unwrap_or_default();
    match may_be_away(ctx, plan, &swap.instead()).await {
        Ok(true) => {}
        Ok(false) => return Ok(Some(for_budget(name))),
        Err(failed) => return gone(Err(failed)).map(|()| None),
    }
    match ctx.api.change::<Pod>(&namespace, name, &patch(swap)).await {
        Ok(()) => {
            let (version, image) = (swap.etcd.version, &swap.write);
            info!(%namespace, pod = name, %version, image, why = swap.why.as_str(), "etcd gets another image");
            ctx.events.note(plan.cluster, Note::swapped(swap));
            Ok(None)
        }
        Err(Failed { cause: Cause::Refused(words), .. }) => {
            info!(%namespace, pod = name, words, "etcd's image may not be changed in the pod, so it is replaced");
            replace_one(ctx, plan, &swap.instead()).await
        }
        failed => gone(failed).map(|()| None),
    }
}

/// Whether the budget would let this pod go.
pub async fn may_be_away(ctx: &Context, plan: &Blueprint<'_>, absence: &Deletion) -> Result<bool, Failed> {
    let Deletion { name, uid, why: _ } = absence;
    match absence.means(plan.voters) {
        Means::Eviction => ctx.api.may_evict(&plan.cluster.namespace().unwrap_or_default(), name, uid).await,
        Means::Deletion => Ok(true),
    }
}

/// Tells a member its new options, if its PodDisruptionBudget would let the pod go, and nobody else has told it
/// anything.
pub async fn turn(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, turn: &Turn) -> Replaced {
    let outcome = match may_be_away(ctx, plan, &turn.absence()).await {
        Ok(true) => tell(ctx, plan, facts, turn).await.map(|()| None),
        Ok(false) => Ok(Some(for_budget(&turn.name))),
        Err(failed) => gone(Err(failed)).map(|()| None),
    };
    match outcome {
        Ok(waits) => Replaced { waits, ..Replaced::default() },
        Err(failed) => Replaced { failed: vec![failed], ..Replaced::default() },
    }
}

async fn tell(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, turn: &Turn) -> Result<(), Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let Some(member) = facts.slot(turn.ordinal).member else { return Ok(()) };
    let mut patch = member::turn(&member, turn);
    while let Err(failed) = ctx.api.merge_as_leader::<EtcdMember>(&namespace, &turn.name, &patch).await {
        let since = unless_told::<EtcdMember>(ctx, &namespace, &turn.name, &member.version, failed).await?;
        patch["metadata"]["resourceVersion"] = json!(since);
    }
    info!(%namespace, pod = turn.name, options = turn.options, why = turn.why.as_str(), "etcd gets other options");
    ctx.events.note(plan.cluster, Note::turned(turn));
    Ok(())
}

/// The image, and what the pod is by it, in one write.
fn patch(swap: &Swap) -> serde_json::Value {
    let Swap { name: _, uid, etcd, write, container, why: _ } = swap;
    let (container, version, image) = (container.clone(), etcd.version.to_string(), etcd.image.clone());
    let note = Swapped { version, image, container, at: Timestamp::now() };
    let notes = json!({names::ANNOTATION_SWAP: json!(note).to_string(), names::ANNOTATION_SHAPE: CHANGED});
    json!({
        "metadata": {"uid": uid, "annotations": notes},
        "spec": {"containers": [{"name": names::CONTAINER_ETCD, "image": write}]},
    })
}
