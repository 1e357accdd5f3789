//! A pod's etcd gets another image: kubelet restarts that container, and nothing else of the pod. Where the API server does not take
//! the change, the pod is replaced.

use etcd_operator_shared::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use super::pods::{Replaced, for_budget, replace_one};
use crate::{
    apiserver::{Cause, Failed, gone, recorder::Note},
    cluster::{
        build::Blueprint,
        context::Context,
        decide::step::{Means, Swap, Waiting},
        facts::{shape::CHANGED, swap::Swapped},
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
    let Swap { name, uid, .. } = swap;
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let asks = swap.instead().means(plan.voters) == Means::Eviction;
    match if asks { ctx.api.may_evict(&namespace, name, uid).await } else { Ok(true) } {
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

/// The image, and what the pod is by it, in one write.
fn patch(swap: &Swap) -> serde_json::Value {
    let Swap { name: _, uid, etcd, write, shape, container, why: _ } = swap;
    let (shape, container, version) = (shape.clone(), container.clone(), etcd.version.to_string());
    let note = Swapped { shape, version, container, at: Timestamp::now() };
    let notes = json!({names::ANNOTATION_SWAP: json!(note).to_string(), names::ANNOTATION_SHAPE: CHANGED});
    json!({
        "metadata": {"uid": uid, "annotations": notes},
        "spec": {"containers": [{"name": names::CONTAINER_ETCD, "image": write}]},
    })
}
