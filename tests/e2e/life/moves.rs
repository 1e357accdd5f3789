//! Promise: members move to volumes of another class under an application that goes on, one after the other, and keep all that was
//! written. What cannot be costs no member, and the way back is open.

use super::growth::a_class;
use crate::harness::demo::spec_with;
use crate::harness::{Client, Demo, Manner, PATIENCE, events, play, until};
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn members_move_to_another_class_one_after_the_other_and_none_for_one_that_nobody_provides() {
    play("moves", Manner::Beside, async |stage| {
        let (Some(from), Some(to)) = (a_class(stage, false).await?, a_class(stage, true).await?) else { return Ok(()) };
        let class = |name: &str| json!({"storage": {"storageClassName": name}});
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, class(&from))).await?;
        let (id, client) = (demo.all_vote().await?, Client::start(&demo).await?);
        let claims = demo.claims().await?;

        for (wish, words) in [
            (json!({"storage": {"size": "256Mi"}}), "too small for the databases"),
            (class("nowhere"), "gets no volume"),
        ] {
            demo.patch_spec(wish).await?;
            let sentence = demo.says("Stalled", "True", "MoveRefused").await?;
            stage.say(&sentence);
            ensure!(sentence.contains(words), "it says {sentence}");
            demo.patch_spec(json!({"storage": {"storageClassName": from, "size": "512Mi"}})).await?;
            demo.settles(PATIENCE).await?;
            ensure!(demo.claims().await? == claims, "a claim was made again");
        }

        client.mark("move").await?;
        let began = Instant::now();
        demo.patch_spec(class(&to)).await?;
        until("all volumes are of the other class", PATIENCE, async || {
            let classes = classes(&demo).await?;
            ensure!(classes == vec![Some(to.clone()); 3], "they are of {classes:?}");
            Ok(())
        })
        .await?;
        demo.settles(PATIENCE).await?;
        stage.say(format!("three members have moved after {:.1} s", began.elapsed().as_secs_f64()));
        ensure!(demo.get().await?.status.is_some_and(|status| status.moving.is_none()), "it says that members move");
        client.keeps_on(Duration::from_secs(1)).await?;
        let report = client.finish(&demo).await?;
        for interval in report.intervals.iter().filter(|interval| interval.name == "move") {
            stage.say(format!("longest gap while members moved: {:.0} ms", interval.gap_ms));
        }
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        let told = events::told(stage).await?;
        for words in ["1 of 3 members have moved", "all members are on"] {
            ensure!(told.iter().any(|one| one.text.contains(words)), "nobody told that {words}: {told:#?}");
        }
        Ok(())
    });
}

/// Of each claim.
async fn classes(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    let list = ListParams::default().labels(&demo.selector());
    let mut claims = demo.stage.api::<PersistentVolumeClaim>().list(&list).await?.items;
    claims.sort_by_key(ResourceExt::name_any);
    Ok(claims.into_iter().map(|claim| claim.spec.and_then(|spec| spec.storage_class_name)).collect())
}
