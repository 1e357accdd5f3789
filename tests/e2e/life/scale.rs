//! Promise: a cluster takes any size while applications go on, one member at a time; volumes go or stay as asked.

use crate::harness::demo::{spec, spec_with};
use crate::harness::length::either;
use crate::harness::{Client, Demo, Manner, Sampler, Stage, play};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

/// With more than two voters etcd asks nobody to wait before the next addition.
fn newest_3_5(size: u32) -> Value {
    spec_with(size, json!({"version": "v3.5.35"}))
}

#[test]
fn one_to_seven_and_back_under_load() {
    play("scale_to_seven", Manner::Beside, async |stage| {
        rounds(stage, newest_3_5(1), &[3, 5, 7, 5, 3, 1], either(1, 10)).await
    });
}

#[test]
fn one_to_three_and_back_through_a_stop_under_load() {
    play("scale_and_stop", Manner::Beside, async |stage| rounds(stage, spec(1), &[3, 1, 0, 1], either(1, 10)).await);
}

#[test]
fn the_other_minor_versions_scale_too() {
    play("scale_versions", Manner::Beside, async |stage| {
        for version in ["v3.6.16", "v3.7.3"] {
            rounds(stage, spec_with(1, json!({ "version": version })), &[3, 1], either(1, 3)).await?;
        }
        Ok(())
    });
}

/// Goes through the sizes again and again. Before a step down the highest leads, and all clients are connected to it.
async fn rounds(stage: &Stage, spec: Value, sizes: &[u32], rounds: u32) -> Result<()> {
    let (mut demo, _) = Demo::up(stage, "demo", spec).await?;
    let id = demo.all_vote().await?;
    let client = Client::start(&demo).await?;
    let sampler = Sampler::start(&demo).await?;
    for round in 0..rounds {
        for &size in sizes {
            if size < demo.size && size > 0 {
                demo.lead(demo.size - 1).await?;
                client.stay_with(&demo, demo.size - 1).await?;
            }
            client.mark(&format!("{} → {size}", demo.size)).await?;
            demo = demo.scale(size).await.with_context(|| format!("round {round}"))?;
            if size > 0 {
                demo.has_claims(size).await?;
                client.next(Duration::from_secs(30)).await?;
            }
        }
    }
    client.mark("end").await?;
    sampler.finish(&demo).await?;
    let report = client.finish(&demo).await?;
    for one in &report.intervals {
        stage.say(format!("{}: longest gap {:.0} ms (stall {:.0})", one.name, one.gap_ms, one.stall_ms));
    }
    ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
    demo.delete().await
}

#[test]
fn volumes_that_are_kept_are_used_again_under_new_ids() {
    play("scale_kept", Manner::Beside, async |stage| {
        let keep = json!({"storage": {"retention": {"whenScaled": "Retain"}}});
        let (one, _) = Demo::up(stage, "demo", spec_with(1, keep)).await?;
        let id = one.all_vote().await?;
        let client = Client::start(&one).await?;
        let mut three = one.scale(3).await?;
        for round in 0..either(1, 5) {
            let (claims, former) = (three.claims().await?, [three.id(1).await?, three.id(2).await?]);
            let one = three.scale(1).await?;
            ensure!(one.claims().await? == claims, "round {round}: claims changed: {:?}", one.claims().await?);
            three = one.scale(3).await?;
            ensure!(three.claims().await? == claims, "round {round}: the kept volumes are not used");
            let now = [three.id(1).await?, three.id(2).await?];
            ensure!(
                now.iter().all(|id| !former.contains(id)),
                "round {round}: an old ID came back: {former:x?}, {now:x?}"
            );
        }
        let report = client.finish(&three).await?;
        ensure!(report.cluster == id && three.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}
