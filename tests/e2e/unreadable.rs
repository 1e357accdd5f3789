//! Promise: an object that the coordinator cannot read is named, by its field, on itself or on its cluster; nobody else notices, also
//! not when the coordinator is started anew. Mended, it is looked after.
//!
//! Today's kinds refuse numbers that fit no type, so the kinds of before are put back for a while.

use crate::harness::demo::{spec, spec_with};
use crate::harness::stage::{agent_image, apply_kinds};
use crate::harness::{Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

#[test]
fn an_object_that_cannot_be_read_is_named_and_stops_nobody() {
    play("unreadable", Manner::Alone, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let outcome = async {
            widen_kinds(stage).await?;
            a_cluster(stage, &demo).await?;
            a_member(stage, &demo).await
        }
        .await;
        // Whatever happened: nobody else finds a thing that cannot be read.
        let gone = stage.kubectl.run(&["-n", &stage.namespace, "delete", "etcdc/poison", "--ignore-not-found"]).await;
        apply_kinds(&stage.kubectl).await?;
        outcome.and(gone.map(drop))
    });
}

async fn a_cluster(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let spread = json!([{"maxSkew": 3_000_000_000_i64, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]);
    let poison = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster", "metadata": {"name": "poison"},
        "spec": spec_with(0, json!({"pod": {"topologySpreadConstraints": spread}})),
    });
    stage.kubectl.feed(&["-n", &stage.namespace, "create", "-f", "-"], &poison.to_string()).await?;
    stage.stop_coordinator().await?;
    stage.start_coordinator(&agent_image())?;

    let sentence = until("the cluster that cannot be read says so", PATIENCE, async || {
        let stalled = condition(stage, "Stalled").await?;
        ensure!(stalled["status"] == "True" && stalled["reason"] == "Unreadable", "Stalled is {stalled}");
        Ok(stalled["message"].as_str().unwrap_or_default().to_owned())
    })
    .await?;
    stage.say(&sentence);
    ensure!(sentence.contains("topologySpreadConstraints[0].maxSkew") && sentence.contains("3000000000"), "{sentence}");
    until("an event names the field", PATIENCE, async || {
        let events = stage.api::<Event>().list(&ListParams::default()).await?;
        let told = events.iter().any(|event| {
            let about = event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some("poison");
            about
                && event.type_.as_deref() == Some("Warning")
                && event.note.as_deref().unwrap_or("").contains("maxSkew")
        });
        ensure!(told, "no event does");
        Ok(())
    })
    .await?;

    demo.patch_spec(json!({"service": {"annotations": {"mine": "1"}}})).await?;
    until("the other cluster is looked after", PATIENCE, async || {
        let service = stage.api::<Service>().get("demo-client").await?;
        ensure!(service.annotations().get("mine").is_some(), "its Service has no annotation");
        Ok(())
    })
    .await?;

    let mended = json!({"spec": {"pod": {"topologySpreadConstraints": null}}}).to_string();
    stage.kubectl.run(&["-n", &stage.namespace, "patch", "etcdc/poison", "--type=merge", "-p", &mended]).await?;
    until("the mended cluster is looked after", PATIENCE, async || {
        let (ready, stalled) = (condition(stage, "Ready").await?, condition(stage, "Stalled").await?);
        ensure!(stalled["status"] == "False" && ready["reason"] == "Stopped", "Ready is {ready}, Stalled is {stalled}");
        Ok(())
    })
    .await
}

async fn a_member(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    restarts(stage, 3_000_000_000).await?;
    let sentence = until("the member that cannot be read is named", PATIENCE, async || {
        let ready = demo.condition("Ready").await?;
        ensure!(ready.reason == "MemberUnreadable", "Ready is {}: {} {}", ready.status, ready.reason, ready.message);
        Ok(ready.message)
    })
    .await?;
    stage.say(&sentence);
    ensure!(sentence.contains("demo-0") && sentence.contains("status.restarts"), "{sentence}");
    restarts(stage, 0).await?;
    demo.ready().await
}

async fn restarts(stage: &Stage, restarts: i64) -> Result<()> {
    let patch = json!({"status": {"restarts": restarts}}).to_string();
    let member =
        ["-n", &stage.namespace, "patch", "etcdm/demo-0", "--subresource=status", "--type=merge", "-p", &patch];
    stage.kubectl.run(&member).await.map(drop)
}

/// A condition of the cluster that cannot be read; null while it has none.
async fn condition(stage: &Stage, kind: &str) -> Result<Value> {
    let object = stage.kubectl.run(&["-n", &stage.namespace, "get", "etcdc/poison", "-o", "json"]).await?;
    let object: Value = serde_json::from_str(&object)?;
    let conditions = object["status"]["conditions"].as_array();
    Ok(conditions.and_then(|all| all.iter().find(|one| one["type"] == kind)).cloned().unwrap_or_default())
}

/// The kinds of before integers were bounded.
async fn widen_kinds(stage: &Stage) -> Result<()> {
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    let skew = "spec/properties/pod/properties/topologySpreadConstraints/items/properties/maxSkew";
    for (kind, field) in [("etcdclusters", skew), ("etcdmembers", "status/properties/restarts")] {
        let bounds =
            ["minimum", "maximum"].map(|bound| json!({"op": "remove", "path": format!("{schema}/{field}/{bound}")}));
        let patch = json!(bounds).to_string();
        stage.kubectl.run(&["patch", &format!("crd/{kind}.etcd.etcd.io"), "--type=json", "-p", &patch]).await?;
    }
    Ok(())
}
