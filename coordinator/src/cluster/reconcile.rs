//! Reconciliation as a sentence: observe, decide, act, tell.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::EtcdCluster;
use kube::{ResourceExt, runtime::controller::Action};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::{
    apiserver::{Cause, Failed},
    cluster::{
        apply::{self, Acted},
        context::Context,
        decide::{
            self, Decision, ration,
            refusal::Refusal,
            step::{Look, ROUNDS, Step},
        },
        facts::{
            Facts, Source, findings,
            rehearsal::{Answer, Rehearsal},
        },
        fetch, incarnation,
        installation::{self, Settled},
        outcome::{Outcome, Seen, Unfinished},
        report,
        timers::Retry,
        turns::Whose,
        vouchers,
    },
};

/// When a pod is tried again that its budget does not let go: the budget's controller is a moment late after each pod
/// that comes back.
const AGAIN_FOR_BUDGET: Duration = Duration::from_secs(1);

/// One cluster, once.
pub async fn reconcile(cluster: Arc<EtcdCluster>, ctx: Arc<Context>) -> Result<Action, Unfinished> {
    let Some(seen) = observe(&ctx, &cluster) else { return Ok(Action::await_change()) };
    let uid = cluster.uid().unwrap_or_default();
    let (mut seen, unmarked) = match installation::settle(&ctx, seen).await {
        Settled::Ours(seen) => (seen, None),
        Settled::Unmarked(seen, failed) => (seen, Some(failed)),
        Settled::Theirs(again) => return Ok(Action::requeue(again)),
        Settled::Failed(failed) => return Err(Unfinished { failed: vec![failed], again: None }),
    };
    let unanswered = inquire(&ctx, &mut seen).await;
    let unvouched = vouchers::look(&ctx, &mut seen).await.err();
    let mut outcome = advance(&ctx, seen).await.refusing_strangers();
    outcome.failed.extend(unmarked.into_iter().chain(unvouched));
    outcome.denials = ctx.timers.denied(&uid, &outcome.failed);
    if ration::is_well(&outcome.decision, &outcome.seen.facts) {
        ctx.turns.is_well(&uid, Instant::now());
    } else if outcome.decision.paused.is_some() {
        ctx.turns.give_back(&uid);
    }
    if outcome.failed.iter().any(|failed| matches!(failed.cause, Cause::Dropped)) {
        outcome.decision.refusal = Some(Refusal::OldKinds);
    }
    // Told whatever failed: a status that stands still is a lie.
    let told = report::tell(&ctx, &outcome).await;
    let next = report::next(&ctx, &outcome, [told.overdue, unanswered].into_iter().flatten().min());
    outcome.failed.extend(told.failed);
    if !outcome.failed.is_empty() {
        return Err(Unfinished { failed: outcome.failed, again: next.soon });
    }
    ctx.timers.succeeded(&uid);
    Ok(next.action())
}

/// What the caches know of a cluster; `None` if it is gone, or nothing is known yet: once the first lists are complete
/// every cluster is looked at.
fn observe(ctx: &Context, cluster: &EtcdCluster) -> Option<Seen> {
    if !ctx.lists.are_complete() {
        return None;
    }
    let cluster = ctx.caches.current(cluster)?;
    let rehearsal = ctx.rehearsals.known(&cluster.uid().unwrap_or_default(), Instant::now());
    Some(Seen { facts: Facts { rehearsal, ..ctx.caches.facts(&cluster) }, cluster })
}

/// Asks why pods and volumes are not made, where they are missing for long. Gives when there is more to ask. Nothing is
/// decided by the answers, so a question that fails is asked again later and fails nothing.
async fn inquire(ctx: &Context, seen: &mut Seen) -> Option<Duration> {
    let (uid, namespace) = (seen.cluster.uid().unwrap_or_default(), seen.cluster.namespace().unwrap_or_default());
    let questions = findings::questions(&seen.facts);
    let due = ctx.inquiries.due(&uid, questions, Instant::now(), || ctx.api.may_look());
    for question in &due.now {
        match fetch::events(&ctx.api, &namespace, question.uid()).await {
            Ok(events) => ctx.inquiries.answered(&uid, question, question.answer(events)),
            Err(failed) => debug!(%failed, "not answered"),
        }
    }
    seen.facts.findings = ctx.inquiries.findings(&uid);
    due.again
}

/// Takes one cluster as far as it goes now: what must be known or written before more can be decided comes first.
async fn advance(ctx: &Context, mut seen: Seen) -> Outcome {
    for _ in 1..ROUNDS {
        let decision = decide(ctx, &seen);
        let next = match (&decision.step, &decision.care) {
            (Step::Look(look), _) => look_at(ctx, &seen, *look).await,
            _ if is_doubtful(ctx, &seen, &decision) => look_at(ctx, &seen, Look::Live).await,
            (Step::Begin(incarnation), _) => incarnation::begin(ctx, &seen, incarnation).await,
            (Step::MakeMembers, Some(care)) => incarnation::make_members(ctx, &seen, &decision, care).await,
            (
                Step::MakeMembers
                | Step::SetReplicas(_)
                | Step::Replace(_)
                | Step::Swap(_)
                | Step::Turn(_)
                | Step::Move(_)
                | Step::Refresh(_)
                | Step::Try(_)
                | Step::End(_)
                | Step::Wait(_)
                | Step::Nothing,
                _,
            ) => return act(ctx, seen, decision).await,
        };
        match next {
            Ok(next) => seen = next,
            Err(failed) => return Outcome::new(seen, decision, vec![failed]),
        }
    }
    let decision = decide(ctx, &seen);
    act(ctx, seen, decision).await
}

fn decide(ctx: &Context, seen: &Seen) -> Decision {
    let uid = seen.cluster.uid().unwrap_or_default();
    let now = Instant::now();
    let mut decision = decide::decide(&seen.cluster, &seen.facts, ctx.timers.waited(&uid, &seen.facts, now));
    ctx.resumed.call_once(|| resume(ctx, now));
    let whose = whose(ctx, &seen.cluster);
    if let Some(waiting) = ctx.turns.ask(&uid, ration::need(&decision.step), whose, now) {
        decision.step = Step::Wait(waiting);
    }
    decision
}

/// Rolls that were under way when this coordinator began go on before others begin.
fn resume(ctx: &Context, now: Instant) {
    for cluster in ctx.caches.clusters.store().state() {
        if ration::is_under_way(&ctx.caches.facts(&cluster)) {
            ctx.turns.resume(&cluster.uid().unwrap_or_default(), whose(ctx, &cluster), now);
        }
    }
}

fn whose(ctx: &Context, cluster: &EtcdCluster) -> Whose {
    let observed = cluster.status.as_ref().and_then(|status| status.observed_generation);
    ctx.turns.whose(&cluster.uid().unwrap_or_default(), cluster.metadata.generation, observed)
}

/// Whether caches are not enough to go by: what could not be taken back is decided on live reads, and so is what has
/// waited for long, now and then, since a cache that missed something must not hold a cluster for ever.
fn is_doubtful(ctx: &Context, seen: &Seen, decision: &Decision) -> bool {
    if seen.facts.source == Source::Live || seen.cluster.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let waits = matches!(decision.step, Step::Wait(_)) || seen.facts.lacks_a_pod();
    let uid = seen.cluster.uid().unwrap_or_default();
    let due = ctx.timers.is_due_for_a_look(&uid, waits, Instant::now(), || ctx.api.may_look());
    due || decision.is_final(&seen.facts)
}

async fn look_at(ctx: &Context, seen: &Seen, look: Look) -> Result<Seen, Failed> {
    let Seen { cluster, facts } = seen;
    let facts = match look {
        Look::Ground => Facts { ground: Some(fetch::ground(&ctx.api, cluster).await?), ..facts.clone() },
        Look::Places { from, to } => {
            let places = Some(fetch::places(&ctx.api, cluster, from, to).await?);
            Facts { places, ..facts.clone() }
        }
        Look::Template => {
            let (uid, shape) =
                (cluster.uid().unwrap_or_default(), facts.set.as_ref().and_then(|set| set.newest.clone()));
            let rehearsal = match fetch::rehearsal(&ctx.api, cluster).await {
                Err(failed) if !ctx.rehearsals.unanswered(&uid) => return Err(failed),
                Err(_) => Rehearsal { shape: shape.unwrap_or_default(), answer: Answer::Unclear },
                Ok(rehearsal) => rehearsal,
            };
            ctx.rehearsals.answered(&uid, &rehearsal, Instant::now());
            Facts { rehearsal: Some(rehearsal), ..facts.clone() }
        }
        Look::Live => {
            // The cluster itself too: a cache that is behind may show an incarnation as ended after which another
            // began.
            let cluster = fetch::cluster(&ctx.api, cluster).await?;
            let Facts { ground, places, findings, rehearsal, authorities, backups, restore, .. } = facts.clone();
            let live = fetch::live(&ctx.api, &cluster).await?;
            let facts = Facts { ground, places, findings, rehearsal, authorities, backups, restore, ..live };
            return Ok(Seen { cluster: Arc::new(cluster), facts });
        }
    };
    Ok(Seen { cluster: Arc::clone(cluster), facts })
}

/// Acts on what was decided; an incarnation is over when nothing else failed.
async fn act(ctx: &Context, mut seen: Seen, mut decision: Decision) -> Outcome {
    let Acted { mut failed, waits } = apply::act(ctx, &seen, &decision).await;
    if let Some(waiting) = waits {
        decision.step = Step::Wait(waiting);
        decision.again = Some(AGAIN_FOR_BUDGET);
    }
    if let (Step::End(why), Some(care), []) = (&decision.step, &decision.care, failed.as_slice()) {
        match incarnation::end(ctx, &seen, &care.incarnation, *why).await {
            Ok(ended) => seen = ended,
            Err(error) => failed.push(error),
        }
    }
    Outcome::new(seen, decision, failed)
}

/// Looks again after a failure. A conflict means that somebody was faster: the cache will know in a moment.
pub fn after_failure(cluster: &EtcdCluster, unfinished: &Unfinished, ctx: &Context) -> Action {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let conflicts = unfinished.failed.iter().all(|failed| matches!(failed.cause, Cause::Conflict));
    let uid = cluster.uid().unwrap_or_default();
    let Retry { wait, often } = if conflicts { ctx.timers.conflicted(&uid) } else { ctx.timers.failed(&uid) };
    // What is due sooner does not wait for what fails.
    let wait = unfinished.again.map_or(wait, |again| wait.min(again));
    if conflicts && !often {
        debug!(%namespace, %name, %unfinished, "somebody was faster");
    } else {
        warn!(%namespace, %name, %unfinished, again_in = ?wait, "reconciliation failed");
    }
    Action::requeue(wait)
}
