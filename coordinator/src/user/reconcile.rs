//! Reconciliation as a sentence: observe, decide, act, tell.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::EtcdUser;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tokio::time::Instant;
use tracing::warn;

use super::{
    apply::{self, Unissued},
    context::Context,
    decide::{Order, Verdict, decide},
    facts::Facts,
    report::{self, Told},
};
use crate::apiserver::Failed;

/// Caches that are not filled yet.
const SOON: Duration = Duration::from_secs(1);
/// What no watch tells: rights that are given, a Secret that is removed.
const REFUSED: Duration = Duration::from_secs(30);
const FAILED: Duration = Duration::from_secs(5);

/// One user, once.
pub async fn reconcile(user: Arc<EtcdUser>, ctx: Arc<Context>) -> Result<Action, Failed> {
    let Some((user, facts)) = observe(&ctx, &user) else { return Ok(Action::requeue(SOON)) };
    if user.metadata.deletion_timestamp.is_some() || is_anothers(&ctx, &user) {
        return Ok(Action::await_change());
    }
    let (told, again) = match decide(&user, &facts, Timestamp::now()) {
        Verdict::Refused(objection) => (Told::Refused(objection), REFUSED),
        Verdict::Issue(order) => issue(&ctx, &user, order).await,
        Verdict::Rests(order, rest) => look(&ctx, &user, order, rest).await,
    };
    report::tell(&ctx, &user, &told).await?;
    Ok(Action::requeue(again))
}

/// What the caches know of a user; `None` while they are not filled, or it is gone.
fn observe(ctx: &Context, user: &EtcdUser) -> Option<(Arc<EtcdUser>, Facts)> {
    if !ctx.lists.are_complete() || !ctx.clusters.lists.are_complete() {
        return None;
    }
    let namespace = user.namespace().unwrap_or_default();
    let now = ctx.users.get(&namespace, &user.name_any()).filter(|there| there.uid() == user.uid())?;
    let cluster = ctx.clusters.caches.clusters.get(&namespace, &now.spec.cluster);
    let cluster = cluster.and_then(|cluster| ctx.clusters.caches.current(&cluster));
    let all = ctx.users.store().state();
    let others = all.iter().map(|other| &**other).filter(|other| other.metadata.namespace == now.metadata.namespace);
    let facts = Facts::of(&now, cluster.as_deref(), others);
    Some((now, facts))
}

/// Whether another installation acts on the cluster, and so on its users.
fn is_anothers(ctx: &Context, user: &EtcdUser) -> bool {
    let clusters = &ctx.clusters.caches.clusters;
    let cluster = clusters.get(&user.namespace().unwrap_or_default(), &user.spec.cluster);
    let acts = cluster.and_then(|cluster| cluster.status.as_ref()?.operator.clone());
    acts.is_some_and(|acts| ctx.clusters.installations.mine.as_ref() != Some(&acts))
}

async fn issue(ctx: &Context, user: &EtcdUser, order: Order) -> (Told, Duration) {
    match apply::issue(ctx, user, &order).await {
        Ok(issued) => {
            ctx.is_there(&user.uid().unwrap_or_default(), Instant::now());
            // The status that says so comes back, and then it is known when the next one is due.
            (Told::Issued(order, issued), REFUSED)
        }
        Err(unissued) => told(unissued),
    }
}

/// Sees, now and then, whether the Secret of a certificate that is good is still there.
async fn look(ctx: &Context, user: &EtcdUser, order: Order, rest: Duration) -> (Told, Duration) {
    let (uid, now) = (user.uid().unwrap_or_default(), Instant::now());
    let again = ctx.asks_in(&uid, now);
    if !again.is_zero() {
        return (Told::Good, rest.min(again));
    }
    match apply::is_there(ctx, user, &order.secret).await {
        Ok(true) => {
            ctx.is_there(&uid, now);
            (Told::Good, rest.min(ctx.asks_in(&uid, now)))
        }
        Ok(false) => issue(ctx, user, order).await,
        Err(unissued) => told(unissued),
    }
}

fn told(unissued: Unissued) -> (Told, Duration) {
    match unissued {
        Unissued::Objection(objection) => (Told::Refused(objection), REFUSED),
        Unissued::Failed(failed) => {
            warn!(%failed, "an EtcdUser got no certificate");
            (Told::Failed(failed.to_string()), FAILED)
        }
    }
}

/// Looks again after a failure.
pub fn after_failure(user: &EtcdUser, failed: &Failed, _: &Context) -> Action {
    let (namespace, name) = (user.namespace().unwrap_or_default(), user.name_any());
    warn!(%namespace, %name, %failed, "the status of an EtcdUser was not written");
    Action::requeue(FAILED)
}
