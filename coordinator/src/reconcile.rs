//! Reconciliation as a sentence: fetch, decide, build, apply, report.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Incarnation},
    validate::{self, Wanted},
};
use kube::{ResourceExt, runtime::controller::Action};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::{
    aim::Aim,
    apiserver::{Cause, Failed},
    apply,
    build::Blueprint,
    context::Context,
    course::{Course, Waited},
    decide::{self, Step},
    ending,
    facts::Facts,
    fetch,
    found::{self, Founded},
    membership::Membership,
    refusal::Refusal,
    report,
};

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The newest object that is known.
    pub cluster: Arc<EtcdCluster>,
    pub facts: Facts,
    pub membership: Membership,
    /// How many members are meant to serve.
    pub size: u32,
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
    let (cluster, life, pause) = match found::found(ctx, &cluster, &wanted, &mut facts).await? {
        Founded::Yes(cluster, life) => (cluster, life, None),
        Founded::Over(life, pause) => (cluster, life, pause),
        Founded::NotWanted => return Ok(Outcome::idle(cluster, facts)),
        Founded::Refused(refusal) => return Ok(Outcome::refused(cluster, facts, refusal)),
    };
    let aim = Aim::of(&cluster, &wanted, &life);
    let (mut course, facts) = confirmed(ctx, &cluster, aim, &life, facts).await?;
    if let (Some(pause), Step::Nothing) = (pause, &course.step) {
        course.step = Step::Wait(pause);
    }
    let cluster = converge(ctx, cluster, &wanted, &life, &facts, &course).await?;
    let refusal = decide::objection(&cluster, &wanted, &life, &facts);
    let (size, again) = (course.size(), course.again);
    Ok(Outcome { cluster, facts, membership: course.membership, size, step: course.step, refusal, again })
}

/// The course, decided again on live reads where it could not be taken back: lowering replicas, deleting anything. So is one
/// that has waited for long: a cache that missed something must not hold a cluster for ever.
async fn confirmed(
    ctx: &Context,
    cluster: &EtcdCluster,
    aim: Aim,
    life: &Incarnation,
    facts: Facts,
) -> Result<(Course, Facts), Failed> {
    let uid = cluster.uid().unwrap_or_default();
    let formed = cluster.status.as_ref().is_some_and(|s| s.cluster_id.is_some());
    let decided = |facts: &Facts| {
        let forms = facts.published().is_empty() && !facts.addresses().is_empty();
        let waited = Waited {
            address: if forms { ctx.forming.waited(&uid) } else { Duration::ZERO },
            leader: if facts.serves() { ctx.leaderless.done(&uid) } else { ctx.leaderless.waited(&uid) },
        };
        let course = Course::of(aim, life, formed, facts, waited);
        if !course.word.peers.is_empty() {
            ctx.forming.done(&uid);
        }
        course
    };
    let course = decided(&facts);
    let waits = matches!(course.step, Step::Wait(_));
    if !course.is_final(&facts) && !ctx.waiting.is_long(&uid, waits, Instant::now()) {
        return Ok((course, facts));
    }
    let facts = Facts { claims: facts.claims, ..fetch::live(&ctx.api, cluster).await? };
    Ok((decided(&facts), facts))
}

/// Applies what was built and takes the step. Members first: they must know before their pods do. Gives the newest object.
async fn converge(
    ctx: &Context,
    cluster: Arc<EtcdCluster>,
    wanted: &Wanted,
    life: &Incarnation,
    facts: &Facts,
    course: &Course,
) -> Result<Arc<EtcdCluster>, Failed> {
    let plan = Blueprint {
        cluster: &cluster,
        wanted,
        life,
        agent_image: &ctx.agent_image,
        server: ctx.api.version(),
        word: &course.word,
        voters: u32::try_from(course.membership.electorate(facts).len()).unwrap_or(u32::MAX),
        learner: course.membership.learns(),
        storage: facts.set.as_ref().map(|set| set.storage.clone()),
    };
    let (members, objects) = futures::join!(apply::members(ctx, &plan, facts, course), apply::objects(ctx, &plan));
    members.and(objects)?;
    let replicas = match &course.step {
        Step::SetReplicas(n) => Some(*n),
        Step::Replace(_) | Step::End(_) | Step::Wait(_) | Step::Nothing => facts.set.as_ref().map(|set| set.replicas),
    };
    if let Some(replicas) = replicas {
        apply::stateful_set(ctx, &plan, replicas, facts).await?;
    }
    if let Step::Replace(victims) = &course.step {
        apply::replace(ctx, &plan, victims).await?;
    }
    apply::retire(ctx, &plan, &course.retired).await?;
    apply::retention(ctx, &plan).await?;
    match course.step {
        Step::End(why) => ending::end(ctx, &cluster, life, why).await,
        Step::SetReplicas(_) | Step::Replace(_) | Step::Wait(_) | Step::Nothing => Ok(cluster),
    }
}

impl Outcome {
    /// Nothing of the spec is done; what runs is left as it is.
    fn refused(cluster: Arc<EtcdCluster>, facts: Facts, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::idle(cluster, facts) }
    }

    fn idle(cluster: Arc<EtcdCluster>, facts: Facts) -> Self {
        let status = cluster.status.as_ref();
        let formed = status.is_some_and(|s| s.cluster_id.is_some());
        let life = status.and_then(|s| s.incarnation.as_ref());
        let membership = life.map(|life| Membership::of(life, formed, None, &facts)).unwrap_or_default();
        let size = match cluster.spec.size {
            0 => 0,
            size => facts.told().unwrap_or(size.max(0).unsigned_abs()),
        };
        Self { cluster, facts, membership, size, step: Step::Nothing, refusal: None, again: None }
    }
}

/// Looks again after a failure. A conflict means that somebody was faster: the cache will know in a moment.
pub fn after_failure(cluster: &EtcdCluster, failed: &Failed, ctx: &Context) -> Action {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let wait = match failed.cause {
        Cause::Conflict => Duration::from_millis(100),
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
