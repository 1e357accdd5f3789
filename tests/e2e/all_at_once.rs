//! Promise: when everything dies at once, everything comes back, and no acknowledged write is lost.

use crate::harness::demo::spec;
use crate::harness::pods::runs;
use crate::harness::{Client, Demo, Manner, PATIENCE, Part, Stage, play, until};
use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// The goal is 15 s on a quiet machine; the benchmark measures it. This bound is for a busy one.
const BACK: Duration = Duration::from_secs(120);

#[test]
fn all_etcds_killed_at_once_lose_nothing() {
    play("all_etcds_killed", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, id, client) = written_to(stage).await?;
        let mut etcds = Vec::new();
        for ordinal in 0..demo.size {
            etcds.push(demo.process(faults, ordinal, Part::Etcd).await?);
        }
        etcds.iter().for_each(|etcd| etcd.signal(Signal::SIGKILL));
        comes_back(&demo, &client, Instant::now()).await?;
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        lost_nothing(&demo, client, &id).await
    });
}

#[test]
fn all_pods_deleted_at_once_lose_nothing() {
    play("all_pods_deleted", Manner::Beside, async |stage| {
        let (demo, id, client) = written_to(stage).await?;
        for grace in [60, 0] {
            let old: Vec<_> = demo.pods().await?.iter().map(|pod| pod.uid()).collect();
            for ordinal in 0..demo.size {
                demo.delete_pod(ordinal, grace).await?;
            }
            until("new pods run", PATIENCE, async || {
                let pods = demo.pods().await?;
                ensure!(pods.len() == old.len(), "there are {} pods", pods.len());
                ensure!(pods.iter().all(|pod| !old.contains(&pod.uid()) && runs(pod, "etcd")), "not all run");
                Ok(())
            })
            .await?;
            comes_back(&demo, &client, Instant::now()).await?;
        }
        lost_nothing(&demo, client, &id).await
    });
}

#[test]
fn a_node_stopped_and_started_loses_nothing() {
    play("node_stopped", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, id, client) = written_to(stage).await?;
        let leader = demo.pod(demo.leader().await?).await?;
        let node = leader.spec.and_then(|spec| spec.node_name).context("a Ready pod has a node")?;
        stage.stop_node(faults, &node).await?;
        let stopped = Instant::now();
        client.next(BACK).await.context("the members on the other nodes serve")?;
        stage.say(format!("written to again {:.2} s after the leader's node stopped", stopped.elapsed().as_secs_f64()));
        // Long enough that the others notice, and the coordinator too.
        client.keeps_on(Duration::from_secs(5)).await?;
        stage.start_node(faults, &node).await?;
        comes_back(&demo, &client, Instant::now()).await?;
        lost_nothing(&demo, client, &id).await
    });
}

async fn written_to(stage: &Stage) -> Result<(Demo<'_>, String, Client)> {
    let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
    let id = demo.all_vote().await?;
    let client = Client::start(&demo).await?;
    client.keeps_on(Duration::from_secs(2)).await?;
    Ok((demo, id, client))
}

/// Waits until writes are accepted and every member serves, and says how long that took.
async fn comes_back(demo: &Demo<'_>, client: &Client, since: Instant) -> Result<()> {
    client.next(BACK).await?;
    let written = since.elapsed();
    demo.serves(BACK).await?;
    let (written, all) = (written.as_secs_f64(), since.elapsed().as_secs_f64());
    demo.stage.say(format!("written to again after {written:.2} s, all members serve after {all:.2} s"));
    demo.ready().await
}

async fn lost_nothing(demo: &Demo<'_>, client: Client, id: &str) -> Result<()> {
    client.keeps_on(Duration::from_secs(1)).await?;
    let report = client.finish(demo).await?;
    ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
    Ok(())
}
