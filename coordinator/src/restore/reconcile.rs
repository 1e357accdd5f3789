//! Reconciliation as a sentence: observe, decide, act, tell.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdCluster, EtcdRestore, restore::RestorePhase};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::warn;

use super::{
    act,
    decide::{Verdict, decide},
    facts::Facts,
    report,
};
use crate::{apiserver::Failed, backup::context::Context, proofs};

/// Caches that are not filled yet, and pods that no watch shows.
const SOON: Duration = Duration::from_secs(1);
/// What is waited for is mostly heard of.
const WAITING: Duration = Duration::from_secs(10);
const FAILED: Duration = Duration::from_secs(5);

/// One restore, once.
pub async fn reconcile(one: Arc<EtcdRestore>, ctx: Arc<Context>) -> Result<Action, Failed> {
    let namespace = one.namespace().unwrap_or_default();
    let archive = &ctx.clusters.caches.archive;
    if !archive.is_known() || !ctx.clusters.lists.are_complete() {
        return Ok(Action::requeue(SOON));
    }
    let there = archive.restores.get(&namespace, &one.name_any()).filter(|there| there.uid() == one.uid());
    let Some(one) = there else { return Ok(Action::await_change()) };
    if one.metadata.deletion_timestamp.is_some() || ctx.is_anothers(&namespace, &one.spec.cluster) {
        return Ok(Action::await_change());
    }
    let cluster = ctx.clusters.caches.clusters.get(&namespace, &one.spec.cluster);
    let cluster = cluster.and_then(|cluster| ctx.clusters.caches.current(&cluster));
    let backup = one.spec.source.backup.as_ref().and_then(|name| archive.backups.get(&namespace, name));
    let proof = proofs::look(&ctx.clusters.api, &namespace, &one.spec.cluster, &one.uid().unwrap_or_default()).await?;
    let facts = Facts::of(&one, cluster.as_deref(), backup.as_deref(), proof);
    let verdict = decide(&one, &facts, Timestamp::now());
    let (verdict, again) = do_it(&ctx, &one, cluster.as_deref(), verdict).await?;
    report::tell(&ctx, &one, &verdict).await?;
    if is_unneeded(&verdict) {
        // After it is told what the pod has said.
        proofs::clear(&ctx.clusters.api, &namespace, &facts.proof).await?;
    }
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Whether no pod is needed any more, or this one is not.
fn is_unneeded(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Refused(_)
        | Verdict::Waits(..)
        | Verdict::Bad(..)
        | Verdict::Again(_)
        | Verdict::Complete
        | Verdict::Rests => true,
        Verdict::Prove(_) | Verdict::Proving(_) | Verdict::Found(_) | Verdict::Later(..) => false,
    }
}

/// Whether it is over; a cluster that is made anew may begin it again.
pub fn is_over(one: &EtcdRestore) -> bool {
    match one.status.as_ref().and_then(|status| status.phase) {
        Some(RestorePhase::Completed | RestorePhase::Failed) => true,
        Some(RestorePhase::Pending | RestorePhase::Rehearsing | RestorePhase::Restoring) | None => false,
    }
}

/// Acts. Gives when to look again; `None`: when something is heard.
async fn do_it(
    ctx: &Context,
    one: &EtcdRestore,
    cluster: Option<&EtcdCluster>,
    verdict: Verdict,
) -> Result<(Verdict, Option<Duration>), Failed> {
    Ok(match verdict {
        Verdict::Prove(task) => match cluster {
            Some(cluster) => match act::prove(ctx, one, cluster, &task).await? {
                None => (Verdict::Proving(None), Some(SOON)),
                Some(objection) => (Verdict::Refused(objection), Some(WAITING)),
            },
            None => (Verdict::Proving(None), Some(SOON)),
        },
        Verdict::Later(words, wait) => (Verdict::Later(words, wait), Some(Duration::try_from(wait).unwrap_or(WAITING))),
        verdict @ (Verdict::Proving(_) | Verdict::Found(_) | Verdict::Again(_)) => (verdict, Some(SOON)),
        verdict @ (Verdict::Refused(_) | Verdict::Waits(..)) => (verdict, Some(WAITING)),
        verdict @ (Verdict::Bad(..) | Verdict::Complete | Verdict::Rests) => (verdict, None),
    })
}

/// Looks again after a failure.
pub fn after_failure(one: &EtcdRestore, failed: &Failed, _: &Context) -> Action {
    let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
    warn!(%namespace, %name, %failed, "an EtcdRestore is not carried on");
    Action::requeue(FAILED)
}
