//! Promise: of two installations of the operator one acts on a cluster and the other steps back and says so; once the first is gone
//! for good the other takes over.

use crate::harness::coordinator::Coordinator;
use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Stage, events, holds, leftovers, play, until};
use crate::neighbours::last_agent_image;
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{CONTAINER_AGENT, LEASE, installation};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::time::Duration;

/// Two that fight write hundreds of generations meanwhile.
const BESIDE: Duration = Duration::from_secs(20);
/// A Lease that stands still is told after a minute.
const SILENCE: Duration = Duration::from_secs(150);
const REASON: &str = "OtherOperator";

#[test]
fn of_two_installations_one_acts_and_the_other_says_that_it_steps_back_until_the_first_is_gone_for_good() {
    play("two_installations", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let elsewhere = format!("{}-other", stage.namespace);
        let namespaces = Api::<Namespace>::all(stage.client());
        let (labels, annotations) = leftovers::marks();
        let made = json!({"metadata": {"name": elsewhere, "labels": labels, "annotations": annotations}});
        namespaces.create(&PostParams::default(), &serde_json::from_value(made)?).await?;
        let outcome = side_by_side(stage, &demo, &elsewhere).await;
        namespaces.delete(&elsewhere, &DeleteParams::default()).await?;
        outcome
    });
}

async fn side_by_side(stage: &Stage, demo: &Demo<'_>, elsewhere: &str) -> Result<()> {
    let (first, second) = (installation(&stage.namespace), installation(elsewhere));
    ensure!(operator(demo).await?.as_deref() == Some(&*first), "the cluster is marked for {:?}", operator(demo).await?);
    let before = State::of(stage, demo).await?;
    let other = stage.another_coordinator(elsewhere, &last_agent_image())?;
    let sentence = until("an event says that the second steps back", PATIENCE, async || {
        let told = events::told(stage).await?.into_iter().find(|one| one.reason == REASON && one.warns);
        told.map(|told| told.text).with_context(|| format!("no event {REASON}; its log:\n{}", other.log()))
    })
    .await?;
    stage.say(&sentence);
    for part in [&*first, &*second, &*format!("kubectl -n {} delete lease {LEASE}", stage.namespace)] {
        ensure!(sentence.contains(part), "it does not say {part}: {sentence}");
    }
    holds("the cluster is as the first has made it", BESIDE, async || {
        let now = State::of(stage, demo).await?;
        ensure!(now == before, "it was {before:?} and is {now:?}");
        demo.is_ready().await
    })
    .await?;

    // The first goes on undisturbed.
    demo.patch_spec(json!({"service": {"annotations": {"example.com/asked": "of the first"}}})).await?;
    until("the first obeys", PATIENCE, async || {
        let service = stage.api::<k8s_openapi::api::core::v1::Service>().get("demo-client").await?;
        service.annotations().get("example.com/asked").map(drop).context("it has not")
    })
    .await?;
    ensure!(State::of(stage, demo).await? == before, "pods or their template have changed");

    // Away is not gone: nobody takes over, and it is said.
    stage.stop_coordinator().await?;
    let sentence = until("Stalled says that the first is not heard", SILENCE, async || {
        let found = demo.condition("Stalled").await?;
        ensure!(found.reason == REASON && found.status == "True", "Stalled is {} {}", found.reason, found.message);
        Ok(found.message)
    })
    .await?;
    stage.say(&sentence);
    ensure!(State::of(stage, demo).await? == before, "the second has acted");
    taken_over(stage, demo, &other, &second).await
}

async fn taken_over(stage: &Stage, demo: &Demo<'_>, other: &Coordinator, second: &str) -> Result<()> {
    stage.api::<Lease>().delete(LEASE, &DeleteParams::default()).await?;
    until("the second takes over", PATIENCE, async || {
        let acts = operator(demo).await?;
        ensure!(acts.as_deref() == Some(second), "{acts:?} acts; the log of the second:\n{}", other.log());
        Ok(())
    })
    .await?;
    until("all pods have the agent of the second", PATIENCE, async || {
        for pod in demo.pods().await? {
            let image = agent_image_of(&pod).context("a pod has an agent")?;
            ensure!(image == last_agent_image(), "{} has {image}", pod.name_any());
        }
        demo.is_ready().await
    })
    .await?;
    demo.all_vote().await.map(drop)
}

/// Whom the cluster names as the one that acts on it.
async fn operator(demo: &Demo<'_>) -> Result<Option<String>> {
    Ok(demo.get().await?.status.and_then(|status| status.operator))
}

fn agent_image_of(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.containers.iter().find(|one| one.name == CONTAINER_AGENT)?.image.clone()
}

/// What two that fight would change.
#[derive(Debug, PartialEq, Eq)]
struct State {
    generation: Option<i64>,
    pods: Vec<Option<String>>,
    restarts: i32,
}

impl State {
    async fn of(stage: &Stage, demo: &Demo<'_>) -> Result<Self> {
        let generation = stage.api::<StatefulSet>().get("demo").await?.metadata.generation;
        let pods = demo.pods().await?.iter().map(ResourceExt::uid).collect();
        Ok(Self { generation, pods, restarts: demo.restarts().await? })
    }
}
