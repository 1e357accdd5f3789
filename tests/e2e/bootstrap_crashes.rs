//! Promise: whatever dies or is lost while a cluster is made, exactly one cluster comes of it, and no ID has a second life.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Part, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdMember;
use etcd_operator_shared::{ids, names};
use kube::api::DeleteParams;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};
use testbed::Faults;

/// An agent that dies once at each of its named points.
const CRASHING_AGENT: &str = "etcd-operator/agent:crash";

/// Every point of a first start (agent/src/crash.rs): all must be passed, and died at.
const CRASH_POINTS: [&str; 8] = [
    "before-touch",
    "after-touch",
    "before-claim",
    "after-claim-accepted",
    "after-claim-marked",
    "before-order",
    "after-order",
    "after-running",
];
/// Rounds of killing agents at random moments; the model tries all moments.
const ROUNDS: u32 = 3;
/// How long what must not happen is watched for.
const WATCHED: Duration = Duration::from_secs(6);

/// Its image.
#[must_use]
pub fn crashing_agent() -> String {
    std::env::var("E2E_CRASHING_AGENT_IMAGE").unwrap_or_else(|_| CRASHING_AGENT.to_owned())
}

#[test]
fn agents_that_die_at_every_point_make_exactly_one_cluster() {
    play("crash_points", Manner::Beside, async |stage| {
        stage.stop_coordinator().await?;
        stage.start_coordinator(&crashing_agent())?;
        let (demo, took) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        for ordinal in 0..demo.size {
            let log =
                demo.stage.kubectl.run(&["-n", &stage.namespace, "logs", &demo.member(ordinal), "-c", "agent"]).await?;
            let died = |point: &&str| log.lines().any(|line| line.ends_with(&format!("crash point {point}")));
            let missed: Vec<_> = CRASH_POINTS.iter().filter(|point| !died(point)).collect();
            ensure!(missed.is_empty(), "member {ordinal} did not die at {missed:?}:\n{log}");
            stage.say(format!("member {ordinal} died at all {} points", CRASH_POINTS.len()));
        }
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        stage.say(format!("cluster {id} is Ready after {:.2} s", took.as_secs_f64()));
        Ok(())
    });
}

#[test]
fn agents_killed_at_random_moments_make_exactly_one_cluster() {
    play("random_crashes", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        for round in 0..ROUNDS {
            let demo = Demo::create(stage, "demo", spec(3)).await?;
            let kills = until("the cluster forms while its agents are killed", PATIENCE, async || {
                kill_until_formed(faults, &demo).await
            })
            .await?;
            demo.ready().await?;
            let id = demo.all_vote().await?;
            stage.say(format!("round {round}: {kills} agents were killed, one cluster {id}"));
            demo.delete().await?;
        }
        Ok(())
    });
}

/// Kills agents for some seconds of the bootstrap, each at a moment of its own.
async fn kill_until_formed(faults: &Faults, demo: &Demo<'_>) -> Result<u32> {
    let started = Instant::now();
    let mut kills = 0;
    while started.elapsed() < Duration::from_secs(5) {
        let pause = Duration::from_millis(u64::from(rand::random::<u8>()));
        tokio::time::sleep(pause).await;
        if let Ok(agent) = demo.process(faults, rand::random::<u32>() % demo.size, Part::Sidecar).await {
            agent.signal(Signal::SIGKILL);
            kills += 1;
        }
    }
    ensure!(kills > 0, "no agent was there to be killed");
    Ok(kills)
}

/// When something is lost.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The volume is there, etcd has not run.
    BeforeStart,
    /// etcd has just written its first WAL.
    WalSeen,
    AfterReady,
}

/// What is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The claim and its volume, and with them the pod.
    Volume,
    /// All data, but not the mark.
    Data,
    /// The EtcdMember.
    Object,
}

#[test]
fn a_volume_lost_during_bootstrap_makes_no_second_cluster() {
    play("volume_lost", Manner::Beside, async |stage| loses(stage, Loss::Volume).await);
}

#[test]
fn a_volume_emptied_during_bootstrap_makes_no_second_cluster() {
    play("volume_emptied", Manner::Beside, async |stage| loses(stage, Loss::Data).await);
}

#[test]
fn a_member_object_deleted_during_bootstrap_makes_no_second_cluster() {
    play("object_lost", Manner::Beside, async |stage| loses(stage, Loss::Object).await);
}

async fn loses(stage: &Stage, loss: Loss) -> Result<()> {
    let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
    for moment in [Moment::BeforeStart, Moment::WalSeen, Moment::AfterReady] {
        let demo = Demo::create(stage, "demo", spec(3)).await?;
        reach(faults, &demo, moment).await?;
        let had_data = wal_of(faults, &demo, 1).await.unwrap_or(false);
        lose(faults, &demo, loss).await.with_context(|| format!("lose {loss:?} {moment:?}"))?;
        let outcome = outcome(&demo, matches!(loss, Loss::Volume | Loss::Data) && had_data).await;
        stage.say(format!(
            "{loss:?} lost {moment:?} (etcd had run: {had_data}): all serve as {}",
            outcome.with_context(|| format!("{loss:?} lost {moment:?}"))?
        ));
        demo.delete().await?;
    }
    Ok(())
}

async fn reach(faults: &Faults, demo: &Demo<'_>, moment: Moment) -> Result<()> {
    match moment {
        Moment::BeforeStart => {
            until("the volume of member 1 is bound", PATIENCE, async || {
                faults.volume(&demo.stage.namespace, &names::volume_claim(&demo.member(1))).await?.path().map(drop)
            })
            .await
        }
        Moment::WalSeen => {
            until("etcd of member 1 has a WAL", PATIENCE, async || {
                ensure!(wal_of(faults, demo, 1).await?, "it has none");
                Ok(())
            })
            .await
        }
        Moment::AfterReady => demo.ready().await,
    }
}

async fn wal_of(faults: &Faults, demo: &Demo<'_>, ordinal: u32) -> Result<bool> {
    let volume = faults.volume(&demo.stage.namespace, &names::volume_claim(&demo.member(ordinal))).await?;
    let wal = volume.path()?.join("data/member/wal");
    Ok(wal.is_dir()
        && fs::read_dir(wal)?.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "wal")))
}

async fn lose(faults: &Faults, demo: &Demo<'_>, loss: Loss) -> Result<()> {
    match loss {
        Loss::Volume => {
            demo.delete_claim(1).await?;
            demo.delete_pod(1, 0).await
        }
        Loss::Data => {
            let volume = faults.volume(&demo.stage.namespace, &names::volume_claim(&demo.member(1))).await?;
            let data = volume.path()?.join("data");
            if data.exists() {
                fs::remove_dir_all(&data)?;
            }
            // etcd would live on with its open files: the loss shows when it starts again.
            if let Ok(etcd) = demo.process(faults, 1, Part::Etcd).await {
                etcd.signal(Signal::SIGKILL);
            }
            Ok(())
        }
        Loss::Object => {
            demo.stage.api::<EtcdMember>().delete(&demo.member(1), &DeleteParams::default()).await?;
            Ok(())
        }
    }
}

/// All serve as one cluster, whose ID is returned; member 1 under a new ID where the old one had run on what was lost.
async fn outcome(demo: &Demo<'_>, renewed: bool) -> Result<String> {
    let first = first_id(demo).await?;
    let id = until("all serve as one cluster", PATIENCE, async || {
        demo.serves(Duration::from_secs(1)).await?;
        let own = format!("{:x}", demo.etcd(1).await?.said().await?.member_id);
        ensure!(!renewed || own != first, "member 1 has its first ID {first}, whose disk was lost");
        demo.all_vote().await
    })
    .await?;
    // What is said now must stay true: no second cluster, no second life.
    holds("one cluster", WATCHED, async || {
        let ids = cluster_ids(demo).await;
        ensure!(ids.len() <= 1, "there are two clusters: {ids:?}");
        Ok(())
    })
    .await?;
    Ok(id)
}

/// The ID that member 1 has as a founder.
async fn first_id(demo: &Demo<'_>) -> Result<String> {
    let life = demo.get().await?.status.and_then(|status| status.incarnation).context("it is founded")?;
    Ok(ids::initial_member(
        &names::peer_url(names::Scheme::Http, &demo.member(1), &demo.name, &demo.stage.namespace),
        &life.token,
    ))
}

/// The IDs of all clusters that any member answers for.
async fn cluster_ids(demo: &Demo<'_>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for ordinal in 0..demo.size {
        if let Ok(etcd) = demo.etcd(ordinal).await
            && let Ok(said) = etcd.said().await
        {
            ids.insert(said.cluster_id);
        }
    }
    ids
}
