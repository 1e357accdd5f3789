//! Tells how it went: status where it changed, events for what a person would want to have seen, metrics.

pub mod news;
pub mod status;

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::{EtcdCluster, EtcdClusterStatus};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use rand::RngExt;
use tokio::time::Instant;

use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::{
        context::Context,
        decide::{refusal::Refusal, step::Step},
        outcome::{Outcome, Seen, Unfinished},
    },
    print,
};
use news::overdue::{self, Due};
use status::Input;

/// How often a cluster is looked at although nothing happened.
const RESYNC: Duration = Duration::from_secs(300);
/// The first look at a cluster that waits for something that no watch shows.
const WAITING_POLL: Duration = Duration::from_secs(5);
const LEAVING_POLL: Duration = Duration::from_secs(2);
/// No two clusters in step.
const SPREAD: std::ops::Range<f64> = 0.8..1.2;

/// What came of telling.
#[derive(Debug)]
pub struct Told {
    pub failed: Option<Failed>,
    /// After this time there is something to warn of.
    pub overdue: Option<Duration>,
}

/// When to look again: at the latest after `rest`, and sooner where something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    pub soon: Option<Duration>,
    rest: Duration,
}

/// Writes the status, if it says anything new, and warns of what has lasted for long.
pub async fn tell(ctx: &Context, outcome: &Outcome) -> Told {
    let Outcome { seen: Seen { cluster, facts }, decision, failed: _, denials } = outcome;
    let (uid, now) = (cluster.uid().unwrap_or_default(), Instant::now());
    let input = Input { cluster, facts, decision, denials, lacking: Duration::ZERO };
    let lacking = ctx.timers.lacking(&uid, status::lacks(input), now);
    let status = status::of(Input { lacking, ..input }, Timestamp::now());
    let unready = ctx.timers.unready(&uid, overdue::reason(&status), now);
    let overdue = match overdue::due(&status, unready) {
        Due::Never => status::patience(input, lacking),
        Due::In(rest) => Some(status::patience(input, lacking).map_or(rest, |other| rest.min(other))),
        Due::Now(note) => {
            if ctx.timers.warns(&uid, &note.reason) {
                ctx.events.note(&**cluster, note);
            }
            status::patience(input, lacking)
        }
    };
    Told { failed: write(ctx, cluster, status).await.err(), overdue }
}

async fn write(ctx: &Context, cluster: &Arc<EtcdCluster>, status: EtcdClusterStatus) -> Result<(), Failed> {
    if cluster.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let notes = Note::news(cluster, &status);
    let changed = EtcdCluster { status: Some(status), ..EtcdCluster::clone(cluster) };
    match ctx.api.replace_status(&changed).await {
        Ok(written) => {
            ctx.caches.wrote(Arc::new(written));
            notes.into_iter().for_each(|note| ctx.events.note(&**cluster, note));
            Ok(())
        }
        // Deleted meanwhile.
        Err(Failed { cause: Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// When to look again. Watches tell of nearly everything, so this is seldom, and at random. What waits is looked at
/// sooner, whatever the watches say, and the less often the longer it waits for the same.
#[must_use]
pub fn next(ctx: &Context, outcome: &Outcome, overdue: Option<Duration>) -> Next {
    let spread = rand::rng().random_range(SPREAD);
    let rest = match waits_for(outcome) {
        Some((what, first)) => {
            let uid = outcome.seen.cluster.uid().unwrap_or_default();
            ctx.timers.rest(&uid, print::of(&what), first, spread, Instant::now())
        }
        None => RESYNC.mul_f64(spread),
    };
    Next { soon: [outcome.decision.again, overdue].into_iter().flatten().min(), rest }
}

impl Next {
    #[must_use]
    pub fn action(self) -> Action {
        Action::requeue(self.soon.map_or(self.rest, |soon| soon.min(self.rest)))
    }
}

/// What is waited for that no watch shows, and how soon to look the first time.
fn waits_for(outcome: &Outcome) -> Option<(String, Duration)> {
    match (&outcome.decision.refusal, &outcome.decision.step) {
        (Some(refusal @ (Refusal::VolumeLeaving(_) | Refusal::ForeignObject(_))), _) => {
            Some((refusal.to_string(), LEAVING_POLL))
        }
        (_, Step::Wait(waiting)) => Some((waiting.message.clone(), WAITING_POLL)),
        (
            Some(
                refusal @ (Refusal::StorageClassNotFound(_)
                | Refusal::NoDefaultStorageClass
                | Refusal::StaleVolume { .. }
                | Refusal::StatusLost(_)
                | Refusal::OtherOperator(_)
                | Refusal::NotAdoptable(_)
                | Refusal::Unvouched(_)
                | Refusal::RestoreFailed { .. }
                | Refusal::OldKinds),
            ),
            _,
        ) => Some((refusal.to_string(), WAITING_POLL)),
        // No watch shows a pod that has lost its label.
        _ if outcome.seen.facts.lacks_a_pod() => Some(("a pod is missing".to_owned(), WAITING_POLL)),
        (
            Some(
                Refusal::InvalidSpec(_)
                | Refusal::NoSuchIncarnation { .. }
                | Refusal::UnknownEnd { .. }
                | Refusal::TemplateRefused(_)
                | Refusal::RehearsalFailed { .. }
                | Refusal::OptionsRefused { .. }
                | Refusal::HoldRefused(_)
                | Refusal::MoveRefused(_)
                | Refusal::SpaceExhausted(_)
                | Refusal::VersionRefused(_)
                | Refusal::SecurityFixed { .. },
            )
            | None,
            Step::Look(_)
            | Step::Begin(_)
            | Step::MakeMembers
            | Step::SetReplicas(_)
            | Step::Replace(_)
            | Step::Swap(_)
            | Step::Turn(_)
            | Step::Move(_)
            | Step::Refresh(_)
            | Step::Try(_)
            | Step::End(_)
            | Step::Nothing,
        ) => None,
    }
}

/// Counts one reconciliation.
pub async fn measured<F>(ctx: Arc<Context>, reconciling: F) -> Result<Action, Unfinished>
where
    F: Future<Output = Result<Action, Unfinished>>,
{
    let begun = Instant::now();
    let result = reconciling.await;
    ctx.metrics.reconciled(begun.elapsed(), result.is_err());
    result
}
