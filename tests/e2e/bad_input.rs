//! Promise: what cannot work is refused or named in one clear sentence, and mending the object mends the cluster.

use crate::harness::demo::{spec, spec_with};
use crate::harness::{Client, Demo, Manner, PATIENCE, Stage, events, play, until};
use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

#[test]
fn what_can_never_be_right_is_refused_by_the_api_in_one_sentence() {
    play("refused", Manner::Beside, async |stage| {
        let cases = [
            (spec_with(2, json!({})), "size must be 1, 3, 5 or 7, or 0 to stop the cluster"),
            (spec_with(9, json!({})), "size must be 1, 3, 5 or 7, or 0 to stop the cluster"),
            (spec_with(3, json!({"version": "3.5"})), "version must be v3.5.x, v3.6.x or v3.7.x, such as v3.5.21"),
            (spec_with(3, json!({"version": "v2.3.8"})), "version must be v3.5.x, v3.6.x or v3.7.x, such as v3.5.21"),
            (spec_with(3, json!({"storage": {"size": "much"}})), "storage.size must be a whole number of bytes"),
            (
                spec_with(3, json!({"etcd": {"extraArgs": {"data-dir": "/tmp"}}})),
                "etcd.extraArgs may not hold a flag that the agent sets itself",
            ),
        ];
        for (spec, sentence) in cases {
            match Demo::create(stage, "demo", spec.clone()).await {
                Ok(_) => bail!("the API server took {spec}"),
                Err(error) => {
                    let said = format!("{error:#}");
                    ensure!(said.contains(sentence), "the reply to {spec} is: {said}");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_missing_storage_class_is_named_and_naming_another_mends_it() {
    play("no_class", Manner::Beside, async |stage| {
        let wrong = spec_with(1, json!({"storage": {"storageClassName": "nowhere"}}));
        mends(stage, wrong, "StorageClassNotFound", "nowhere", json!({"storage": {"storageClassName": null}})).await
    });
}

#[test]
fn an_image_that_does_not_exist_is_named_and_the_right_one_mends_it() {
    play("no_image", Manner::Beside, async |stage| {
        let wrong = spec_with(3, json!({"repository": "quay.invalid/coreos/etcd"}));
        mends(
            stage,
            wrong,
            "ImagePullFailed",
            "quay.invalid/coreos/etcd:v3.5.21",
            json!({"repository": "quay.io/coreos/etcd"}),
        )
        .await
    });
}

#[test]
fn an_option_that_etcd_refuses_is_named_and_removing_it_mends_it() {
    play("bad_option", Manner::Beside, async |stage| {
        let wrong = spec_with(3, json!({"etcd": {"extraArgs": {"bogus": "1"}}}));
        mends(stage, wrong, "MemberFailing", "bogus", json!({"etcd": {"extraArgs": {"bogus": null}}})).await
    });
}

#[test]
fn a_schedule_that_makes_no_sense_is_named_and_mending_it_mends_the_cluster() {
    play("bad_schedule", Manner::Beside, async |stage| {
        let schedules = |cron: &str, zone: &str| {
            let schedules = json!([{"name": "nightly", "cron": cron, "timeZone": zone, "suspend": true}]);
            json!({"backup": {"store": {"s3": {"bucket": "backups"}}, "schedules": schedules}})
        };
        let wrong = spec_with(1, schedules("0 25 * * *", "Europe/Berlin"));
        let demo = Demo::create(stage, "demo", wrong).await?;
        stage.say(names_it(stage, &demo, "InvalidSpec", "nightly").await?);
        demo.patch_spec(schedules("0 2 * * *", "Europe/Atlantis")).await?;
        let said = until("another mistake of the kind is named", PATIENCE, async || {
            let said = demo.says("Stalled", "True", "InvalidSpec").await?;
            ensure!(said.contains("Europe/Atlantis"), "it says {said}");
            Ok(said)
        });
        stage.say(said.await?);
        demo.patch_spec(schedules("0 2 * * *", "Europe/Berlin")).await?;
        demo.ready().await
    });
}

#[test]
fn a_changed_option_rolls_through_a_running_cluster_without_losing_a_write() {
    play("option_rolls", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let (id, pods) = (demo.all_vote().await?, uids(&demo).await?);
        let client = Client::start(&demo).await?;
        let readiness = demo.watch_readiness();
        demo.patch_spec(json!({"etcd": {"extraArgs": {"max-txn-ops": "256"}}})).await?;
        demo.ready().await?;
        let (lapses, worst) = (readiness.lapses(), readiness.worst());
        takes(&demo, 200).await?;
        demo.patch_spec(json!({"etcd": {"extraArgs": null}})).await?;
        demo.ready().await?;
        ensure!(takes(&demo, 200).await.is_err(), "the option is in force still");
        let report = client.finish(&demo).await?;
        stage.say(format!("rolled: {}", lapses.join(" ")));
        ensure!(worst <= 1, "{worst} pods were not Ready at once");
        events::warned_of_nothing(stage).await?;
        ensure!(uids(&demo).await? == pods, "a pod was replaced");
        ensure!(demo.restarts().await? == 0, "a container was restarted");
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        let told = events::told(stage).await?;
        for member in demo.members() {
            let words = format!("etcd of {member} is started once more with its new options");
            ensure!(told.iter().any(|one| one.text.starts_with(&words)), "nothing says: {words}");
        }
        Ok(())
    });
}

#[test]
fn options_that_etcd_refuses_all_the_same_give_way_to_the_last_good_ones() {
    play("options_refused", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let pods = uids(&demo).await?;
        let client = Client::start(&demo).await?;
        // A quota that holds no trial, so that nothing is found out before.
        let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": "3"}}});
        stage.api::<ResourceQuota>().create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
        until("the quota is counted", PATIENCE, async || {
            let status = stage.api::<ResourceQuota>().get("full").await?.status;
            ensure!(status.is_some_and(|status| status.used.is_some()), "not yet");
            Ok(())
        })
        .await?;
        demo.patch_spec(json!({"etcd": {"extraArgs": {"bogus": "1"}}})).await?;
        let said = demo.says("Stalled", "True", "OptionsRefused").await?;
        stage.say(&said);
        ensure!(said.contains("bogus"), "it says {said}");
        demo.serves(PATIENCE).await?;
        client.next(PATIENCE).await?;
        demo.patch_spec(json!({"etcd": {"extraArgs": {"bogus": null, "max-txn-ops": "256"}}})).await?;
        demo.ready().await?;
        takes(&demo, 200).await?;
        client.finish(&demo).await?;
        ensure!(uids(&demo).await? == pods, "a pod was replaced");
        Ok(())
    });
}

/// Fails unless every member takes a transaction of so many operations.
async fn takes(demo: &Demo<'_>, operations: usize) -> Result<()> {
    for etcd in demo.etcds().await? {
        etcd.txn(operations).await?;
    }
    Ok(())
}

#[test]
fn what_could_not_work_is_said_before_anything_that_serves_is_touched() {
    play("bad_roll", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let (id, pods) = (demo.all_vote().await?, uids(&demo).await?);
        let client = Client::start(&demo).await?;
        let readiness = demo.watch_readiness();
        let mut wrong = vec![
            (
                json!({"etcd": {"extraArgs": {"bogus": "1"}}}),
                "etcd refuses its flags: flag provided but not defined: -bogus",
            ),
            (json!({"etcd": {"extraArgs": {"max-txn-ops": "many"}}}), "invalid value"),
            (json!({"version": "v3.5.99"}), "v3.5.99"),
        ];
        if let Some(testbed) = stage.cluster().testbed() {
            testbed.name_image("quay.io/coreos/etcd:v3.5.21", "quay.io/coreos/etcd:v3.5.22").await?;
            wrong.push((json!({"version": "v3.5.22"}), "the image holds etcd v3.5.21, and v3.5.22 is wanted"));
        }
        for (wish, words) in wrong {
            demo.patch_spec(wish).await?;
            let sentence = until(&format!("the wish is refused: {words}"), PATIENCE, async || {
                let found = demo.condition("Stalled").await?;
                let named =
                    found.status == "True" && found.reason == "RehearsalFailed" && found.message.contains(words);
                ensure!(named, "Stalled is {}: {} {}", found.status, found.reason, found.message);
                Ok(found.message)
            })
            .await?;
            stage.say(format!("refused: {sentence}"));
            demo.patch_spec(json!({"version": "v3.5.21", "etcd": {"extraArgs": null}})).await?;
            demo.ready().await?;
        }
        client.next(PATIENCE).await?;
        ensure!(readiness.worst() == 0, "{} pods were not Ready at once", readiness.worst());
        ensure!(uids(&demo).await? == pods, "pods were replaced");
        until("no trial is left", PATIENCE, async || {
            let all = stage.api::<Pod>().list(&ListParams::default()).await?;
            ensure!(all.items.len() == pods.len(), "{} pods are there", all.items.len());
            Ok(())
        })
        .await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

async fn uids(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    Ok(demo.pods().await?.iter().map(ResourceExt::uid).collect())
}

/// Creates what is wrong, looks for the sentence in condition and event, mends it and waits until it is Ready.
async fn mends(stage: &Stage, wrong: Value, reason: &str, culprit: &str, mended: Value) -> Result<()> {
    let demo = Demo::create(stage, "demo", wrong).await?;
    let sentence = names_it(stage, &demo, reason, culprit).await?;
    stage.say(format!("{reason}: {sentence}"));
    demo.patch_spec(mended).await?;
    demo.ready().await?;
    demo.all_vote().await.map(drop)
}

/// The condition Ready has the reason and its sentence the culprit, and a Warning event says the same.
async fn names_it(stage: &Stage, demo: &Demo<'_>, reason: &str, culprit: &str) -> Result<String> {
    until(&format!("condition Ready and an event name {culprit}"), PATIENCE, async || {
        let found = demo.condition("Ready").await?;
        let named = found.status == "False" && found.reason == reason && found.message.contains(culprit);
        ensure!(named, "Ready is {}: {} {}", found.status, found.reason, found.message);
        let told = events::told(stage).await?;
        ensure!(told.iter().any(|one| one.warns && one.text.contains(culprit)), "no event on the EtcdCluster names it");
        Ok(found.message)
    })
    .await
}
