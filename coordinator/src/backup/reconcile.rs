//! Reconciliation as a sentence: observe, decide, act, tell.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdBackup, EtcdCluster};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::warn;

use super::{
    act::{self, Begun},
    context::Context,
    decide::{Verdict, decide},
    facts::{Facts, is_over, is_taken},
    report,
};
use crate::{apiserver::Failed, cluster::facts::proof::Seen, proofs};

/// Caches that are not filled yet, and pods that no watch shows.
const SOON: Duration = Duration::from_secs(1);
/// What is waited for is mostly heard of; what a person mends in a store is not.
const WAITING: Duration = Duration::from_secs(10);
const FAILED: Duration = Duration::from_secs(5);

/// One backup, once.
pub async fn reconcile(one: Arc<EtcdBackup>, ctx: Arc<Context>) -> Result<Action, Failed> {
    let namespace = one.namespace().unwrap_or_default();
    let archive = &ctx.clusters.caches.archive;
    if !archive.is_known() || !ctx.clusters.lists.are_complete() {
        return Ok(Action::requeue(SOON));
    }
    let there = archive.backups.get(&namespace, &one.name_any()).filter(|there| there.uid() == one.uid());
    let Some(one) = there else { return Ok(Action::await_change()) };
    if one.metadata.deletion_timestamp.is_some() || is_over(&one) || ctx.is_anothers(&namespace, &one.spec.cluster) {
        ctx.proofs.end(&one.uid().unwrap_or_default());
        return Ok(Action::await_change());
    }
    let cluster = ctx.clusters.caches.clusters.get(&namespace, &one.spec.cluster);
    let cluster = cluster.and_then(|cluster| ctx.clusters.caches.current(&cluster));
    let proof = look(&ctx, &one).await?;
    let facts = facts(&ctx, &one, cluster.as_deref(), proof);
    let verdict = decide(&one, &facts, Timestamp::now());
    let (verdict, again) = do_it(&ctx, &one, cluster.as_ref(), verdict).await?;
    report::tell(&ctx, &one, &verdict).await?;
    if let Verdict::Good { .. } | Verdict::Bad(..) | Verdict::Again(_) = verdict {
        // After it is told what the pod has said.
        proofs::clear(&ctx.clusters.api, &namespace, &facts.proof).await?;
        ctx.proofs.end(&one.uid().unwrap_or_default());
    }
    Ok(Action::requeue(again))
}

/// What is seen of the pod that opens it: none is looked for before there is anything to open.
async fn look(ctx: &Context, one: &EtcdBackup) -> Result<Seen, Failed> {
    let (namespace, uid) = (one.namespace().unwrap_or_default(), one.uid().unwrap_or_default());
    if is_taken(one) {
        return proofs::look(&ctx.clusters.api, &namespace, &one.spec.cluster, &uid).await;
    }
    Ok(Seen::of(String::new(), &uid, None))
}

fn facts(ctx: &Context, one: &EtcdBackup, cluster: Option<&EtcdCluster>, proof: Seen) -> Facts {
    let observed = cluster.map(|cluster| ctx.clusters.caches.facts(cluster));
    let all = ctx.clusters.caches.archive.backups.store().state();
    let others = all.iter().map(|other| &**other).filter(|other| other.metadata.namespace == one.metadata.namespace);
    Facts::of(one, cluster.zip(observed.as_ref()), others.filter(|other| other.uid() != one.uid()), proof)
}

/// Acts. What was decided may come out as something else: a pod that is refused, or one that may not be made yet.
async fn do_it(
    ctx: &Context,
    one: &EtcdBackup,
    cluster: Option<&Arc<EtcdCluster>>,
    verdict: Verdict,
) -> Result<(Verdict, Duration), Failed> {
    let namespace = one.namespace().unwrap_or_default();
    Ok(match verdict {
        Verdict::Order(order) => {
            act::order(ctx, &namespace, &order).await?;
            (Verdict::Taking { member: order.member, trouble: None }, WAITING)
        }
        Verdict::Note(noted) => {
            act::released(ctx, &namespace, &noted).await?;
            (Verdict::Note(noted), SOON)
        }
        Verdict::Prove(task) => match cluster {
            Some(cluster) => match act::prove(ctx, one, cluster, &task).await? {
                Begun::Yes => (Verdict::Proving(None), SOON),
                Begun::NotYet => (Verdict::Proving(Some("it waits until others have been opened".into())), WAITING),
                Begun::Refused(objection) => (Verdict::Refused(objection), WAITING),
            },
            None => (Verdict::Proving(None), WAITING),
        },
        Verdict::Proving(waits) => (Verdict::Proving(waits), SOON),
        Verdict::Again(words) => (Verdict::Again(words), SOON),
        Verdict::Later(words, wait) => (Verdict::Later(words, wait), Duration::try_from(wait).unwrap_or(WAITING)),
        verdict @ (Verdict::Refused(_)
        | Verdict::Waits(..)
        | Verdict::Taking { .. }
        | Verdict::Good { .. }
        | Verdict::Bad(..)
        | Verdict::Rests) => (verdict, WAITING),
    })
}

/// Looks again after a failure.
pub fn after_failure(one: &EtcdBackup, failed: &Failed, _: &Context) -> Action {
    let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
    warn!(%namespace, %name, %failed, "an EtcdBackup is not carried on");
    Action::requeue(FAILED)
}
