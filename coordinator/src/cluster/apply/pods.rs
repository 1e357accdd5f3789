//! Pods go by UID: those that serve through the PodDisruptionBudget, the others at once. One that has lost a label of
//! ours gets it back.

use std::collections::BTreeMap;

use etcd_operator_shared::names;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tracing::info;

use crate::{
    apiserver::{Cause, Failed, gone, recorder::Note},
    cluster::{
        build::Blueprint,
        context::Context,
        decide::step::{Deletion, Means, Refresh, Update, Waiting},
        facts::{
            self, Facts, Stray,
            agent::{Change, Refused},
            newest,
        },
    },
};

/// An image of agents that did not work is tried again after this time: a registry may have been away. Each try takes a member out
/// of its Service for some seconds.
const REFUSED_FOR: SignedDuration = SignedDuration::from_mins(30);

/// What came of it.
#[derive(Debug, Default)]
pub struct Replaced {
    pub failed: Vec<Failed>,
    /// Why one stays for now.
    pub waits: Option<Waiting>,
}

/// Makes pods go, so that their successors get the newest template. One that is gone is as good as deleted.
pub async fn replace(ctx: &Context, plan: &Blueprint<'_>, deletions: &[Deletion]) -> Replaced {
    let mut replaced = Replaced::default();
    for one in join_all(deletions.iter().map(|one| replace_one(ctx, plan, one))).await {
        match one {
            Ok(waits) => replaced.waits = replaced.waits.or(waits),
            Err(failed) => replaced.failed.push(failed),
        }
    }
    replaced
}

/// One of them. Gives why it stays for now.
pub async fn replace_one(ctx: &Context, plan: &Blueprint<'_>, deletion: &Deletion) -> Result<Option<Waiting>, Failed> {
    let Deletion { name, uid, why } = deletion;
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let went = match deletion.means(plan.voters) {
        Means::Deletion => ctx.api.delete::<Pod>(&namespace, name, uid).await.map(|()| true),
        Means::Eviction => ctx.api.evict(&namespace, name, uid).await,
    };
    match went {
        Ok(true) => {
            info!(%namespace, pod = name, why = why.as_str(), "pod goes to be replaced");
            ctx.events.note(plan.cluster, Note::replaced(name, *why));
            Ok(None)
        }
        Ok(false) => Ok(Some(for_budget(name))),
        Err(failed) => gone(Err(failed)).map(|()| None),
    }
}

/// What a pod waits for that its budget does not let go.
pub fn for_budget(pod: &str) -> Waiting {
    let message = format!("{pod} is next once its PodDisruptionBudget lets it go: a drain may be under way");
    Waiting::new("WaitingForBudget", message)
}

/// Gives agents another image: kubelet restarts their containers, and nothing else of the pods. What was before is written with
/// it.
pub async fn refresh(ctx: &Context, plan: &Blueprint<'_>, refreshes: &[Refresh]) -> Replaced {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let one = async |refresh: &Refresh| {
        let Refresh { name, uid, image, write, .. } = refresh;
        let notes = json!({
            names::ANNOTATION_AGENT: json!(change(refresh)).to_string(),
            names::ANNOTATION_AGENT_IMAGE: image,
        });
        let patch = json!({
            "metadata": {"uid": uid, "annotations": notes},
            "spec": {"containers": [{"name": names::CONTAINER_AGENT, "image": write}]},
        });
        let changed = ctx.api.change::<Pod>(&namespace, name, &patch).await;
        if changed.is_ok() {
            info!(%namespace, pod = name, image, why = ?refresh.why, "agent gets another image");
            ctx.events.note(plan.cluster, Note::refreshed(refresh));
        }
        gone(changed)
    };
    let failed = join_all(refreshes.iter().map(one)).await.into_iter().filter_map(Result::err).collect();
    Replaced { failed, waits: None }
}

/// What is written on the pod of an agent that gets another image.
fn change(refresh: &Refresh) -> Change {
    let Refresh { name: _, uid: _, image, write, former, written, container, why } = refresh;
    let (container, at) = (container.clone(), Timestamp::now());
    match why {
        Update::NotServing | Update::Follower | Update::LeaderLast => {
            Change { former: former.clone(), written: written.clone(), at, container, refused: None }
        }
        Update::PutBack(reason) => {
            let until = at + REFUSED_FOR;
            let refused = Refused { image: former.clone(), reason: (*reason).to_owned(), until };
            Change { former: image.clone(), written: write.clone(), at, container, refused: Some(refused) }
        }
    }
}

/// Writes on each pod that is what the template says, and that was made before such was written on pods, its shape and
/// its frame: from then on it is judged like any other.
pub async fn mark(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts) -> Vec<Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let Some(set) = &facts.set else { return vec![] };
    let one = async |(pod, notes): (&facts::Pod, BTreeMap<&'static str, String>)| {
        let note = json!({"metadata": {"uid": pod.uid, "annotations": notes}});
        gone(ctx.api.merge::<Pod>(&namespace, &pod.name, &note).await.map(drop))
    };
    let lacking = facts.pods().filter_map(|(_, pod)| Some((pod, newest::marks(pod, set)?)));
    join_all(lacking.map(one)).await.into_iter().filter_map(Result::err).collect()
}

/// Gives pods of ours their labels back. Without them no Service finds them, and the StatefulSet neither knows them nor
/// can make others of their names.
pub async fn relabel(ctx: &Context, plan: &Blueprint<'_>, strays: &[Stray]) -> Vec<Failed> {
    let one = async |stray: &Stray| {
        let Stray { name, uid, version, incarnation } = stray;
        let namespace = plan.cluster.namespace().unwrap_or_default();
        let mut labels = plan.labels();
        labels.insert(names::LABEL_INCARNATION.into(), incarnation.clone());
        let patch = json!({"metadata": {"uid": uid, "resourceVersion": version, "labels": labels}});
        match ctx.api.merge::<Pod>(&namespace, name, &patch).await {
            Ok(_) => info!(%namespace, pod = name, "pod has its labels back"),
            Err(Failed { cause: Cause::Missing, .. }) => {}
            Err(failed) => return Err(failed),
        }
        Ok(())
    };
    join_all(strays.iter().map(one)).await.into_iter().filter_map(Result::err).collect()
}
