//! Promise: where too many disks are lost nothing is made up: it is said what is lost, an empty store is never served, and only a
//! person begins again.

use crate::harness::demo::spec;
use crate::harness::loss::Guard;
use crate::harness::{Demo, Loss, Manner, PATIENCE, Part, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::{Duration, Instant};
use testbed::Faults;
use tokio::time::sleep;

/// How soon it is said.
const NAMED: Duration = Duration::from_secs(30);
/// How long what must not happen is watched for.
const WATCHED: Duration = Duration::from_secs(8);
const KEY: &str = "precious";

#[test]
fn the_disk_of_the_only_member() {
    play("only_disk", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        for loss in [Loss::Emptied, Loss::Claim] {
            let demo = precious(stage, 1).await?;
            named(faults, &demo, &[(0, loss)]).await.with_context(|| format!("{loss:?}"))?;
            begins_again(&demo, 1).await.with_context(|| format!("{loss:?}"))?;
            demo.delete().await?;
        }
        Ok(())
    });
}

#[test]
fn two_of_three_disks_then_all_three() {
    play("most_disks", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let demo = precious(stage, 3).await?;
        named(faults, &demo, &[(1, Loss::Claim), (2, Loss::Emptied)]).await.context("two of three")?;
        let kept = demo.etcd(0).await?.get_local(KEY).await?;
        ensure!(kept.is_some(), "the survivor's data is gone");
        begins_again(&demo, 1).await.context("two of three")?;
        let aside = demo.set_aside(faults, 0).await?;
        ensure!(aside.len() == 1, "set aside on the survivor's volume: {aside:?}");
        stage.say(format!("the survivor's old data is kept as {aside:?}"));

        demo.etcd(0).await?.put(KEY, "again").await?;
        let all = [(0, Loss::Emptied), (1, Loss::Claim), (2, Loss::Emptied)];
        named(faults, &demo, &all).await.context("all three")?;
        begins_again(&demo, 2).await.context("all three")
    });
}

#[test]
fn a_life_that_is_not_the_present_one_is_not_given_up() {
    play("not_abandoned", Manner::Beside, async |stage| {
        let demo = precious(stage, 1).await?;
        let id = demo.all_vote().await?;
        demo.patch_spec(json!({"recovery": {"abandonIncarnation": 2}})).await?;
        let sentence = until("it is refused in a sentence", PATIENCE, async || {
            let found = demo.condition("Stalled").await?;
            ensure!(found.status == "True", "Stalled is {}: {}", found.status, found.message);
            Ok(found.message)
        })
        .await?;
        stage.say(format!("refused: {sentence}"));
        holds("the cluster is as it was", Duration::from_secs(3), async || {
            ensure!(demo.all_vote().await? == id, "the cluster ID changed");
            ensure!(demo.etcd(0).await?.get(KEY).await?.is_some(), "the data is gone");
            Ok(())
        })
        .await
    });
}

/// A cluster with something in it.
async fn precious(stage: &Stage, size: u32) -> Result<Demo<'_>> {
    let (demo, _) = Demo::up(stage, "demo", spec(size)).await?;
    demo.etcd(0).await?.put(KEY, "data").await?;
    Ok(demo)
}

/// Loses these disks at once; fails unless each is soon named, and when an empty store is ever served.
async fn named(faults: &Faults, demo: &Demo<'_>, losses: &[(u32, Loss)]) -> Result<()> {
    let (guard, lost) = (Guard::start(demo, KEY).await?, Instant::now());
    // At once: with a quorum for a moment longer, the first of them would be replaced.
    for (ordinal, _) in losses {
        demo.process(faults, *ordinal, Part::Etcd).await?.signal(Signal::SIGSTOP);
    }
    for (ordinal, loss) in losses {
        demo.lose(faults, *ordinal, *loss).await?;
    }
    let told = until("the losses are named", NAMED, async || {
        let (stalled, available) = (demo.condition("Stalled").await?, demo.condition("Available").await?);
        ensure!(stalled.status == "True", "Stalled is {}: {} {}", stalled.status, stalled.reason, stalled.message);
        ensure!(available.status == "False", "Available is {}: {}", available.status, available.message);
        for (ordinal, _) in losses {
            let member = demo.member(*ordinal);
            ensure!(stalled.message.contains(&member), "{member} is not named: {} {}", stalled.reason, stalled.message);
        }
        Ok(format!("{}: {}", stalled.reason, stalled.message))
    })
    .await?;
    demo.stage.say(format!("named after {:.1} s: {told}", lost.elapsed().as_secs_f64()));
    sleep(WATCHED).await;
    let answers = guard.finish().await?;
    demo.stage.say(format!("{answers} answers meanwhile, none from an empty store"));
    Ok(())
}

/// A person gives the present life up: the next one is empty, under an ID of its own.
async fn begins_again(demo: &Demo<'_>, number: i64) -> Result<()> {
    let status = demo.get().await?.status.context("it has a status")?;
    let former = status.cluster_id.context("its status has a cluster ID")?;
    ensure!(status.incarnation.is_some_and(|life| life.number == number), "the present life is not {number}");
    let asked = Instant::now();
    demo.patch_spec(json!({"recovery": {"abandonIncarnation": number}})).await?;
    demo.settles(PATIENCE).await?;
    let id = demo.all_vote().await?;
    ensure!(id != former, "the new life has the old cluster ID");
    ensure!(demo.etcd(0).await?.get(KEY).await?.is_none(), "data of the former life is there");
    let life = demo.get().await?.status.and_then(|status| status.incarnation).context("it has a life")?;
    ensure!(life.number == number + 1, "the new life is number {}", life.number);
    demo.stage.say(format!("incarnation {} serves after {:.1} s", life.number, asked.elapsed().as_secs_f64()));
    Ok(())
}
