//! Promise: a learner that comes no further does not keep others from joining, and joins when it can.

use super::lost_disk::catch_learner;
use crate::harness::demo::spec;
use crate::harness::length::is_full;
use crate::harness::{Client, Demo, Manner, Part, play, until};
use anyhow::{Result, bail, ensure};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::faults::process::PodProcess;
use tokio::time::sleep;

/// The agent gives a learner five minutes.
const GIVEN_UP: Duration = Duration::from_secs(480);
const BACK: Duration = Duration::from_secs(120);

#[test]
fn a_learner_that_stands_still_gives_its_place_up() {
    play("stalled_learner", Manner::Beside, async |stage| {
        if !is_full() {
            stage.say("takes more than five minutes: part of make chaos");
            return Ok(());
        }
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        let (demo, etcd, former) = freeze_learner(faults, demo).await?;
        let frozen = Instant::now();
        until("the other one votes in its place", GIVEN_UP, async || {
            let members = demo.etcd(0).await?.members().await?;
            ensure!(members.iter().all(|one| one.id != former), "the frozen learner is listed");
            ensure!(members.iter().filter(|one| !one.is_learner && one.started).count() == 2, "they are {members:?}");
            Ok(())
        })
        .await?;
        stage.say(format!("the frozen learner's place was given up after {:.0} s", frozen.elapsed().as_secs_f64()));
        etcd.signal(Signal::SIGCONT);
        demo.settles(BACK).await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Scales to three and freezes the etcd of a learner that the others are connected to; returns that etcd and the learner's ID.
async fn freeze_learner<'a>(faults: &Faults, one: Demo<'a>) -> Result<(Demo<'a>, PodProcess, u64)> {
    let mut one = one;
    for _ in 0..5 {
        let (three, learner, agent) = catch_learner(faults, one).await?;
        agent.signal(Signal::SIGCONT);
        let started = Instant::now();
        let etcd = loop {
            match three.process(faults, learner, Part::Etcd).await {
                Ok(etcd) => break etcd,
                Err(error) if started.elapsed() > BACK => return Err(error),
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        // Nobody promotes it while its agent stands still.
        agent.signal(Signal::SIGSTOP);
        sleep(Duration::from_secs(3)).await;
        etcd.signal(Signal::SIGSTOP);
        agent.signal(Signal::SIGCONT);
        let members = three.etcd(0).await?.members().await?;
        if let Some(found) = members.iter().find(|one| one.is_learner && one.started) {
            return Ok((three, etcd, found.id));
        }
        etcd.signal(Signal::SIGCONT);
        three.settles(BACK).await?;
        one = three.scale(1).await?;
    }
    bail!("no learner was caught")
}
