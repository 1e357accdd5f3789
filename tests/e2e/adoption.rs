//! Promise: a cluster that was deleted, or left as an orphan, goes on with its data, cluster ID and members where a person wants it, and only
//! there.

use crate::harness::demo::spec_with;
use crate::harness::{Demo, Manner, PATIENCE, Stage, etcd, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use kube::ResourceExt;
use serde_json::{Value, json};

/// Each member's name and ID.
type Ids = Vec<(String, String)>;

#[test]
fn the_data_of_a_deleted_cluster_goes_on_where_it_is_adopted_also_with_a_disk_lost() {
    play("adopted_volumes", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", keeping(false)).await?;
        demo.etcd(0).await?.put("former", "life").await?;
        let before = identity(&demo).await?;
        noted(stage, &demo).await?;
        demo.delete().await?;

        // Nothing is taken without a word, and the word is told.
        let again = Demo::create(stage, "demo", keeping(false)).await?;
        let sentence = again.says("Stalled", "True", "StaleVolume").await?;
        stage.say(&sentence);
        ensure!(sentence.contains("spec.storage.adopt"), "it does not say how: {sentence}");
        again.patch_spec(json!({"storage": {"adopt": true}})).await?;
        again.ready().await?;
        ensure!(identity(&again).await? == before, "it was {before:?} and is {:?}", identity(&again).await?);
        ensure!(again.etcd(2).await?.get("former").await?.as_deref() == Some("life"), "the data is not there");
        again.etcd(1).await?.put("second", "life").await?;
        noted(stage, &again).await?;
        again.delete().await?;

        // A disk is lost while there is no cluster: the heir of the heir replaces that member, and grows at once.
        again.delete_claim(1).await?;
        let heir = Demo::create(stage, "demo", spec_with(5, json!({"storage": {"adopt": true}}))).await?;
        heir.ready().await?;
        ensure!(heir.all_vote().await? == before.0, "it is another cluster");
        let kept = heir.etcd(1).await?;
        for key in ["former", "second"] {
            ensure!(kept.get(key).await?.as_deref() == Some("life"), "{key} is lost");
        }
        let now = identity(&heir).await?.1;
        let same = |ordinal: usize| now.contains(&before.1[ordinal]);
        ensure!(same(0) && same(2) && !same(1), "the members were {:?} and are {now:?}", before.1);
        Ok(())
    });
}

#[test]
fn pods_that_were_left_as_orphans_serve_on_and_are_adopted_without_a_restart() {
    play("adopted_orphans", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", keeping(false)).await?;
        demo.etcd(0).await?.put("former", "life").await?;
        let before = (identity(&demo).await?, uids(&demo).await?);
        noted(stage, &demo).await?;
        let orphan = ["-n", &stage.namespace, "delete", "etcdc/demo", "--cascade=orphan"];
        stage.kubectl.run(&orphan).await?;
        until("the EtcdCluster is gone", PATIENCE, async || {
            ensure!(stage.api::<EtcdCluster>().get_opt("demo").await?.is_none(), "it is there");
            Ok(())
        })
        .await?;

        let again = Demo::create(stage, "demo", keeping(false)).await?;
        let sentence = again.says("Stalled", "True", "ForeignObject").await?;
        stage.say(&sentence);
        ensure!(sentence.contains("spec.storage.adopt"), "it does not say how: {sentence}");
        again.patch_spec(json!({"storage": {"adopt": true}})).await?;
        again.ready().await?;
        let after = (identity(&again).await?, uids(&again).await?);
        ensure!(after == before, "it was {before:?} and is {after:?}");
        ensure!(again.restarts().await? == 0, "containers were restarted");
        ensure!(again.etcd(2).await?.get("former").await?.as_deref() == Some("life"), "the data is not there");

        // It is a cluster like any other: it scales, and all of it goes with it.
        again.patch_spec(json!({"size": 1})).await?;
        let one = Demo { size: 1, ..again };
        one.ready().await?;
        one.delete().await?;
        until("its objects are gone", PATIENCE, async || {
            let set = stage.api::<StatefulSet>().get_opt("demo").await?;
            let service = stage.api::<Service>().get_opt("demo-client").await?;
            ensure!(set.is_none() && service.is_none(), "they are there");
            Ok(())
        })
        .await
    });
}

/// Volumes outlive the cluster.
fn keeping(adopt: bool) -> Value {
    spec_with(3, json!({"storage": {"adopt": adopt, "retention": {"whenDeleted": "Retain"}}}))
}

/// Cluster ID and member IDs.
async fn identity(demo: &Demo<'_>) -> Result<(String, Ids)> {
    let (cluster, members) = demo.one_cluster().await?;
    let mut ids: Ids = members.into_iter().map(|one| (one.name, etcd::hex(one.id))).collect();
    ids.sort();
    Ok((cluster, ids))
}

async fn uids(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    Ok(demo.pods().await?.iter().map(ResourceExt::uid).collect())
}

/// Waits until each volume says of which incarnation it is.
async fn noted(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let claims = stage.api::<PersistentVolumeClaim>();
    until("each volume says of which incarnation it is", PATIENCE, async || {
        for member in demo.members() {
            let claim = claims.get(&etcd_operator_shared::names::volume_claim(&member)).await?;
            let noted = claim.annotations().get(etcd_operator_shared::names::ANNOTATION_INCARNATION);
            noted.with_context(|| format!("that of {member} does not"))?;
        }
        Ok(())
    })
    .await
}
