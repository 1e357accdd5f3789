//! Promise: volumes grow under an application that goes on, nothing restarts, and the next member gets a volume of the new size. Where
//! their class cannot grow it is said, and the way back is open.

use crate::harness::demo::{spec, spec_with};
use crate::harness::{Client, Demo, Manner, PATIENCE, Stage, events, play, until};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use std::time::Duration;

#[test]
fn volumes_grow_under_a_writer_and_nothing_restarts() {
    play("growth", Manner::Beside, async |stage| {
        let Some(class) = a_class(stage, true).await? else { return Ok(()) };
        let small = spec_with(3, json!({"storage": {"storageClassName": class, "size": "512Mi"}}));
        let (demo, _) = Demo::up(stage, "demo", small).await?;
        let (pods, set, id) = (uids(&demo).await?, set(&demo).await?, demo.all_vote().await?);
        let client = Client::start(&demo).await?;
        client.keeps_on(Duration::from_secs(1)).await?;

        client.mark("grow").await?;
        demo.patch_spec(json!({"storage": {"size": "1Gi"}})).await?;
        until("all volumes have 1Gi", PATIENCE, async || {
            let sizes = sizes(&demo).await?;
            ensure!(sizes == ["1Gi", "1Gi", "1Gi"], "they have {sizes:?}");
            Ok(())
        })
        .await?;
        demo.ready().await?;
        let next = self::set(&demo).await?;
        ensure!(
            next.uid() != set.uid() && asks(&next) == Some("1Gi".into()),
            "the StatefulSet asks for {:?}",
            asks(&next)
        );
        ensure!(uids(&demo).await? == pods, "pods were made again");
        ensure!(demo.restarts().await? == 0, "containers were started again");
        let refused = demo.patch_spec(json!({"storage": {"size": "512Mi"}})).await;
        ensure!(format!("{refused:?}").contains("volumes cannot shrink"), "shrinking is answered by {refused:?}");

        client.keeps_on(Duration::from_secs(1)).await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        events::warned_of_nothing(stage).await?;
        let five = demo.scale(5).await?;
        ensure!(sizes(&five).await? == ["1Gi"; 5], "a new member's volume has another size");
        Ok(())
    });
}

#[test]
fn a_class_that_cannot_grow_is_said_and_the_way_back_is_open() {
    play("no_growth", Manner::Beside, async |stage| {
        let Some(class) = a_class(stage, false).await? else { return Ok(()) };
        let small = spec_with(1, json!({"storage": {"storageClassName": class}}));
        let (demo, _) = Demo::up(stage, "demo", small).await?;
        let (pods, set) = (uids(&demo).await?, set(&demo).await?);
        demo.patch_spec(json!({"storage": {"size": "1Gi"}})).await?;
        let sentence = demo.says("Stalled", "True", "Refused").await?;
        stage.say(&sentence);
        ensure!(sentence.contains("data-demo-0") && sentence.contains("storageclass"), "it says {sentence}");
        demo.patch_spec(json!({"storage": {"size": spec(1)["storage"]["size"]}})).await?;
        demo.ready().await?;
        ensure!(uids(&demo).await? == pods && self::set(&demo).await?.uid() == set.uid(), "something was made again");
        Ok(())
    });
}

/// A class that waits for its pod's node and grows, or does not.
async fn a_class(stage: &Stage, grows: bool) -> Result<Option<String>> {
    let classes = Api::<StorageClass>::all(stage.client()).list(&ListParams::default()).await?;
    let fits = |class: &&StorageClass| {
        class.allow_volume_expansion.unwrap_or(false) == grows
            && class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
    };
    let found = classes.iter().find(fits).map(ResourceExt::name_any);
    if found.is_none() {
        stage.say(format!("skipped: no StorageClass {} grow", if grows { "can" } else { "cannot" }));
    }
    Ok(found)
}

async fn uids(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    Ok(demo.pods().await?.iter().map(ResourceExt::uid).collect())
}

async fn set(demo: &Demo<'_>) -> Result<StatefulSet> {
    Ok(demo.stage.api::<StatefulSet>().get(&demo.name).await?)
}

/// What a StatefulSet's new claims ask for.
fn asks(set: &StatefulSet) -> Option<String> {
    let claim = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?;
    Some(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?.0.clone())
}

/// What the claims' volumes have.
async fn sizes(demo: &Demo<'_>) -> Result<Vec<String>> {
    let claims =
        demo.stage.api::<PersistentVolumeClaim>().list(&ListParams::default().labels(&demo.selector())).await?;
    let size = |claim: &PersistentVolumeClaim| {
        let capacity = claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get("storage"));
        capacity.map(|size| size.0.clone()).context("a claim is bound")
    };
    claims.iter().map(size).collect()
}
