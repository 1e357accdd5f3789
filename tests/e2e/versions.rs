//! Promise: etcd's version goes up and down, one minor version at a time, under a writer; what cannot be is refused before anything is
//! touched.

use crate::harness::demo::spec_with;
use crate::harness::{Client, Demo, Loss, Manner, PATIENCE, Stage, play, until};
use anyhow::{Result, bail, ensure};
use kube::ResourceExt;
use serde_json::json;
use std::time::Instant;

#[test]
fn a_version_that_cannot_be_reached_is_refused_with_the_next_step_and_all_else_goes_on() {
    play("version_refused", Manner::Beside, async |stage| {
        let (mut demo, _) = Demo::up(stage, "demo", spec_with(1, json!({"version": "v3.5.21"}))).await?;
        let before = uids(&demo).await?;
        for (version, next) in
            [("v3.7.3", "set it to v3.5.26 or later first, then to v3.6.11 or later"), ("v3.6.16", "v3.5.26")]
        {
            demo.patch_spec(json!({ "version": version })).await?;
            let sentence = demo.says("Stalled", "True", "VersionRefused").await?;
            ensure!(sentence.contains(version) && sentence.contains(next), "{sentence}");
            stage.say(sentence);
        }
        demo.patch_spec(json!({"size": 3})).await?;
        demo.size = 3;
        let what = "three members of the version in force serve while another one is refused";
        until(what, PATIENCE, async || {
            demo.all_vote().await?;
            runs(&demo, "v3.5.21", "3.5").await
        })
        .await?;
        ensure!(uids(&demo).await?.starts_with(&before), "a pod was replaced");
        demo.patch_spec(json!({"version": "v3.5.21"})).await?;
        demo.ready().await?;
        ensure!(demo.restarts().await? == 0, "a container was restarted");
        Ok(())
    });
}

#[test]
fn it_goes_up_to_3_7_and_down_to_3_5_again_under_a_writer_without_losing_a_write() {
    play("versions", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({"version": "v3.5.35"}))).await?;
        let (id, pods) = (demo.all_vote().await?, uids(&demo).await?);
        let client = Client::start(&demo).await?;
        let readiness = demo.watch_readiness();
        for (version, cluster) in [("v3.6.16", "3.6"), ("v3.7.3", "3.7"), ("v3.6.16", "3.6"), ("v3.5.35", "3.5")] {
            goes_to(stage, &demo, version, cluster).await?;
        }
        ensure!(readiness.worst() == 1, "{} pods were not Ready at once", readiness.worst());
        ensure!(uids(&demo).await? == pods, "a pod was replaced");
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn an_idle_cluster_comes_to_3_7_too() {
    play("versions_idle", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec_with(1, json!({"version": "v3.5.35"}))).await?;
        for (version, cluster) in [("v3.6.16", "3.6"), ("v3.7.3", "3.7")] {
            goes_to(stage, &demo, version, cluster).await?;
        }
        Ok(())
    });
}

#[test]
fn a_disk_that_is_lost_on_the_way_down_holds_it_up_and_no_more() {
    play("version_disk_lost", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({"version": "v3.6.16"}))).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        demo.patch_spec(json!({"version": "v3.5.35"})).await?;
        let first = until("a member runs v3.5.35", PATIENCE * 2, async || {
            for ordinal in 0..3 {
                if demo.etcd(ordinal).await?.said().await?.version == "3.5.35" {
                    return Ok(ordinal);
                }
            }
            bail!("all run another version")
        })
        .await?;
        demo.lose(faults, first, Loss::Claim).await?;
        stage.say(format!("{} has lost its disk", demo.member(first)));
        arrives(&demo, "v3.5.35", "3.5").await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Asks for a version and waits until all of the cluster is there.
async fn goes_to(stage: &Stage, demo: &Demo<'_>, version: &str, cluster: &str) -> Result<()> {
    let began = Instant::now();
    demo.patch_spec(json!({ "version": version })).await?;
    arrives(demo, version, cluster).await?;
    stage.say(format!("{version} after {:.1} s", began.elapsed().as_secs_f32()));
    Ok(())
}

async fn arrives(demo: &Demo<'_>, version: &str, cluster: &str) -> Result<()> {
    until(&format!("all members run {version} in a cluster of {cluster}"), PATIENCE * 2, async || {
        demo.is_ready().await?;
        runs(demo, version, cluster).await
    })
    .await
}

/// Fails unless all members run this version, and have agreed on that of the cluster.
async fn runs(demo: &Demo<'_>, version: &str, cluster: &str) -> Result<()> {
    let status = demo.get().await?.status.unwrap_or_default();
    let said = (status.version.as_deref(), status.cluster_version.as_deref(), &status.roll);
    ensure!(said == (Some(version), Some(cluster), &None), "the status says {said:?}");
    for etcd in demo.etcds().await? {
        let runs = etcd.said().await?.version;
        ensure!(format!("v{runs}") == version, "a member runs {runs}");
    }
    Ok(())
}

/// UIDs of the pods, by ordinal.
async fn uids(demo: &Demo<'_>) -> Result<Vec<String>> {
    let mut pods = demo.pods().await?;
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods.iter().filter_map(ResourceExt::uid).collect())
}
