//! Promise: a new release of the operator brings its agents into the pods that run, one member at a time, and no etcd restarts. An agent
//! that does not start gives way to the former. Pods that no API server would take are found out before a member is given up for one.

use crate::harness::demo::{spec, spec_with};
use crate::harness::stage::agent_image;
use crate::harness::{Client, Demo, Manner, PATIENCE, Part, Stage, events, holds, play, pods, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{
    ANNOTATION_AGENT_IMAGE, ANNOTATION_APPLIED, ANNOTATION_FRAME, ANNOTATION_SHAPE, CONTAINER_AGENT,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;

/// The agent under test by another name, as if it were of the next release; and one that nobody has.
const NEXT: &str = "etcd-operator/agent:next";
const MISSING: &str = "etcd-operator/agent:missing";
/// A new agent has run for so long before the next one is changed.
const APART: SignedDuration = SignedDuration::from_secs(10);
/// The longest that an application may wait on a busy machine while etcd goes on. That it does, its process shows.
const GAP_MS: f64 = 10_000.0;
/// Whatever follows from an edit has happened by then.
const AFTER: Duration = Duration::from_secs(15);

#[test]
fn agents_of_a_new_release_come_into_pods_that_run_and_no_etcd_restarts() {
    play("operator_upgrade", Manner::Beside, async |stage| {
        let Some(testbed) = stage.cluster().testbed() else {
            stage.say("skipped: the nodes' images cannot be given other names");
            return Ok(());
        };
        testbed.name_image(&whole(&agent_image()), &whole(NEXT)).await?;
        let (three, _) = Demo::up(stage, "three", spec(3)).await?;
        let (one, _) = Demo::up(stage, "one", spec(1)).await?;
        let before = (etcds(&three).await?, etcds(&one).await?);
        let clients = (Client::start(&three).await?, Client::start(&one).await?);
        let readiness = (three.watch_readiness(), one.watch_readiness());

        upgrade(stage, NEXT).await?;
        for demo in [&three, &one] {
            demo.ready().await?;
            image_is(demo, NEXT).await?;
        }
        one_at_a_time(&three).await?;
        let lapses = (readiness.0.lapses(), readiness.1.lapses());
        stage.say(format!("pods that were not Ready for a moment: {lapses:?}"));
        ensure!(
            before == (etcds(&three).await?, etcds(&one).await?),
            "an etcd was started again, or its pod is another"
        );
        for (client, demo) in [(clients.0, &three), (clients.1, &one)] {
            let report = client.finish(demo).await?;
            ensure!(report.gap_ms < GAP_MS, "an application of {} waited for {:.0} ms", demo.name, report.gap_ms);
        }
        events::warned_of_nothing(stage).await?;

        upgrade(stage, MISSING).await?;
        for demo in [&three, &one] {
            let said = demo.says("Reconciling", "True", "AgentRefused").await?;
            stage.say(&said);
            ensure!(said.contains(MISSING) && said.contains("ImagePullFailed"), "it says {said}");
            until("all have the former agent again and serve", PATIENCE, async || {
                image_is(demo, NEXT).await?;
                ensure!(demo.condition("Ready").await?.status == "True", "it is not Ready");
                Ok(())
            })
            .await?;
        }
        upgrade(stage, &agent_image()).await?;
        for demo in [&three, &one] {
            demo.ready().await?;
            image_is(demo, &agent_image()).await?;
        }
        ensure!(
            before == (etcds(&three).await?, etcds(&one).await?),
            "an etcd was started again, or its pod is another"
        );
        Ok(())
    });
}

/// An image as nodes call it.
fn whole(image: &str) -> String {
    let registry = image.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']));
    if registry { image.to_owned() } else { format!("docker.io/{image}") }
}

/// Another release of the coordinator, which names this image.
async fn upgrade(stage: &Stage, image: &str) -> Result<()> {
    stage.stop_coordinator().await?;
    stage.start_coordinator(image)?;
    until("the template names the new image", PATIENCE, async || {
        for set in stage.api::<StatefulSet>().list(&kube::api::ListParams::default()).await? {
            let template = set.spec.context("a StatefulSet has a spec")?.template;
            let [.., agent] = pods::made_of(template.metadata.as_ref(), template.spec.as_ref());
            let told = events::told(stage).await?.iter().any(|one| one.warns && one.text.contains(image));
            ensure!(told || agent.as_deref() == Some(image), "it names {agent:?}");
        }
        Ok(())
    })
    .await
}

/// The agents of all pods have this image, and of new ones too.
async fn image_is(demo: &Demo<'_>, image: &str) -> Result<()> {
    let set = demo.stage.api::<StatefulSet>().get(&demo.name).await?;
    let template = set.spec.context("a StatefulSet has a spec")?.template;
    let [.., new] = pods::made_of(template.metadata.as_ref(), template.spec.as_ref());
    ensure!(new.as_deref() == Some(image), "new pods would get {new:?}");
    for pod in demo.pods().await? {
        let [.., agent] = pods::made_of(Some(&pod.metadata), pod.spec.as_ref());
        ensure!(agent.as_deref() == Some(image), "{} has {agent:?}", pod.name_any());
    }
    Ok(())
}

/// Where etcd runs: the pods, and its processes where they can be seen.
pub async fn etcds(demo: &Demo<'_>) -> Result<Vec<(Option<String>, Option<i32>)>> {
    let mut all = vec![];
    for (ordinal, pod) in (0..demo.size).zip(demo.pods().await?) {
        let process = match demo.stage.cluster().faults() {
            Some(faults) => Some(demo.process(faults, ordinal, Part::Etcd).await?.pid()),
            None => None,
        };
        all.push((pod.uid(), process));
    }
    Ok(all)
}

fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.iter().find(|one| one.name == container)
}

/// Each agent was started when the one before had shown that it works.
async fn one_at_a_time(demo: &Demo<'_>) -> Result<()> {
    let started =
        |pod: &Pod| Some(status(pod, CONTAINER_AGENT)?.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0);
    let mut times: Vec<Timestamp> = demo.pods().await?.iter().filter_map(started).collect();
    times.sort_unstable();
    let rests: Vec<SignedDuration> = times.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
    demo.stage.say(format!("agents started {rests:?} after one another"));
    ensure!(
        rests.len() == demo.size as usize - 1 && rests.iter().all(|rest| *rest >= APART),
        "they were started {rests:?} apart"
    );
    Ok(())
}

#[test]
fn pods_of_a_release_that_wrote_no_shapes_run_on() {
    play("shapeless_pods", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let before = etcds(&demo).await?;
        stage.stop_coordinator().await?;
        let bare = json!({"metadata": {"annotations": {ANNOTATION_SHAPE: null, ANNOTATION_FRAME: null, ANNOTATION_AGENT_IMAGE: null}}});
        let (pods, patch) = (stage.api::<Pod>(), PatchParams::default());
        for pod in demo.members() {
            pods.patch(&pod, &patch, &Patch::Merge(&bare)).await?;
        }
        let template = json!({"metadata": {"annotations": {ANNOTATION_APPLIED: null}}, "spec": {"template": bare}});
        stage.api::<StatefulSet>().patch(&demo.name, &patch, &Patch::Merge(template)).await?;

        stage.start_coordinator(&agent_image())?;
        until("the pods have a shape", PATIENCE, async || {
            for pod in demo.pods().await? {
                ensure!(pod.annotations().contains_key(ANNOTATION_SHAPE), "{} has none", pod.name_any());
            }
            Ok(())
        })
        .await?;
        holds("nothing restarts", AFTER, async || {
            ensure!(etcds(&demo).await? == before, "a pod was replaced");
            Ok(())
        })
        .await?;
        demo.ready().await
    });
}

#[test]
fn a_template_that_can_be_no_pod_costs_no_member() {
    play("impossible_template", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({}))).await?;
        let before = etcds(&demo).await?;
        demo.patch_spec(json!({"pod": {"priorityClassName": "no-such-class"}})).await?;
        let said = demo.says("Stalled", "True", "TemplateRefused").await?;
        stage.say(&said);
        ensure!(said.contains("no PriorityClass with name no-such-class"), "it says {said}");
        holds("no pod is given up", AFTER, async || {
            ensure!(etcds(&demo).await? == before, "the pods are others");
            ensure!(demo.condition("Ready").await?.status == "True", "it is not Ready");
            Ok(())
        })
        .await?;
        demo.patch_spec(json!({"pod": {"priorityClassName": null}})).await?;
        demo.ready().await?;
        ensure!(etcds(&demo).await? == before, "a pod was replaced by one like it");
        a_full_quota_holds_no_roll(stage, &demo).await
    });
}

/// The dry run finds no room beside the pods that are there; each frees its own when it goes.
async fn a_full_quota_holds_no_roll(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": "3"}}});
    stage.api::<ResourceQuota>().create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    until("the quota is counted", PATIENCE, async || {
        let status = stage.api::<ResourceQuota>().get("full").await?.status;
        let used = status.and_then(|status| status.used?.get("pods").map(|pods| pods.0.clone()));
        ensure!(used.as_deref() == Some("3"), "it counts {used:?}");
        Ok(())
    })
    .await?;
    let before = etcds(demo).await?;
    demo.patch_spec(json!({"pod": {"labels": {"team": "a"}}})).await?;
    demo.ready().await?;
    let after = etcds(demo).await?;
    ensure!(after.iter().zip(&before).all(|(new, old)| new.0 != old.0), "not all pods were replaced");
    stage.api::<ResourceQuota>().delete("full", &DeleteParams::default()).await?;
    Ok(())
}
