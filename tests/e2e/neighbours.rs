//! Promise: agent and launcher of neighbouring releases understand each other, through scale and a lost disk, both ways.
//!
//! A pod's agent can be newer or older than its launcher: kubelet restarts the container whose image changed and lets the other
//! be, so etcd and its parent go on as they were. Two releases that differ in their agents alone stay so for as long as etcd runs.

use crate::harness::demo::spec_with;
use crate::harness::stage::agent_image;
use crate::harness::{Client, Demo, Loss, Manner, PATIENCE, Part, Sampler, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::CONTAINER_AGENT;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::faults::process::PodProcess;

/// The last release's agents, unless `E2E_LAST_AGENT_IMAGE` names another.
const LAST_AGENT_IMAGE: &str = "etcd-operator/agent:last";
/// A launcher starts a killed etcd again within a second; this bound is for a busy machine.
const BACK: Duration = Duration::from_secs(30);

#[test]
fn an_agent_of_the_last_release_and_a_launcher_of_today_understand_each_other() {
    play("neighbours_older_agent", Manner::Beside, async |stage| {
        live(stage, &Release { launcher: agent_image(), agent: last_agent_image() }).await
    });
}

#[test]
fn an_agent_of_today_and_a_launcher_of_the_last_release_understand_each_other() {
    play("neighbours_older_launcher", Manner::Beside, async |stage| {
        live(stage, &Release { launcher: last_agent_image(), agent: agent_image() }).await
    });
}

/// The images that a pod's two halves are of.
struct Release {
    /// What new pods get for both, and so what installs the launcher.
    launcher: String,
    /// What the agent is replaced by.
    agent: String,
}

/// The life of a cluster, each step with every pod's agent of one release and its launcher of the other.
async fn live(stage: &Stage, release: &Release) -> Result<()> {
    let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
    stage.stop_coordinator().await?;
    stage.start_coordinator(&release.launcher)?;
    // With more than two voters this etcd asks nobody to wait before the next addition.
    let (three, _) =
        Demo::up(stage, "demo", spec_with(3, json!({"version": "v3.5.35", "pod": {"agentUpdate": "OnRestart"}})))
            .await?;
    let id = three.all_vote().await?;
    let (client, sampler) = (Client::start(&three).await?, Sampler::start(&three).await?);

    mix(faults, &three, release).await?;
    for victim in [three.follower().await?, three.leader().await?] {
        comes_back(faults, &three, victim).await.with_context(|| format!("etcd of member {victim} killed"))?;
    }
    // The first is replaced in its pod, by the mixed pair itself; the other in a new pod, beside mixed pairs.
    for loss in [Loss::Emptied, Loss::Claim] {
        let victim = three.follower().await?;
        replaced(faults, &three, victim, loss).await.with_context(|| format!("{loss:?} of member {victim}"))?;
        mix(faults, &three, release).await?;
    }
    ends_in_order(&three).await?;
    mix(faults, &three, release).await?;

    three.lead(2).await?;
    let one = three.scale(1).await?;
    let three = one.scale(3).await?;
    // Members that joined with both halves of one release, added by one with two, leave with two.
    mix(faults, &three, release).await?;
    three.lead(2).await?;
    let one = three.scale(1).await?;

    client.next(PATIENCE).await?;
    sampler.finish(&one).await?;
    let report = client.finish(&one).await?;
    ensure!(report.cluster == id && one.all_vote().await? == id, "the cluster ID changed");
    Ok(())
}

/// Gives each pod that has halves of one release an agent of the other, one after the other. etcd and its parent live on.
async fn mix(faults: &Faults, demo: &Demo<'_>, release: &Release) -> Result<()> {
    for ordinal in 0..demo.size {
        let find = async |part| demo.process(faults, ordinal, part).await;
        let (etcd, launcher, agent) =
            (find(Part::Etcd).await?, find(Part::Launcher).await?, find(Part::Sidecar).await?);
        if same(&launcher, &agent)? {
            let image = json!({"spec": {"containers": [{"name": CONTAINER_AGENT, "image": release.agent}]}});
            let pods = demo.stage.api::<Pod>();
            pods.patch(&demo.member(ordinal), &PatchParams::default(), &Patch::Strategic(image)).await?;
            until("the agent is of the other release", PATIENCE, async || {
                let agent = demo.process(faults, ordinal, Part::Sidecar).await?;
                ensure!(!same(&launcher, &agent)?, "it is of its launcher's");
                Ok(())
            })
            .await?;
            demo.settles(PATIENCE).await.with_context(|| format!("member {ordinal} has another agent"))?;
        }
        let stayed = find(Part::Etcd).await?.pid() == etcd.pid() && find(Part::Launcher).await?.pid() == launcher.pid();
        ensure!(stayed && etcd.is_alive(), "etcd or its launcher was restarted with the agent of member {ordinal}");
    }
    Ok(())
}

/// Whether two processes run the same program, also where its file was replaced since.
fn same(one: &PodProcess, other: &PodProcess) -> Result<bool> {
    let [one, other] = [one, other].map(|process| format!("/proc/{}/exe", process.pid()));
    let length = |path: &str| std::fs::metadata(path).with_context(|| format!("look at {path}")).map(|file| file.len());
    let content = |path: &str| std::fs::read(path).with_context(|| format!("read {path}"));
    Ok(length(&one)? == length(&other)? && content(&one)? == content(&other)?)
}

/// Kills etcd; its launcher starts it again, and the agent tells of it.
async fn comes_back(faults: &Faults, demo: &Demo<'_>, victim: u32) -> Result<()> {
    let launcher = demo.process(faults, victim, Part::Launcher).await?;
    let (etcd, killed) = (demo.etcd(victim).await?, Instant::now());
    let before = demo.process(faults, victim, Part::Etcd).await?;
    before.signal(Signal::SIGKILL);
    until("the killed member serves again", BACK, async || {
        ensure!(!before.is_alive(), "it lives on after SIGKILL");
        etcd.serves().await
    })
    .await?;
    demo.stage.say(format!("member {victim} serves {:.2} s after SIGKILL", killed.elapsed().as_secs_f64()));
    ensure!(launcher.is_alive(), "the launcher died with etcd");
    demo.settles(PATIENCE).await
}

/// Loses a member's disk, and waits until all vote, the member under a new ID.
async fn replaced(faults: &Faults, demo: &Demo<'_>, victim: u32, loss: Loss) -> Result<()> {
    let (former, lost) = (demo.id(victim).await?, Instant::now());
    demo.lose(faults, victim, loss).await?;
    until("the member has a new ID", PATIENCE, async || {
        ensure!(demo.id(victim).await? != former, "it has its former ID");
        Ok(())
    })
    .await?;
    demo.settles(PATIENCE).await?;
    demo.stage.say(format!("{loss:?} of member {victim}: all vote after {:.1} s", lost.elapsed().as_secs_f64()));
    Ok(())
}

/// Deletes the leader's pod with its grace: the launcher asks for leadership to be handed over, and waits for the agent.
async fn ends_in_order(demo: &Demo<'_>) -> Result<()> {
    let (leader, deleted) = (demo.leader().await?, Instant::now());
    let (former, id) = (demo.pod(leader).await?.metadata.uid, demo.id(leader).await?);
    demo.delete_pod(leader, 30).await?;
    until("the leader's pod is a new one", PATIENCE, async || {
        ensure!(demo.pod(leader).await?.metadata.uid != former, "it is the former");
        Ok(())
    })
    .await?;
    demo.settles(PATIENCE).await?;
    let ended = deleted.elapsed().as_secs_f64();
    demo.stage.say(format!("the leader's pod deleted: all vote after {ended:.1} s"));
    ensure!(demo.id(leader).await? == id, "member {leader} has another ID, with its disk in place");
    Ok(())
}

pub fn last_agent_image() -> String {
    std::env::var("E2E_LAST_AGENT_IMAGE").unwrap_or_else(|_| LAST_AGENT_IMAGE.to_owned())
}
