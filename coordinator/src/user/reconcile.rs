//! Reconciliation as a sentence: observe, decide, act, tell.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdUser, member::ToldAuth, user::IssuedCertificate},
    auth,
};
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, runtime::controller::Action};
use tokio::time::Instant;
use tracing::warn;

use super::{
    apply::{self, Issued, Unissued},
    context::Context,
    decide::{Order, Verdict, decide, valid},
    facts::{Facts, Grant},
    report::{self, Told},
};
use crate::apiserver::Failed;

/// Caches that are not filled yet.
const SOON: Duration = Duration::from_secs(1);
/// What no watch tells: rights that are given, a Secret that is removed.
const REFUSED: Duration = Duration::from_secs(30);
const FAILED: Duration = Duration::from_secs(5);
/// Until members are told what was revoked: that is under way.
const UNTOLD: Duration = Duration::from_millis(200);
/// What has not been told for so long waits for a person: the cluster says why.
const LONG: SignedDuration = SignedDuration::from_secs(10);

/// One user, once.
pub async fn reconcile(user: Arc<EtcdUser>, ctx: Arc<Context>) -> Result<Action, Failed> {
    let Some((user, facts)) = observe(&ctx, &user) else { return Ok(Action::requeue(SOON)) };
    if is_anothers(&ctx, &user) {
        return Ok(Action::await_change());
    }
    if user.metadata.deletion_timestamp.is_some() {
        return bid_farewell(&ctx, &user, &facts).await;
    }
    // What it may do is the members' to be told.
    let waits = matches!(facts.grant, Grant::Pending(_));
    if waits {
        ctx.touch(&user.namespace().unwrap_or_default(), &user.spec.cluster);
    }
    let (user, told, again) = match decide(&user, &facts, Timestamp::now()) {
        Verdict::Refused(objection) => (user, Told::Refused(objection), REFUSED),
        Verdict::Issue(order) => issue(&ctx, user, order).await,
        Verdict::Revoke(order, outdated) => revoke(&ctx, user, &order, outdated).await,
        Verdict::Rests(order, rest) => look(&ctx, user, order, rest).await,
    };
    report::tell(&ctx, &user, &facts.grant, &told).await?;
    Ok(Action::requeue(if waits { again.min(REFUSED) } else { again }))
}

/// Lets a user go: once what it may have been issued is revoked, and every member of its cluster is told. The members'
/// agents are not waited for: a member that is away goes by the list before it lets anybody in again.
async fn bid_farewell(ctx: &Context, user: &EtcdUser, facts: &Facts) -> Result<Action, Failed> {
    if !apply::holds(user) {
        return Ok(Action::await_change());
    }
    let (now, namespace) = (Timestamp::now(), user.namespace().unwrap_or_default());
    let (all, cluster) = (valid(user, now), facts.cluster.as_ref());
    match apply::revoke(ctx, user, cluster.map(|cluster| cluster.life.as_str()), &all, now).await {
        Ok(number) if cluster.is_some() && number.is_some_and(|number| !is_told(ctx, user, number)) => {
            ctx.touch(&namespace, &user.spec.cluster);
            let since = user.metadata.deletion_timestamp.as_ref().map(|since| now.duration_since(since.0));
            let long = since.is_some_and(|since| since > LONG);
            return Ok(Action::requeue(if long { FAILED } else { UNTOLD }));
        }
        Ok(_) => {}
        Err(unissued) => {
            let (told, again) = told(unissued);
            report::tell(ctx, user, &facts.grant, &told).await?;
            return Ok(Action::requeue(again));
        }
    }
    ctx.touch(&namespace, &user.spec.cluster);
    apply::let_go(ctx, user).await?;
    report::tell_farewell(ctx, user, all.len());
    Ok(Action::await_change())
}

/// Whether every member of the user's cluster was told this list of revoked certificates, or a later one.
fn is_told(ctx: &Context, user: &EtcdUser, number: i64) -> bool {
    let caches = &ctx.clusters.caches;
    let cluster = caches.clusters.get(&user.namespace().unwrap_or_default(), &user.spec.cluster);
    let facts = cluster.map(|cluster| caches.facts(&cluster));
    facts.is_none_or(|facts| facts.told_revoked().is_some_and(|told| told >= number))
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
    let users = cluster.as_ref().and_then(|cluster| ctx.clusters.caches.people.of(cluster));
    let wanted = users.map(|users| ToldAuth { enabled: true, users: auth::text(users) });
    let facts = Facts::of(&now, cluster.as_deref(), others, wanted.as_ref());
    Some((now, facts))
}

/// Whether another installation acts on the cluster, and so on its users.
fn is_anothers(ctx: &Context, user: &EtcdUser) -> bool {
    let clusters = &ctx.clusters.caches.clusters;
    let cluster = clusters.get(&user.namespace().unwrap_or_default(), &user.spec.cluster);
    let acts = cluster.and_then(|cluster| cluster.status.as_ref()?.operator.clone());
    acts.is_some_and(|acts| ctx.clusters.installations.mine.as_ref() != Some(&acts))
}

async fn issue(ctx: &Context, user: Arc<EtcdUser>, order: Order) -> (Arc<EtcdUser>, Told, Duration) {
    match apply::issue(ctx, &user, &order).await {
        Ok(Issued { serial, not_after, generation, user }) => {
            ctx.is_there(&user.uid().unwrap_or_default(), Instant::now());
            // The status that says so comes back, and then it is known when the next one is due.
            (Arc::new(user), Told::Issued { order, serial, not_after, generation }, REFUSED)
        }
        Err(unissued) => and(user, told(unissued)),
    }
}

/// Revokes what another certificate has taken the place of.
async fn revoke(
    ctx: &Context,
    user: Arc<EtcdUser>,
    order: &Order,
    outdated: Vec<IssuedCertificate>,
) -> (Arc<EtcdUser>, Told, Duration) {
    match apply::revoke(ctx, &user, Some(&order.cluster.life), &outdated, Timestamp::now()).await {
        Ok(_) => {
            ctx.touch(&user.namespace().unwrap_or_default(), &user.spec.cluster);
            (user, Told::Revoked(outdated), REFUSED)
        }
        Err(unissued) => and(user, told(unissued)),
    }
}

fn and(user: Arc<EtcdUser>, (told, again): (Told, Duration)) -> (Arc<EtcdUser>, Told, Duration) {
    (user, told, again)
}

/// Sees, now and then, whether the Secret of a certificate that is good is still there.
async fn look(ctx: &Context, user: Arc<EtcdUser>, order: Order, rest: Duration) -> (Arc<EtcdUser>, Told, Duration) {
    let (uid, now) = (user.uid().unwrap_or_default(), Instant::now());
    let again = ctx.asks_in(&uid, now);
    if !again.is_zero() {
        return (user, Told::Good, rest.min(again));
    }
    match apply::is_there(ctx, &user, &order.secret).await {
        Ok(true) => {
            ctx.is_there(&uid, now);
            (user, Told::Good, rest.min(ctx.asks_in(&uid, now)))
        }
        Ok(false) => issue(ctx, user, order).await,
        Err(unissued) => and(user, told(unissued)),
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
