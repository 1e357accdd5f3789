//! A member gets another volume: its claim goes, then its pod. The claim stays until the pod is gone, and the StatefulSet makes
//! neither anew before that.

use super::{
    pods::{Replaced, for_budget, replace_one},
    swaps::may_be_away,
    volumes,
};
use crate::{
    apiserver::{Failed, gone},
    cluster::{
        build::Blueprint,
        context::Context,
        decide::step::{Renewal, Waiting},
    },
};

/// Does it, if the PodDisruptionBudget lets the pod go: once its claim is deleted there is no way back.
pub async fn renew(ctx: &Context, plan: &Blueprint<'_>, renewal: &Renewal) -> Replaced {
    match attempt(ctx, plan, renewal).await {
        Ok(waits) => Replaced { waits, ..Replaced::default() },
        Err(failed) => Replaced { failed: vec![failed], ..Replaced::default() },
    }
}

async fn attempt(ctx: &Context, plan: &Blueprint<'_>, renewal: &Renewal) -> Result<Option<Waiting>, Failed> {
    let Renewal { volume, pod } = renewal;
    let Some(pod) = pod else { return volumes::change(ctx, plan, volume).await.map(|()| None) };
    match may_be_away(ctx, plan, pod).await {
        Ok(true) => {}
        Ok(false) => return Ok(Some(for_budget(&pod.name))),
        Err(failed) => return gone(Err(failed)).map(|()| None),
    }
    volumes::change(ctx, plan, volume).await?;
    replace_one(ctx, plan, pod).await
}
