//! Tells how it went: status where it changed, events for what a person would want to have seen, metrics.

pub mod news;
pub mod status;

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::EtcdCluster;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use rand::RngExt;

use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::{
        context::Context,
        decide::{refusal::Refusal, step::Step},
        outcome::{Outcome, Seen, Unfinished},
    },
};
use status::Input;

/// How often a cluster is looked at although nothing happened.
const RESYNC: Duration = Duration::from_secs(300);
/// A cluster that waits for something that no watch shows.
const WAITING_POLL: Duration = Duration::from_secs(5);
const LEAVING_POLL: Duration = Duration::from_secs(2);

/// Writes the status, if it says anything new.
pub async fn tell(ctx: &Context, outcome: &Outcome) -> Result<(), Failed> {
    let Outcome { seen: Seen { cluster, facts }, decision, failed: _ } = outcome;
    let input = Input { cluster, facts, decision };
    let status = status::of(input, Timestamp::now());
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

/// When to look again. Watches tell of nearly everything, so this is seldom, and at random: no two clusters in step.
/// What waits is looked at sooner, whatever the watches say.
#[must_use]
pub fn next(outcome: &Outcome) -> Action {
    let waits = matches!(outcome.decision.step, Step::Wait(_));
    let rest = match &outcome.decision.refusal {
        Some(Refusal::VolumeLeaving(_) | Refusal::ForeignStatefulSet(_)) => LEAVING_POLL,
        _ if waits => WAITING_POLL,
        Some(Refusal::StorageClassNotFound(_) | Refusal::NoDefaultStorageClass | Refusal::StaleVolume(_)) => {
            WAITING_POLL
        }
        Some(Refusal::InvalidSpec(_) | Refusal::NoSuchIncarnation { .. } | Refusal::GrowthUnsupported { .. })
        | None => RESYNC.mul_f64(rand::rng().random_range(0.8..1.2)),
    };
    Action::requeue(outcome.decision.again.unwrap_or(rest))
}

/// Counts one reconciliation.
pub async fn measured<F>(ctx: Arc<Context>, reconciling: F) -> Result<Action, Unfinished>
where
    F: Future<Output = Result<Action, Unfinished>>,
{
    let begun = tokio::time::Instant::now();
    let result = reconciling.await;
    ctx.metrics.reconciled(begun.elapsed(), result.is_err());
    result
}
