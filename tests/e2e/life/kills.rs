//! Promise: processes killed at any moment of scaling delay it and break nothing.

use crate::harness::demo::spec;
use crate::harness::length::{dice, either};
use crate::harness::stage::agent_image;
use crate::harness::{Client, Demo, Manner, Part, Sampler, Stage, play, until};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::Duration;
use testbed::Faults;
use tokio::time::sleep;

/// Sizes are visited in turn while processes die.
const SIZES: [u32; 4] = [3, 5, 3, 1];
/// Kills within one step.
const A_STEP: u32 = 5;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Etcd,
    Agent,
    Coordinator,
    /// PID 1 of a container: kubelet restarts it, with its own pauses.
    Container,
}

#[test]
fn scaling_goes_on_whoever_is_killed() {
    play("kills", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let mut dice = dice(stage);
        let (mut demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        let sampler = Sampler::start(&demo).await?;
        let (wanted, mut killed) = (either(10, 100), BTreeMap::new());
        let mut sizes = SIZES.iter().cycle();
        while killed.values().sum::<u32>() < wanted {
            let size = *sizes.next().context("a cycle has no end")?;
            let before = demo.size;
            demo = demo.resize(size).await?;
            for _ in 0..A_STEP {
                sleep(Duration::from_millis(dice.random_range(0..3000))).await;
                if let Some(victim) = kill(stage, faults, &demo, before.max(size), &mut dice).await? {
                    *killed.entry(victim).or_insert(0) += 1;
                }
            }
            let deadline = Duration::from_secs(240);
            demo.settles(deadline).await.with_context(|| format!("{before} → {size} after {killed:?} kills"))?;
            stage.say(format!("{before} → {size} settled, killed so far: {killed:?}"));
        }
        sampler.finish(&demo).await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Kills somebody; none when the chosen one does not run at this moment.
async fn kill(stage: &Stage, faults: &Faults, demo: &Demo<'_>, pods: u32, dice: &mut StdRng) -> Result<Option<Victim>> {
    let ordinal = dice.random_range(0..pods);
    let (victim, part) = match dice.random_range(0..20) {
        0..8 => (Victim::Etcd, Part::Etcd),
        8..15 => (Victim::Agent, Part::Sidecar),
        15 => (Victim::Container, Part::Launcher),
        16 => (Victim::Container, Part::AgentInit),
        _ => {
            stage.kill_coordinator().await?;
            sleep(Duration::from_millis(dice.random_range(0..1000))).await;
            stage.start_coordinator(&agent_image())?;
            return Ok(Some(Victim::Coordinator));
        }
    };
    let Ok(process) = demo.process(faults, ordinal, part).await else { return Ok(None) };
    process.signal(Signal::SIGKILL);
    until("the process is gone", Duration::from_secs(10), async || {
        ensure!(!process.is_alive(), "{part:?} lives on after SIGKILL");
        Ok(())
    })
    .await?;
    Ok(Some(victim))
}
