//! Promise: a learner that comes no further does not keep others from joining, and joins when it can.

use super::lost_disk::catch_learner;
use crate::harness::demo::spec;
use crate::harness::length::is_full;
use crate::harness::{Client, Demo, Manner, Part, play, until};
use anyhow::ensure;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

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
        let (demo, learner, agent) = catch_learner(faults, demo).await?;
        let etcd = demo.process(faults, learner, Part::Etcd).await?;
        etcd.signal(Signal::SIGSTOP);
        agent.signal(Signal::SIGCONT);
        let (former, frozen) = (demo.etcd(0).await?.members().await?, Instant::now());
        let former = former.into_iter().find(|one| one.is_learner).map(|one| one.id);
        until("the other one votes in its place", GIVEN_UP, async || {
            let members = demo.etcd(0).await?.members().await?;
            ensure!(members.iter().all(|one| Some(one.id) != former), "the frozen learner is listed");
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
