//! Promise: what the API server refuses, of us or of those who make pods and volumes for us, is on the object within seconds in its own words, stops nothing else of the cluster, and
//! mending it heals.

use crate::harness::demo::spec_with;
use crate::harness::{Demo, Manner, PATIENCE, Stage, events, play, until};
use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ResourceQuota, Service};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// From the edit to the sentence on the object.
const TOLD: Duration = Duration::from_secs(10);
/// From the mended spec to a cluster that is as it should be: seconds, on a busy machine.
const HEALED: Duration = Duration::from_secs(20);
/// What was refused is tried again at the latest after a minute.
const TRIED_AGAIN: Duration = Duration::from_secs(75);

#[test]
fn what_the_api_server_refuses_is_said_in_its_words_and_stops_nothing_else() {
    play("refused_later", Manner::Beside, async |stage| {
        let port = json!({"service": {"type": "NodePort", "nodePort": 80}});
        let (demo, late) = tokio::try_join!(
            Demo::create(stage, "demo", spec_with(1, port)),
            Demo::create(stage, "late", spec_with(1, json!({"pod": {"labels": {"v": "a@b:c"}}}))),
        )?;
        says(&demo, "Service demo-client", "80").await?;
        says(&late, "StatefulSet late", "a@b:c").await?;
        until("the cluster serves that lacks its node port", PATIENCE, async || serves(&demo, "1/1").await).await?;
        heals(&demo, json!({"service": {"nodePort": null}}), HEALED).await?;
        heals(&late, json!({"pod": {"labels": null}}), PATIENCE).await?;

        demo.patch_spec(json!({"pod": {"annotations": {"a b/c": "1"}}})).await?;
        says(&demo, "StatefulSet demo", "a b/c").await?;
        let three = demo.resize(3).await?;
        until("it grows all the same", PATIENCE, async || serves(&three, "3/3").await).await?;
        says(&three, "StatefulSet demo", "a b/c").await?;
        heals(&three, json!({"pod": {"annotations": null}}), PATIENCE).await?;

        let taken = node_port(stage, "demo-client").await?;
        late.patch_spec(json!({"service": {"type": "NodePort", "nodePort": taken}})).await?;
        says(&late, "Service late-client", &taken.to_string()).await?;
        heals(&late, json!({"service": {"type": "ClusterIP", "nodePort": null}}), HEALED).await?;

        let quota = quota(stage, json!({"services.nodeports": "1"})).await?;
        late.patch_spec(json!({"service": {"type": "NodePort"}})).await?;
        says(&late, "Service late-client", "exceeded quota").await?;
        stage.api::<ResourceQuota>().delete(&quota, &DeleteParams::default()).await?;
        heals(&late, json!({}), TRIED_AGAIN).await?;
        each_was_told_once(stage).await
    });
}

/// Stalled says what was refused, in the API server's words, and the cluster is not otherwise worse for it.
async fn says(demo: &Demo<'_>, what: &str, words: &str) -> Result<()> {
    let begun = Instant::now();
    let sentence = until(&format!("Stalled names {what} and {words}"), TOLD, async || {
        let stalled = demo.condition("Stalled").await?;
        let said = stalled.status == "True" && stalled.reason == "Refused";
        ensure!(said, "Stalled is {}: {} {}", stalled.status, stalled.reason, stalled.message);
        ensure!(stalled.message.contains(what) && stalled.message.contains(words), "it says {}", stalled.message);
        let ready = demo.condition("Ready").await?.message;
        ensure!(ready.contains(words), "Ready does not say it: {ready}");
        Ok(stalled.message)
    })
    .await?;
    demo.stage.say(format!("{} after {:.1} s: {sentence}", demo.name, begun.elapsed().as_secs_f64()));
    Ok(())
}

/// So many members serve, as the status says, which is of the newest spec.
async fn serves(demo: &Demo<'_>, ready: &str) -> Result<()> {
    demo.condition("Ready").await?;
    let said = demo.get().await?.status.and_then(|status| status.ready);
    ensure!(said.as_deref() == Some(ready), "{said:?} members serve");
    Ok(())
}

async fn heals(demo: &Demo<'_>, fields: Value, within: Duration) -> Result<()> {
    demo.patch_spec(fields).await?;
    let begun = Instant::now();
    until(&format!("{} has healed", demo.name), within, async || demo.is_ready().await).await?;
    demo.stage.say(format!("{} healed after {:.1} s", demo.name, begun.elapsed().as_secs_f64()));
    Ok(())
}

async fn node_port(stage: &Stage, service: &str) -> Result<i32> {
    let service = stage.api::<Service>().get(service).await?;
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    ports.iter().find_map(|port| port.node_port).context("it has a node port")
}

/// A quota that is counted: until then it refuses nothing.
async fn quota(stage: &Stage, hard: Value) -> Result<String> {
    let quota = json!({"metadata": {"name": "tight"}, "spec": {"hard": hard}});
    stage.api::<ResourceQuota>().create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    until("the quota is counted", PATIENCE, async || {
        let status = stage.api::<ResourceQuota>().get("tight").await?.status;
        ensure!(status.and_then(|status| status.used).is_some(), "it is not");
        Ok("tight".to_owned())
    })
    .await
}

/// Each refusal is one Warning, and nothing else is.
async fn each_was_told_once(stage: &Stage) -> Result<()> {
    let told = events::told(stage).await?;
    let warnings: Vec<_> = told.iter().filter(|one| one.warns).collect();
    let lines: Vec<String> =
        warnings.iter().map(|one| format!("{} {}: {}", one.cluster, one.reason, one.text)).collect();
    stage.say(format!("warnings\n{}", lines.join("\n")));
    ensure!(warnings.iter().all(|one| one.reason == "Refused"), "it was warned of something else: {lines:#?}");
    for (cluster, words) in [
        ("demo", "demo-client"),
        ("late", "a@b:c"),
        ("demo", "a b/c"),
        ("late", "allocated"),
        ("late", "exceeded quota"),
    ] {
        let count = warnings.iter().filter(|one| one.cluster == cluster && one.text.contains(words)).count();
        ensure!(count == 1, "{words} was told {count} times: {lines:#?}");
    }
    Ok(())
}

#[test]
fn pods_and_claims_that_cannot_be_made_are_named_with_the_reason_and_mending_heals() {
    play("refused_pods", Manner::Beside, async |stage| {
        let quota = quota(stage, json!({"limits.memory": "64Gi", "persistentvolumeclaims": "1"})).await?;
        let demo = Demo::create(stage, "demo", spec_with(1, json!({}))).await?;
        let sentence = demo.says("Ready", "False", "PodsRefused").await?;
        stage.say(&sentence);
        ensure!(sentence.contains("limits.memory"), "it says {sentence}");
        let hard = Patch::Merge(json!({"spec": {"hard": {"limits.memory": null}}}));
        stage.api::<ResourceQuota>().patch(&quota, &PatchParams::default(), &hard).await?;
        demo.ready().await?;

        let three = demo.resize(3).await?;
        let sentence = three.says("Ready", "False", "PodsRefused").await?;
        stage.say(&sentence);
        ensure!(sentence.contains("PVC data-demo-") && sentence.contains("exceeded quota"), "it says {sentence}");
        let told = events::told(stage).await?;
        stage.say(format!("{:?}", told.iter().filter(|one| one.warns).collect::<Vec<_>>()));
        stage.api::<ResourceQuota>().delete(&quota, &DeleteParams::default()).await?;
        three.settles(PATIENCE).await
    });
}

#[test]
fn a_class_that_nobody_provisions_is_named() {
    play("no_provisioner", Manner::Beside, async |stage| {
        let class = format!("nobody-{}", stage.namespace);
        let object = json!({"metadata": {"name": class}, "provisioner": "example.com/nobody"});
        let classes = Api::<StorageClass>::all(stage.client());
        classes.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        let demo = Demo::create(stage, "demo", spec_with(1, json!({"storage": {"storageClassName": class}}))).await;
        let said = match &demo {
            Ok(demo) => names_its_provisioner(demo).await,
            Err(error) => bail!("{error:#}"),
        };
        classes.delete(&class, &DeleteParams::default()).await?;
        stage.say(said?);
        Ok(())
    });
}

/// First the scheduler says that the volume is missing, and then the claim's events for whom it waits.
async fn names_its_provisioner(demo: &Demo<'_>) -> Result<String> {
    until("Ready names claim and provisioner", PATIENCE, async || {
        let said = demo.says("Ready", "False", "VolumePending").await?;
        ensure!(said.contains("data-demo-0") && said.contains("example.com/nobody"), "it says {said}");
        Ok(said)
    })
    .await
}
