//! The only file that writes PersistentVolumeClaims: deletes one, says with whom it goes, lets it ask for more. Which and
//! why is [`crate::cluster::decide::volumes`]'s and [`crate::cluster::decide::growth`]'s to say.

use etcd_operator_shared::{names, quantity};
use futures::future::join_all;
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{Failed, gone, recorder::Note},
    cluster::{
        build::{Blueprint, owner},
        context::Context,
        decide::{
            growth::Request,
            volumes::{Change, Kind},
        },
    },
};

/// Deletes those that are to go.
pub async fn delete(ctx: &Context, plan: &Blueprint<'_>, changes: &[Change]) -> Vec<Failed> {
    all(ctx, plan, changes, true).await
}

/// Makes volumes go with the cluster, or not.
pub async fn ownership(ctx: &Context, plan: &Blueprint<'_>, changes: &[Change]) -> Vec<Failed> {
    all(ctx, plan, changes, false).await
}

async fn all(ctx: &Context, plan: &Blueprint<'_>, changes: &[Change], deletes: bool) -> Vec<Failed> {
    let due = changes.iter().filter(|one| one.deletes() == deletes).map(|one| change(ctx, plan, one));
    join_all(due).await.into_iter().filter_map(Result::err).collect()
}

/// Lets claims ask for more: whoever provides the volumes makes them larger while they are in use.
pub async fn ask(ctx: &Context, plan: &Blueprint<'_>, requests: &[Request]) -> Vec<Failed> {
    let all = join_all(requests.iter().map(|request| ask_one(ctx, plan, request))).await;
    all.into_iter().filter_map(Result::err).collect()
}

/// The version makes sure that what somebody has asked for meanwhile is not undone.
async fn ask_one(ctx: &Context, plan: &Blueprint<'_>, request: &Request) -> Result<(), Failed> {
    let Request { name, uid, version, from, to } = request;
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let patch = json!({
        "metadata": { "uid": uid, "resourceVersion": version },
        "spec": { "resources": { "requests": { "storage": to } } },
    });
    ctx.api.merge::<PersistentVolumeClaim>(&namespace, name, &patch).await?;
    info!(%namespace, name, from, to, "PersistentVolumeClaim asks for more");
    ctx.events.note(plan.cluster, Note::volume_grows(name, &quantity::text(*from), to));
    Ok(())
}

/// Does one.
pub async fn change(ctx: &Context, plan: &Blueprint<'_>, change: &Change) -> Result<(), Failed> {
    let Change { name, uid, kind } = change;
    match kind {
        Kind::DeleteLeft(member) => delete_one(ctx, plan, name, uid, &format!("{member} has left")).await,
        Kind::DeleteMoved(member) => {
            delete_one(ctx, plan, name, uid, &format!("{member} moves to another volume")).await
        }
        Kind::DeleteStopped => delete_one(ctx, plan, name, uid, "the cluster was stopped").await,
        Kind::Own { note } => {
            // Not the controller: that is for whoever made the claim.
            let owner = OwnerReference { controller: None, block_owner_deletion: None, ..owner(plan.cluster) };
            mark(ctx, plan, (name, uid), &[owner], note).await
        }
        Kind::Disown { note } => mark(ctx, plan, (name, uid), &[], note).await,
    }
}

/// Deletes one by UID. One that is gone is as good as deleted.
async fn delete_one(ctx: &Context, plan: &Blueprint<'_>, name: &str, uid: &str, because: &str) -> Result<(), Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    gone(ctx.api.delete::<PersistentVolumeClaim>(&namespace, name, uid).await)?;
    info!(%namespace, name, because, "PersistentVolumeClaim deleted");
    ctx.events.note(plan.cluster, Note::volume_deleted(name, because));
    Ok(())
}

/// The UID makes sure that nothing is created here.
async fn mark(
    ctx: &Context,
    plan: &Blueprint<'_>,
    (name, uid): (&str, &str),
    owners: &[OwnerReference],
    note: &str,
) -> Result<(), Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let patch = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "uid": uid,
            "ownerReferences": owners,
            "annotations": { names::ANNOTATION_INCARNATION: note },
        },
    });
    ctx.api.apply::<PersistentVolumeClaim, _>(&namespace, name, &patch).await.map(|_| ())
}
