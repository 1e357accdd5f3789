//! Trials are made and go by what was decided.

use etcd_operator_shared::names;
use futures::future::join_all;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::ResourceExt;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::{
    apiserver::{Cause, Failed, gone},
    cluster::{
        build::{Blueprint, trial},
        context::Context,
        facts::{
            Facts,
            rehearsal::{Answer, Rehearsal},
            shape,
            trial::{Place, Trial},
        },
    },
};

/// Makes trials of the newest template at these places. One that is there already is as good, and one that may not be
/// made holds nothing back.
pub async fn begin(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, places: &[Place]) -> Vec<Failed> {
    let (name, namespace) = (names::stateful_set(&plan.name()), plan.cluster.namespace().unwrap_or_default());
    let set = match ctx.api.get::<StatefulSet>(&namespace, &name).await {
        Ok(set) => set.filter(|set| plan.owner().owns(set)),
        Err(failed) => return vec![failed],
    };
    let one = async |place: &Place| {
        let node = |ordinal: u32| facts.slot(ordinal).pod.and_then(|pod| pod.node).unwrap_or_default();
        let beside = match place {
            Place::Anywhere => None,
            Place::Beside(ordinal) => Some((*ordinal, node(*ordinal))),
        };
        let beside = beside.as_ref().map(|(ordinal, node)| (*ordinal, node.as_str()));
        match set.as_ref().and_then(|set| trial::pod(plan.cluster, set, beside)) {
            Some(pod) => make(ctx, plan, &pod).await,
            None => Ok(()),
        }
    };
    join_all(places.iter().map(one)).await.into_iter().filter_map(Result::err).collect()
}

async fn make(ctx: &Context, plan: &Blueprint<'_>, pod: &Pod) -> Result<(), Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    match ctx.api.create::<Pod>(pod).await {
        Ok(_) => info!(%namespace, pod = pod.name_any(), "the new template is tried"),
        Err(Failed { cause: Cause::Exists, .. }) => {}
        Err(Failed { cause: Cause::Refused(words), .. }) => {
            debug!(%namespace, words, "no trial can be held");
            let shape = shape::written(&pod.metadata).unwrap_or_default().to_owned();
            let unclear = Rehearsal { shape, answer: Answer::Unclear };
            ctx.rehearsals.answered(&plan.cluster.uid().unwrap_or_default(), &unclear, Instant::now());
        }
        Err(failed) => return Err(failed),
    }
    Ok(())
}

pub async fn end(ctx: &Context, plan: &Blueprint<'_>, trials: &[Trial]) -> Vec<Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let one = async |trial: &Trial| gone(ctx.api.delete::<Pod>(&namespace, &trial.name, &trial.uid).await);
    join_all(trials.iter().map(one)).await.into_iter().filter_map(Result::err).collect()
}
