//! Tells how it went: status where it changed, events for what a person would want to have seen, metrics.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::EtcdCluster;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use rand::RngExt;

use crate::{
    apiserver::{Cause, Failed},
    context::Context,
    decide::Step,
    events::Note,
    reconcile::Outcome,
    refusal::Refusal,
    status::{self, View},
};

/// How often a cluster is looked at although nothing happened.
const REST: Duration = Duration::from_secs(300);
/// A cluster that waits for something that no watch shows.
const GROUND: Duration = Duration::from_secs(5);
const FORMER: Duration = Duration::from_secs(2);

/// Writes the status, if it says anything new.
pub async fn report(ctx: &Context, outcome: &Outcome) -> Result<(), Failed> {
    let Outcome { cluster, facts, membership, size, step, refusal, again: _ } = outcome;
    let view = View { cluster, facts, membership, size: *size, step, refusal: refusal.as_ref() };
    let status = status::of(view, Timestamp::now());
    if cluster.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let notes = Note::news(cluster, &status);
    let changed = EtcdCluster { status: Some(status), ..EtcdCluster::clone(cluster) };
    match ctx.api.replace_status(&changed).await {
        Ok(written) => {
            ctx.stores.wrote(Arc::new(written));
            notes.into_iter().for_each(|note| ctx.events.note(cluster, note));
            Ok(())
        }
        // Deleted meanwhile.
        Err(Failed { cause: Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// When to look again. Watches tell of nearly everything, so this is seldom, and at random: no two clusters in step. What waits
/// is looked at sooner, whatever the watches say.
#[must_use]
pub fn next(outcome: &Outcome) -> Action {
    let waits = matches!(outcome.step, Step::Wait(_));
    let rest = match &outcome.refusal {
        Some(Refusal::VolumeLeaving(_) | Refusal::ForeignStatefulSet(_)) => FORMER,
        _ if waits => GROUND,
        Some(Refusal::StorageClassNotFound(_) | Refusal::NoDefaultStorageClass | Refusal::StaleVolume(_)) => GROUND,
        Some(Refusal::InvalidSpec(_) | Refusal::NoSuchIncarnation { .. } | Refusal::GrowthUnsupported { .. })
        | None => REST.mul_f64(rand::rng().random_range(0.8..1.2)),
    };
    Action::requeue(outcome.again.unwrap_or(rest))
}

/// Counts one reconciliation.
pub async fn measured<F>(ctx: Arc<Context>, reconciling: F) -> Result<Action, Failed>
where
    F: Future<Output = Result<Action, Failed>>,
{
    let begun = tokio::time::Instant::now();
    let result = reconciling.await;
    ctx.metrics.reconciled(begun.elapsed(), result.is_err());
    result
}
