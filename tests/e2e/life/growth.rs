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
use std::{
    ops::Range,
    time::{Duration, Instant},
};

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

/// Of the limits below: the second quota needs larger volumes, and no third one is allowed.
const KEY: usize = 1 << 20;

#[test]
fn room_grows_with_the_keys_as_far_as_it_may_and_then_a_person_is_told() {
    play("growth_by_itself", Manner::Beside, async |stage| {
        let Some(class) = a_class(stage, true).await? else { return Ok(()) };
        let storage =
            json!({"storageClassName": class, "size": "512Mi", "autoGrow": {"maxSize": "1Gi", "maxQuota": "144Mi"}});
        let fields = json!({"storage": storage, "etcd": {"quotaBackend": "96Mi"}});
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, fields)).await?;
        let (pods, id, client) = (uids(&demo).await?, demo.all_vote().await?, Client::start(&demo).await?);

        client.mark("room grows").await?;
        let began = Instant::now();
        write(&demo, 0..105).await?;
        until("the status tells what has grown", PATIENCE, async || {
            let status = demo.get().await?.status.context("it has a status")?;
            let has = (status.volume_size.as_deref(), status.quota_backend.as_deref());
            ensure!(has == (Some("576Mi"), Some("144Mi")), "it says {has:?}");
            Ok(())
        })
        .await?;
        demo.ready().await?;
        stage.say(format!(
            "105 MiB of keys beside a quota of 96 MiB: all well after {:.1} s",
            began.elapsed().as_secs_f64()
        ));
        ensure!(
            sizes(&demo).await? == ["576Mi"; 3] && asks(&set(&demo).await?) == Some("576Mi".into()),
            "volumes have not grown"
        );
        ensure!(uids(&demo).await? == pods && demo.restarts().await? == 0, "something was started again");
        is_kept(&demo, 105).await?;

        write(&demo, 105..120).await?;
        let sentence = demo.says("Stalled", "True", "SpaceExhausted").await?;
        stage.say(&sentence);
        ensure!(sentence.contains("spec.storage.autoGrow.maxQuota of 144Mi"), "it says {sentence}");
        demo.patch_spec(json!({"storage": {"autoGrow": {"maxQuota": "160Mi"}}})).await?;
        demo.says("Stalled", "False", "NotStalled").await?;
        demo.ready().await?;
        is_kept(&demo, 120).await?;
        let report = client.finish(&demo).await?;
        for interval in report.intervals.iter().filter(|interval| interval.name == "room grows") {
            stage.say(format!("longest gap while room grew: {:.0} ms", interval.gap_ms));
        }
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Writes keys, each until it is acknowledged.
async fn write(demo: &Demo<'_>, keys: Range<u32>) -> Result<()> {
    let value = "x".repeat(KEY);
    for key in keys {
        let what = format!("key {key} is acknowledged");
        until(&what, PATIENCE, async || demo.etcd(0).await?.put(&format!("kept/{key}"), &value).await.map(drop))
            .await?;
    }
    Ok(())
}

async fn is_kept(demo: &Demo<'_>, keys: u32) -> Result<()> {
    let etcd = demo.etcd(0).await?;
    for key in 0..keys {
        ensure!(etcd.get(&format!("kept/{key}")).await?.is_some(), "key {key} was acknowledged and is lost");
    }
    Ok(())
}

/// A class that waits for its pod's node and grows, or does not.
pub(super) async fn a_class(stage: &Stage, grows: bool) -> Result<Option<String>> {
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
