//! Pods are deleted by UID, so that their successors get the newest template.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tracing::info;

use crate::{
    apiserver::{Failed, gone, recorder::Note},
    cluster::{build::Blueprint, context::Context, decide::step::Deletion},
};

/// Deletes pods. One that is gone is as good as deleted.
pub async fn delete(ctx: &Context, plan: &Blueprint<'_>, deletions: &[Deletion]) -> Vec<Failed> {
    let all = join_all(deletions.iter().map(|one| delete_one(ctx, plan, one))).await;
    all.into_iter().filter_map(Result::err).collect()
}

async fn delete_one(ctx: &Context, plan: &Blueprint<'_>, deletion: &Deletion) -> Result<(), Failed> {
    let Deletion { name, uid, why } = deletion;
    let namespace = plan.cluster.namespace().unwrap_or_default();
    match ctx.api.delete::<Pod>(&namespace, name, uid).await {
        Ok(()) => {
            info!(%namespace, pod = name, why = why.as_str(), "pod deleted to be replaced");
            ctx.events.note(plan.cluster, Note::replaced(name, *why));
            Ok(())
        }
        failed => gone(failed),
    }
}
