//! Reconciliation as a sentence: fetch, decide, build, apply, report.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Incarnation, member::Peer},
    validate::{self, Wanted},
};
use kube::{ResourceExt, runtime::controller::Action};
use tracing::{debug, info, warn};

use crate::{
    apiserver::{Cause, Failed},
    apply,
    build::Blueprint,
    context::Context,
    decide::{self, Step, decide},
    facts::Facts,
    fetch,
    found::{self, Founded},
    peers::{self, Publish},
    refusal::Refusal,
    report,
};

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The newest object that is known.
    pub cluster: Arc<EtcdCluster>,
    pub facts: Facts,
    /// Number of members; 0 before the cluster is founded.
    pub members: u32,
    pub step: Step,
    pub refusal: Option<Refusal>,
    /// Look again after this time.
    pub again: Option<Duration>,
}

/// One cluster, once.
pub async fn reconcile(cluster: Arc<EtcdCluster>, ctx: Arc<Context>) -> Result<Action, Failed> {
    if !ctx.stores.filled().await {
        return Err(Failed { attempt: "fill the caches".into(), cause: Cause::Timeout });
    }
    let Some(cluster) = ctx.stores.current(&cluster).filter(|c| c.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let facts = ctx.stores.facts(&cluster);
    let outcome = advance(&ctx, cluster, facts).await?;
    report::report(&ctx, &outcome).await?;
    ctx.failures.clear(&outcome.cluster);
    Ok(report::next(&outcome))
}

/// Takes one cluster as far as it goes now.
async fn advance(ctx: &Context, cluster: Arc<EtcdCluster>, mut facts: Facts) -> Result<Outcome, Failed> {
    let wanted = match validate::cluster(&cluster) {
        Ok(wanted) => wanted,
        Err(invalid) => return Ok(Outcome::refused(cluster, facts, invalid.into())),
    };
    let (cluster, life) = match found::found(ctx, &cluster, &wanted, &mut facts).await? {
        Founded::Yes(cluster, life) => (cluster, life),
        Founded::NotWanted => return Ok(Outcome::idle(cluster, facts)),
        Founded::Refused(refusal) => return Ok(Outcome::refused(cluster, facts, refusal)),
    };
    let (step, facts) = confirmed(ctx, &cluster, &wanted, &life, facts).await?;
    let plan = Blueprint {
        cluster: &cluster,
        wanted: &wanted,
        life: &life,
        agent_image: &ctx.agent_image,
        server: ctx.api.version(),
        members: decide::members(&life),
        storage: facts.set.as_ref().map(|set| set.storage.clone()),
    };
    let again = converge(ctx, &plan, &facts, &step).await?;
    let refusal = decide::objection(&wanted, &life, &facts, &cluster.spec.storage.size);
    Ok(Outcome { members: plan.members, cluster, facts, step, refusal, again })
}

/// The step, decided again on live reads where it could not be taken back: lowering replicas, deleting pods.
async fn confirmed(
    ctx: &Context,
    cluster: &EtcdCluster,
    wanted: &Wanted,
    life: &Incarnation,
    facts: Facts,
) -> Result<(Step, Facts), Failed> {
    let step = decide(wanted, life, &facts);
    let lowers = |n: u32| facts.set.as_ref().is_some_and(|set| n < set.replicas);
    let destructive = match &step {
        Step::SetReplicas(n) => lowers(*n),
        Step::Replace(_) => true,
        Step::Wait(_) | Step::Nothing => false,
    };
    if !destructive {
        return Ok((step, facts));
    }
    let facts = fetch::live(&ctx.api, cluster).await?;
    Ok((decide(wanted, life, &facts), facts))
}

/// Applies what was built and takes the step. Members first: they must know before their pods do.
async fn converge(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, step: &Step) -> Result<Option<Duration>, Failed> {
    let (peers, again) = peers(ctx, plan, facts);
    apply::members(ctx, plan, facts, &peers).await?;
    apply::objects(ctx, plan).await?;
    let set = facts.set.as_ref();
    let replicas = match (step, set) {
        (Step::SetReplicas(n), _) => *n,
        (Step::Replace(_) | Step::Wait(_) | Step::Nothing, Some(set)) => set.replicas,
        (Step::Replace(_) | Step::Wait(_) | Step::Nothing, None) => return Ok(again),
    };
    let lowered = set.filter(|set| replicas < set.replicas);
    apply::stateful_set(ctx, plan, replicas, lowered.and_then(|set| set.resource_version.clone())).await?;
    match step {
        Step::SetReplicas(n) => info!(cluster = plan.name(), replicas = n, "StatefulSet applied"),
        Step::Replace(victims) => apply::replace(ctx, plan, victims).await?,
        Step::Wait(_) | Step::Nothing => {}
    }
    apply::retention(ctx, plan).await?;
    Ok(again)
}

/// The addresses that members should know, and when to look again.
fn peers(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts) -> (Vec<Peer>, Option<Duration>) {
    let (known, addresses, uid) = (facts.published(), facts.addresses(), plan.uid());
    let waited = if known.is_empty() && !addresses.is_empty() { ctx.forming.waited(&uid) } else { Duration::ZERO };
    match peers::publish(&plan.name(), &known, &addresses, plan.members, waited) {
        Publish::Wait(rest) => (known, Some(rest)),
        Publish::List(list) => {
            if !list.is_empty() {
                ctx.forming.done(&uid);
            }
            (list, None)
        }
    }
}

impl Outcome {
    /// Nothing of the spec is done; what runs is left as it is.
    fn refused(cluster: Arc<EtcdCluster>, facts: Facts, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::idle(cluster, facts) }
    }

    fn idle(cluster: Arc<EtcdCluster>, facts: Facts) -> Self {
        let members = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref()).map_or(0, decide::members);
        Self { cluster, facts, members, step: Step::Nothing, refusal: None, again: None }
    }
}

/// Looks again after a failure. A conflict means that somebody was faster: the cache will know in a moment.
pub fn after_failure(cluster: &EtcdCluster, failed: &Failed, ctx: &Context) -> Action {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let wait = match failed.cause {
        Cause::Conflict => Duration::from_millis(200),
        Cause::Exists => Duration::from_secs(1),
        Cause::Missing | Cause::Timeout | Cause::Refused(_) | Cause::Broken(_) => ctx.failures.wait(cluster),
    };
    if matches!(failed.cause, Cause::Conflict) {
        debug!(%namespace, %name, %failed, "somebody was faster");
    } else {
        warn!(%namespace, %name, %failed, again_in = ?wait, "reconciliation failed");
    }
    Action::requeue(wait)
}
