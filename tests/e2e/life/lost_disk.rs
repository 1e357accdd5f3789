//! Promise: a member whose disk is lost comes back as a new member, with all its data from the others; nobody needs to do anything.

use crate::harness::demo::spec;
use crate::harness::etcd::{Entry, Etcd, hex};
use crate::harness::stage::agent_image;
use crate::harness::{Client, Demo, Loss, Manner, Part, Sampler, Stage, play, until};
use anyhow::{Context, Error, Result, bail, ensure};
use etcd_operator_shared::names::{self, PORT_CLIENT};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::faults::control_plane::Component;
use testbed::faults::process::PodProcess;
use tokio::time::sleep;

/// The goal is 15 s from the pod's return; the benchmark measures it. This bound is for a busy machine.
const BACK: Duration = Duration::from_secs(120);

#[test]
fn a_follower_and_a_leader_are_replaced() {
    play("disk_lost", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, client) = (written_to(stage).await?, |demo| Client::start(demo));
        let (id, client, sampler) = (demo.all_vote().await?, client(&demo).await?, Sampler::start(&demo).await?);
        for (who, loss) in [("follower", Loss::Claim), ("leader", Loss::Emptied), ("leader", Loss::Claim)] {
            let victim = if who == "leader" { demo.leader().await? } else { demo.follower().await? };
            replaced(faults, &demo, victim, loss).await.with_context(|| format!("{loss:?} of a {who}"))?;
        }
        sampler.finish(&demo).await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn a_member_that_is_just_joining_is_replaced() {
    play("joining_disk_lost", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (mut demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        for loss in [Loss::Emptied, Loss::Claim] {
            let (three, ordinal, agent) = catch_learner(faults, demo).await?;
            three.lose(faults, ordinal, loss).await?;
            agent.signal(Signal::SIGKILL);
            demo = three;
            demo.settles(BACK).await.with_context(|| format!("{loss:?} of a learner"))?;
            stage.say(format!("{loss:?} of a learner: all vote"));
            demo = demo.scale(1).await?;
        }
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn a_member_is_replaced_while_the_coordinator_is_away() {
    play("disk_lost_alone", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let demo = written_to(stage).await?;
        let client = Client::start(&demo).await?;
        stage.kill_coordinator().await?;
        for loss in [Loss::Emptied, Loss::Claim] {
            replaced(faults, &demo, demo.follower().await?, loss).await.with_context(|| format!("{loss:?}"))?;
        }
        stage.start_coordinator(&agent_image())?;
        demo.settles(BACK).await?;
        client.finish(&demo).await.map(drop)
    });
}

#[test]
fn a_member_is_replaced_while_the_api_server_is_away() {
    play("disk_lost_no_api", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let demo = written_to(stage).await?;
        let client = Client::start(&demo).await?;
        let victim = demo.follower().await?;
        let former = demo.id(victim).await?;
        let process = demo.process(faults, victim, Part::Etcd).await?;
        let disk = faults.volume(&stage.namespace, &names::volume_claim(&demo.member(victim))).await?;
        let mut ips = vec![];
        for ordinal in 0..demo.size {
            ips.push(demo.ip(ordinal).await?);
        }
        stage.stop_part(faults, Component::ApiServer).await?;
        disk.wipe()?;
        process.signal(Signal::SIGKILL);
        let lost = Instant::now();
        until("all vote, the lost one under a new ID", BACK, async || {
            let asked = &ips[(victim as usize + 1) % ips.len()];
            all_vote(&Etcd::at(asked, PORT_CLIENT).await?.members().await?, former)?;
            Etcd::at(&ips[victim as usize], PORT_CLIENT).await?.serves().await
        })
        .await?;
        stage.say(format!("API server away: replaced after {:.1} s", lost.elapsed().as_secs_f64()));
        stage.start_part(faults, Component::ApiServer).await?;
        until("the API server answers", BACK, async || demo.get().await.map(drop)).await?;
        demo.settles(BACK).await?;
        client.finish(&demo).await.map(drop)
    });
}

/// Scales from one to three and hangs the agent of the first learner; returns the cluster, the learner's ordinal and its agent.
pub(super) async fn catch_learner<'a>(faults: &Faults, one: Demo<'a>) -> Result<(Demo<'a>, u32, PodProcess)> {
    let mut one = one;
    for _ in 0..5 {
        let three = one.resize(3).await?;
        if let Some((ordinal, agent)) = caught_learning(faults, &three).await? {
            return Ok((three, ordinal, agent));
        }
        three.settles(BACK).await?;
        one = three.scale(1).await?;
    }
    bail!("no learner was caught")
}

/// Hangs the agent of the member that was added first as soon as it is, and returns both: beside one voter only a learner's disk
/// may be lost, of two voters none. None when it was quicker.
async fn caught_learning(faults: &Faults, demo: &Demo<'_>) -> Result<Option<(u32, PodProcess)>> {
    let mut agents = vec![];
    for ordinal in [1, 2] {
        let found = async || demo.process(faults, ordinal, Part::Sidecar).await;
        agents.push((ordinal, until("the new member has an agent", BACK, found).await?));
    }
    let (etcd, started) = (demo.etcd(0).await?, Instant::now());
    let learner = loop {
        let members = etcd.members().await?;
        if let Some(found) = members.into_iter().find(|one| one.is_learner) {
            break found;
        }
        ensure!(started.elapsed() < BACK, "nobody is added");
        sleep(Duration::from_millis(5)).await;
    };
    let is_its =
        |ordinal: u32| learner.peer_urls.iter().any(|url| url.contains(&format!("/{}.", demo.member(ordinal))));
    let (ordinal, agent) = agents.into_iter().find(|(ordinal, _)| is_its(*ordinal)).context("it is one of the two")?;
    agent.signal(Signal::SIGSTOP);
    // What it has asked for is answered by now, also on a machine that is busy with other things.
    sleep(Duration::from_secs(2)).await;
    let learns =
        async || Ok::<_, Error>(etcd.members().await?.iter().any(|one| one.id == learner.id && one.is_learner));
    // Two voters of which one does not run answer nothing.
    if learns().await.unwrap_or(false) {
        return Ok(Some((ordinal, agent)));
    }
    agent.signal(Signal::SIGCONT);
    Ok(None)
}

/// A cluster of three with some data.
async fn written_to(stage: &Stage) -> Result<Demo<'_>> {
    let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
    demo.etcd(0).await?.put("before", "the loss").await?;
    Ok(demo)
}

/// Loses a disk, and waits until all vote again and serve the old data, the member under a new ID.
async fn replaced(faults: &Faults, demo: &Demo<'_>, victim: u32, loss: Loss) -> Result<()> {
    let former = demo.id(victim).await?;
    demo.lose(faults, victim, loss).await?;
    let lost = Instant::now();
    until("all vote, the lost one under a new ID", BACK, async || {
        all_vote(&demo.etcd(demo.someone(victim)).await?.members().await?, former)?;
        let found = demo.etcd(victim).await?.get("before").await?;
        ensure!(found.as_deref() == Some("the loss"), "member {victim} reads {found:?}");
        Ok(())
    })
    .await?;
    demo.stage.say(format!("{loss:?} of member {victim}: all vote after {:.1} s", lost.elapsed().as_secs_f64()));
    until("the pod is Ready", BACK, async || {
        ensure!(demo.ready_pods().await?.len() == demo.size as usize, "not all pods are Ready");
        Ok(())
    })
    .await
}

fn all_vote(members: &[Entry], former: u64) -> Result<()> {
    ensure!(members.len() == 3, "the members are {members:?}");
    ensure!(members.iter().all(|one| one.started && !one.is_learner), "not all vote: {members:?}");
    ensure!(members.iter().all(|one| one.id != former), "{} is still a member", hex(former));
    Ok(())
}
