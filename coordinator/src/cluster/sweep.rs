//! Clears away the authorities of clusters of which nothing is left.
//!
//! ```text
//!   each Secret of ours ─┬─ an EtcdCluster or a volume claim carries its UID ──▶ kept, a note is taken off
//!                        └─ none does (live) ──▶ noted since when ── for a week, at every look ──▶ deleted, by UID
//! ```
//! Who goes on with volumes that a former cluster has left (`storage.adopt`) needs its authorities too, and a backup may bring
//! volumes back that were gone: hence the week, which stands on the Secret and outlives this process. The same look tells which
//! clusters lack theirs, long before anything is to be signed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember},
    names,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
    core::{ApiResource, PartialObjectMeta},
};
use rand::RngExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::{
    apiserver::{Failed, watch::Scope},
    cluster::context::Context,
    ownership::Owner,
};

/// Pause before the first look, and between looks; no two coordinators in step.
const FIRST: std::ops::Range<f64> = 20.0..40.0;
const AGAIN: std::ops::Range<f64> = 500.0..700.0;
/// Pause after one that nobody seems to need: to be sure of that takes three lists.
const UNHURRIED: Duration = Duration::from_millis(500);
/// Nobody must have needed one for so long.
const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What becomes of one Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// It is needed again.
    Taken,
    /// Nobody needs it from now on.
    Noted,
    Deleted,
}

/// Looks at all of them now and then, until `shutdown`.
pub async fn run(scope: Scope, ctx: Arc<Context>, shutdown: CancellationToken) {
    let mut pause = FIRST;
    loop {
        let rest = Duration::from_secs_f64(rand::rng().random_range(pause.clone()));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        if !ctx.lists.are_complete() {
            continue;
        }
        pause = AGAIN;
        // Cutting a look short is safe anywhere: each write stands for itself.
        let looked = tokio::select! {
            () = shutdown.cancelled() => return,
            looked = look(&scope, &ctx) => looked,
        };
        if let Err(failed) = looked {
            debug!(%failed, "the authorities cannot be looked at");
        }
    }
}

async fn look(Scope(scope): &Scope, ctx: &Context) -> Result<(), Failed> {
    let own = &ctx.authorities.namespace;
    let label = |secret: &PartialObjectMeta<Secret>, key: &str| secret.labels().get(key).cloned().unwrap_or_default();
    let ours = |secret: &PartialObjectMeta<Secret>| {
        let life = label(secret, names::LABEL_CLUSTER_UID);
        secret.name_any() == names::authorities(&life)
    };
    let mut all = ctx.api.list_metadata::<Secret>(own, names::LABEL_NAMESPACE).await?;
    all.retain(ours);
    ctx.authorities.seen(all.iter().map(|secret| label(secret, names::LABEL_CLUSTER_UID)).collect());
    let known = known(ctx);
    for secret in &all {
        let (namespace, life) = (label(secret, names::LABEL_NAMESPACE), label(secret, names::LABEL_CLUSTER_UID));
        if scope.as_ref().is_some_and(|scope| *scope != namespace) {
            continue;
        }
        let needed = known.contains(&life) || {
            tokio::time::sleep(UNHURRIED).await;
            is_needed(ctx, &namespace, &life).await?
        };
        settle(ctx, secret, needed).await?;
    }
    Ok(())
}

/// The UIDs that clusters which can be read go by.
fn known(ctx: &Context) -> HashSet<String> {
    ctx.caches.clusters.store().state().iter().map(|cluster| Owner::of(cluster).life).collect()
}

/// Whether anything carries this UID, with the API server's own eyes. An EtcdCluster that cannot be read counts by what can be.
async fn is_needed(ctx: &Context, namespace: &str, life: &str) -> Result<bool, Failed> {
    let clusters =
        Api::<DynamicObject>::namespaced_with(ctx.api.client(), namespace, &ApiResource::erase::<EtcdCluster>(&()));
    let all = ListParams::default();
    let clusters = ctx.api.call(|| format!("list EtcdClusters in {namespace}"), clusters.list(&all)).await?;
    let of_life = |cluster: &DynamicObject| {
        let former = cluster.data.pointer("/status/incarnation/dataUid").and_then(|uid| uid.as_str());
        cluster.metadata.uid.as_deref() == Some(life) || former == Some(life)
    };
    if clusters.items.iter().any(of_life) {
        return Ok(true);
    }
    let label = format!("{}={life}", names::LABEL_CLUSTER_UID);
    Ok(!ctx.api.list_metadata::<PersistentVolumeClaim>(namespace, &label).await?.is_empty()
        || !ctx.api.list_metadata::<EtcdMember>(namespace, &label).await?.is_empty())
}

async fn settle(ctx: &Context, secret: &PartialObjectMeta<Secret>, needed: bool) -> Result<(), Failed> {
    let (own, name, now) = (&ctx.authorities.namespace, secret.name_any(), Timestamp::now());
    let since = secret.annotations().get(names::ANNOTATION_UNNEEDED);
    let note = match fate(needed, since.map(String::as_str), now) {
        Fate::Kept => return Ok(()),
        Fate::Taken => None,
        Fate::Noted => Some(now.to_string()),
        Fate::Deleted => {
            let (uid, version) = (secret.uid().unwrap_or_default(), secret.resource_version());
            ctx.api.delete_unchanged::<Secret>(own, &name, &uid, version).await?;
            info!(name, "deleted the authorities of a cluster of which nothing has been left for a week");
            return Ok(());
        }
    };
    let metadata = json!({
        "uid": secret.uid(),
        "resourceVersion": secret.resource_version(),
        "annotations": { names::ANNOTATION_UNNEEDED: note },
    });
    ctx.api.merge::<Secret>(own, &name, &json!({ "metadata": metadata })).await.map(drop)
}

/// `since`: as it was noted when nobody needed it first. A note of the future, or one that is none, is written anew.
fn fate(needed: bool, since: Option<&str>, now: Timestamp) -> Fate {
    let noted = since.and_then(|since| since.parse::<Timestamp>().ok()).filter(|since| *since <= now);
    match (needed, since, noted) {
        (true, None, _) => Fate::Kept,
        (true, Some(_), _) => Fate::Taken,
        (false, _, None) => Fate::Noted,
        (false, _, Some(since)) if now.duration_since(since) >= PATIENCE => Fate::Deleted,
        (false, _, Some(_)) => Fate::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_go_when_nobody_has_needed_them_for_a_week_and_never_before() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ago = |hours: i64| (now - SignedDuration::from_hours(hours)).to_string();
        assert_eq!(fate(false, None, now), Fate::Noted);
        assert_eq!(fate(false, Some(&ago(7 * 24 - 1)), now), Fate::Kept);
        assert_eq!(fate(false, Some(&ago(7 * 24)), now), Fate::Deleted);
        for odd in ["", "yesterday", &ago(-1)] {
            assert_eq!(fate(false, Some(odd), now), Fate::Noted, "{odd}");
        }
    }

    #[test]
    fn one_that_is_needed_again_loses_its_note_however_old() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(fate(true, None, now), Fate::Kept);
        assert_eq!(fate(true, Some("2000-01-01T00:00:00Z"), now), Fate::Taken);
    }
}
