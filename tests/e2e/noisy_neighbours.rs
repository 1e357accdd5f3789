//! Promise: a cluster in trouble delays no other.

use crate::harness::demo::{spec, spec_with};
use crate::harness::{Demo, Manner, PATIENCE, Part, Stage, play, until};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;

/// Creations measured each time; the shortest counts, because everything else that a machine does only adds.
const TRIES: usize = 3;

#[test]
fn clusters_in_trouble_do_not_delay_the_creation_of_another() {
    play("noisy_neighbours", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let alone = creation(stage).await?;
        let stuck =
            Demo::create(stage, "stuck", spec_with(3, json!({"pod": {"nodeSelector": {"no": "such-node"}}}))).await?;
        let (torn, _) = Demo::up(stage, "torn", spec(3)).await?;
        for ordinal in 0..2 {
            torn.process(faults, ordinal, Part::Etcd).await?.signal(Signal::SIGSTOP);
        }
        let reason = stuck.says("Ready", "False", "Unschedulable").await?;
        stage.say(format!("stuck: {reason}"));
        until("the other one has lost its quorum", PATIENCE, async || {
            let found = torn.condition("Available").await?;
            ensure!(found.status == "False", "Available is {}: {}", found.status, found.message);
            Ok(())
        })
        .await?;
        let beside = creation(stage).await?;
        stage.say(format!(
            "a cluster of one is Ready after {:.2} s alone, {:.2} s beside",
            alone.as_secs_f64(),
            beside.as_secs_f64()
        ));
        ensure!(beside < 3 * alone, "{beside:?} is more than three times {alone:?}");
        Ok(())
    });
}

async fn creation(stage: &Stage) -> Result<Duration> {
    let mut best = Duration::MAX;
    for round in 0..TRIES {
        let (demo, took) = Demo::up(stage, &format!("quick-{round}"), spec(1)).await?;
        demo.delete().await?;
        best = best.min(took);
    }
    Ok(best)
}
