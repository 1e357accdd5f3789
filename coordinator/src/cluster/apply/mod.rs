//! Brings what was decided and built to the API server. What is there already, unchanged, is not sent.
//!
//! ```text
//!   members told, objects ──▶ StatefulSet ──▶ pods deleted, members cleared away          volumes owned, disowned, grown
//! ```
//! Nothing here ends at the first failure: what failed is gathered, and everything that does not rest on it is done all
//! the same. What rests on what is said by [`Trust`].

mod backups;
mod certificates;
pub mod members;
mod moves;
mod objects;
mod pods;
mod stateful_set;
mod swaps;
mod trials;
mod volumes;

use etcd_operator_shared::names;
use futures::future::join;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;

use crate::{
    apiserver::{Cause, Failed},
    cluster::{
        build::{Blueprint, ServerVersion},
        context::Context,
        decide::{
            Care, Decision, agents,
            growth::Growth,
            step::{Step, Waiting},
        },
        facts::{Facts, certificates::Known},
        outcome::Seen,
    },
    ownership::Owner,
};

pub use objects::objects;
use stateful_set::Written;

/// What later steps may rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// Somebody else has written, or an answer is missing: what was decided may be wrong by now, nothing is taken away.
    Doubtful,
    /// Something was refused, but nobody else has written: what was decided holds.
    Holds,
    /// All was written.
    Full,
}

/// What came of acting.
#[derive(Debug, Default)]
pub struct Acted {
    pub failed: Vec<Failed>,
    /// What the step waits for, where it could not be taken.
    pub waits: Option<Waiting>,
}

/// Makes and repairs all that a cluster needs, and takes the step.
pub async fn act(ctx: &Context, seen: &Seen, decision: &Decision) -> Acted {
    let Some(care) = &decision.care else { return Acted::default() };
    let plan = blueprint(ctx, seen, decision, care);
    let facts = &seen.facts;
    if decision.paused.is_some() {
        return Acted { failed: members::all(ctx, &plan, facts, care).await, waits: None };
    }
    // Members must know before their pods do.
    let (untold, (unmade, others)) = join(members::all(ctx, &plan, facts, care), objects(ctx, &plan)).await;
    let told = Trust::after(&untold);
    let before = facts.set.as_ref().filter(|set| !set.deleting).map(|set| set.replicas);
    let replicas = match &decision.step {
        // A first pod needs its account and its Service.
        Step::SetReplicas(n) if told == Trust::Full && (before.is_some() || unmade.is_empty()) => Some(*n),
        Step::SetReplicas(_)
        | Step::Look(_)
        | Step::Begin(_)
        | Step::MakeMembers
        | Step::Replace(_)
        | Step::Swap(_)
        | Step::Turn(_)
        | Step::Move(_)
        | Step::Refresh(_)
        | Step::Try(_)
        | Step::End(_)
        | Step::Wait(_)
        | Step::Nothing => before,
    };
    let mut failed: Vec<Failed> = [untold, unmade, others].into_iter().flatten().collect();
    let (mut trust, mut set) = (told, Written::Same);
    if let Some(replicas) = replicas {
        match stateful_set::stateful_set(ctx, &plan, replicas, facts).await {
            Ok(written) => set = written,
            Err(error) => {
                trust = trust.min(Trust::after(std::slice::from_ref(&error)));
                failed.push(error);
            }
        }
    }
    let mut waits = None;
    if trust >= Trust::Holds {
        let taken = take(ctx, &plan, facts, decision, care, set).await;
        failed.extend(taken.failed);
        waits = taken.waits;
    }
    failed.extend(pods::relabel(ctx, &plan, &facts.strays).await);
    failed.extend(pods::mark(ctx, &plan, facts).await);
    failed.extend(trials::end(ctx, &plan, &care.trials).await);
    failed.extend(volumes::ownership(ctx, &plan, &care.volumes).await);
    failed.extend(backups::keep(ctx, &plan, &care.backups).await);
    failed.extend(grow(ctx, &plan, &care.growth, trust).await);
    Acted { failed, waits }
}

/// Makes volumes grow. The StatefulSet is let go only when all else was written.
async fn grow(ctx: &Context, plan: &Blueprint<'_>, growth: &Growth, trust: Trust) -> Vec<Failed> {
    match growth {
        Growth::Ask(requests) => volumes::ask(ctx, plan, requests).await,
        Growth::Release(version) if trust == Trust::Full => {
            stateful_set::release(ctx, plan, version).await.err().into_iter().collect()
        }
        Growth::None | Growth::Look | Growth::Wait(_) | Growth::Release(_) => vec![],
    }
}

/// Takes away what is to go. A pod was old against the template that was read: where that has changed since, be it
/// because somebody else's was put back, nothing is known of it.
async fn take(
    ctx: &Context,
    plan: &Blueprint<'_>,
    facts: &Facts,
    decision: &Decision,
    care: &Care,
    set: Written,
) -> Acted {
    let pods::Replaced { failed: pods, waits } = match &decision.step {
        Step::Replace(deletions) if set == Written::Same => pods::replace(ctx, plan, deletions).await,
        Step::Swap(swap) if set == Written::Same => swaps::swap(ctx, plan, swap).await,
        Step::Turn(turn) if set == Written::Same => swaps::turn(ctx, plan, facts, turn).await,
        Step::Move(renewal) if set == Written::Same => moves::renew(ctx, plan, renewal).await,
        Step::Refresh(refreshes) if set == Written::Same => pods::refresh(ctx, plan, refreshes).await,
        Step::Try(places) if set == Written::Same => {
            let failed = trials::begin(ctx, plan, facts, places).await;
            pods::Replaced { failed, ..pods::Replaced::default() }
        }
        Step::Replace(_)
        | Step::Swap(_)
        | Step::Turn(_)
        | Step::Move(_)
        | Step::Refresh(_)
        | Step::Try(_)
        | Step::SetReplicas(_)
        | Step::Look(_)
        | Step::Begin(_)
        | Step::MakeMembers
        | Step::End(_)
        | Step::Wait(_)
        | Step::Nothing => pods::Replaced::default(),
    };
    let (cleared, deleted) =
        join(members::clear_away(ctx, plan, &care.departed), volumes::delete(ctx, plan, &care.volumes)).await;
    Acted { failed: [pods, cleared, deleted].into_iter().flatten().collect(), waits }
}

/// What the objects of a cluster are made from.
pub fn blueprint<'a>(ctx: &'a Context, seen: &'a Seen, decision: &Decision, care: &'a Care) -> Blueprint<'a> {
    let (name, namespace) = (seen.cluster.name_any(), seen.cluster.namespace().unwrap_or_default());
    let account = names::agent_account(&name);
    Blueprint {
        cluster: &seen.cluster,
        wanted: &care.wanted,
        incarnation: &care.incarnation,
        agent_image: agents::image(&ctx.agent_image, &seen.facts),
        pod_user: ctx.pod_user,
        server: ServerVersion(ctx.api.minor_version()),
        account: ctx.applied.uid_of::<ServiceAccount>(&namespace, &account, &Owner::of(&seen.cluster)),
        desired: &care.desired,
        voters: u32::try_from(decision.membership.electorate(&seen.facts).len()).unwrap_or(u32::MAX),
        learner: decision.membership.learns(),
        storage: seen.facts.set.as_ref().map(|set| set.storage.clone()),
        authority: match &seen.facts.authorities {
            Some(Known::Held(held)) => Some(&held.client),
            Some(Known::Missing) | None => None,
        },
    }
}

impl Trust {
    fn after(failed: &[Failed]) -> Self {
        let doubtful = |failed: &Failed| match failed.cause {
            Cause::Refused(_) | Cause::Foreign(_) => false,
            Cause::Conflict
            | Cause::Exists
            | Cause::Missing
            | Cause::Timeout
            | Cause::Unavailable(_)
            | Cause::Unreadable(_)
            | Cause::Dropped
            | Cause::Broken(_) => true,
        };
        match failed {
            [] => Self::Full,
            some if some.iter().any(doubtful) => Self::Doubtful,
            _ => Self::Holds,
        }
    }
}
