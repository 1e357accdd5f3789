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
            rehearsal::{Answer, Rehearsal},
            shape,
            trial::Trial,
        },
    },
};

/// Makes a trial of the newest template. One that is there already is as good, and one that may not be made holds nothing back.
pub async fn begin(ctx: &Context, plan: &Blueprint<'_>) -> Vec<Failed> {
    let (name, namespace) = (names::stateful_set(&plan.name()), plan.cluster.namespace().unwrap_or_default());
    let set = match ctx.api.get::<StatefulSet>(&namespace, &name).await {
        Ok(set) => set.filter(|set| plan.owner().owns(set)),
        Err(failed) => return vec![failed],
    };
    let Some(pod) = set.as_ref().and_then(|set| trial::pod(plan.cluster, set)) else { return vec![] };
    match ctx.api.create::<Pod>(&pod).await {
        Ok(_) => info!(%namespace, pod = pod.name_any(), "the new template is tried"),
        Err(Failed { cause: Cause::Exists, .. }) => {}
        Err(Failed { cause: Cause::Refused(words), .. }) => {
            debug!(%namespace, words, "no trial can be held");
            let shape = shape::written(&pod.metadata).unwrap_or_default().to_owned();
            let unclear = Rehearsal { shape, answer: Answer::Unclear };
            ctx.rehearsals.answered(&plan.cluster.uid().unwrap_or_default(), &unclear, Instant::now());
        }
        Err(failed) => return vec![failed],
    }
    vec![]
}

pub async fn end(ctx: &Context, plan: &Blueprint<'_>, trials: &[Trial]) -> Vec<Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let one = async |trial: &Trial| gone(ctx.api.delete::<Pod>(&namespace, &trial.name, &trial.uid).await);
    join_all(trials.iter().map(one)).await.into_iter().filter_map(Result::err).collect()
}
