//! Reconciliation as a sentence: observe, decide, act, tell.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdCluster, EtcdRestore, restore::RestorePhase};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::warn;

use super::{
    act,
    decide::{Objection, Verdict, decide},
    facts::{Facts, Reading, members},
    report,
};
use crate::{
    apiserver::Failed,
    backup::context::Context,
    cluster::facts::{Facts as Known, proof},
    proofs,
};

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
    let known = cluster.as_deref().map(|cluster| (cluster, ctx.clusters.caches.facts(cluster)));
    let (proof, read) = look(&ctx, &one, known.as_ref().map(|(_, known)| known)).await?;
    let known = known.as_ref().map(|(cluster, known)| (*cluster, known));
    let facts = Facts::of(&one, known, backup.as_deref(), proof, read);
    let verdict = decide(&one, &facts, Timestamp::now());
    let (verdict, again) = do_it(&ctx, &one, cluster.as_deref(), &facts, verdict).await?;
    report::tell(&ctx, &one, &verdict).await?;
    if is_unneeded(&verdict) {
        // After it is told what the pod has said.
        proofs::clear(&ctx.clusters.api, &namespace, &facts.proof).await?;
        for reading in facts.source.readings() {
            proofs::clear(&ctx.clusters.api, &namespace, &reading.seen).await?;
        }
    }
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// What is seen of the pods that are at work for it.
async fn look(ctx: &Context, one: &EtcdRestore, known: Option<&Known>) -> Result<(proof::Seen, Vec<Reading>), Failed> {
    let (namespace, uid) = (one.namespace().unwrap_or_default(), one.uid().unwrap_or_default());
    let (api, cluster) = (&ctx.clusters.api, &one.spec.cluster);
    if one.spec.source.survivors.is_none() {
        return Ok((proofs::look(api, &namespace, cluster, &uid).await?, vec![]));
    }
    let mut read = vec![];
    for member in known.map(members).unwrap_or_default() {
        let seen = proofs::look(api, &namespace, cluster, &proofs::of_volume(&uid, &member)).await?;
        read.push(Reading { member, seen });
    }
    Ok((proof::Seen::of(String::new(), &uid, None), read))
}

/// Whether no pod is needed any more, or this one is not.
fn is_unneeded(verdict: &Verdict) -> bool {
    match verdict {
        // The bytes are on a member's volume, which its pod needs; the others' pods need theirs.
        Verdict::Found(found) => found.survivors.is_some(),
        // What they say is why.
        Verdict::Refused(Objection::Volume { .. }) => false,
        Verdict::Refused(_)
        | Verdict::Waits(..)
        | Verdict::Bad(..)
        | Verdict::Again(_)
        | Verdict::AwaitsApproval(_)
        | Verdict::Complete
        | Verdict::Rests => true,
        Verdict::Prove(_) | Verdict::Proving(_) | Verdict::Later(..) | Verdict::Stops(_) | Verdict::Read(_) => false,
    }
}

/// Whether it is over; a cluster that is made anew may begin it again.
pub fn is_over(one: &EtcdRestore) -> bool {
    match one.status.as_ref().and_then(|status| status.phase) {
        Some(RestorePhase::Completed | RestorePhase::Failed) => true,
        Some(
            RestorePhase::Pending
            | RestorePhase::AwaitingApproval
            | RestorePhase::Stopping
            | RestorePhase::Rehearsing
            | RestorePhase::Restoring,
        )
        | None => false,
    }
}

/// Acts. Gives when to look again; `None`: when something is heard.
async fn do_it(
    ctx: &Context,
    one: &EtcdRestore,
    cluster: Option<&EtcdCluster>,
    facts: &Facts,
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
        Verdict::Read(members) => {
            let refused = match cluster {
                Some(cluster) => act::read(ctx, one, cluster, facts.source.readings(), &members).await?,
                None => None,
            };
            refused.map_or((Verdict::Read(members), Some(SOON)), |it| (Verdict::Refused(it), Some(WAITING)))
        }
        verdict @ Verdict::Stops(_) => (verdict, Some(SOON)),
        verdict @ (Verdict::Refused(_) | Verdict::Waits(..) | Verdict::AwaitsApproval(_)) => (verdict, Some(WAITING)),
        verdict @ (Verdict::Bad(..) | Verdict::Complete | Verdict::Rests) => (verdict, None),
    })
}

/// Looks again after a failure.
pub fn after_failure(one: &EtcdRestore, failed: &Failed, _: &Context) -> Action {
    let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
    warn!(%namespace, %name, %failed, "an EtcdRestore is not carried on");
    Action::requeue(FAILED)
}
