//! Promise: what a person lets rest rests, processes and pods that end come back all the same, and it goes on from there.

use crate::harness::demo::{PATIENCE, spec};
use crate::harness::stage::agent_image;
use crate::harness::{Client, Demo, Loss, Manner, Part, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdMember;
use etcd_operator_shared::api::cluster::Phase;
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;
use testbed::Faults;

/// Longer than a member takes to join, to leave or to be replaced here.
const REST: Duration = Duration::from_secs(6);

#[test]
fn what_a_person_lets_rest_rests_and_goes_on_from_there() {
    play("rests", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        pause(faults, &demo, &client).await.context("paused")?;
        let ids = demo.one_cluster().await?.1;
        hold(faults, &demo, &client).await.context("held")?;
        ensure!(demo.one_cluster().await?.1 == ids, "a member that was held is another one now");
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Another size, a pod that goes and a disk that is lost while all rests: the pod comes back, the rest is said.
async fn pause(faults: &Faults, demo: &Demo<'_>, client: &Client) -> Result<()> {
    let stage = demo.stage;
    demo.patch_spec(json!({"paused": true, "size": 1})).await?;
    let said = demo.says("Paused", "True", "Paused").await?;
    stage.say(&said);
    ensure!(said.contains("next would be: waiting for demo-2 to leave"), "it says {said}");
    let status = demo.get().await?.status.context("it has a status")?;
    ensure!((status.phase, status.ready.as_deref()) == (Some(Phase::Paused), Some("3/3")), "it is {:?}", status.phase);

    let (victim, leader) = (demo.follower().await?, demo.leader().await?);
    let uid = demo.pod(victim).await?.metadata.uid;
    demo.delete_pod(victim, 1).await?;
    until("the pod that was deleted serves again", PATIENCE, async || {
        ensure!(demo.pod(victim).await?.metadata.uid != uid, "the pod is there still");
        demo.etcd(victim).await?.serves().await
    })
    .await?;

    let before = demo.etcd(leader).await?.members().await?;
    demo.lose(faults, victim, Loss::Emptied).await?;
    stage.stop_coordinator().await?;
    member_says(demo, victim, "Paused").await?;
    let rests = async || {
        let now = demo.etcd(leader).await?.members().await?;
        ensure!(now == before, "the membership was {before:?} and is {now:?}");
        ensure!(demo.pods().await?.len() == 3, "a pod is gone");
        Ok(())
    };
    holds("the membership rests without a coordinator", REST, rests).await?;
    stage.start_coordinator(&agent_image())?;
    holds("the membership rests with one that was made anew", REST, rests).await?;
    client.next(PATIENCE).await?;

    demo.patch_spec(json!({"paused": null, "size": 3})).await?;
    demo.settles(PATIENCE).await?;
    let former = before.iter().find(|one| one.name == demo.member(victim)).context("it was a member")?.id;
    ensure!(demo.id(victim).await? != former, "it came back under the ID whose disk was lost");
    ensure!(demo.condition("Paused").await.is_err(), "it still says that it rests");
    Ok(())
}

/// A follower and then the leader are held and released, and no more than the quorum can do without.
async fn hold(faults: &Faults, demo: &Demo<'_>, client: &Client) -> Result<()> {
    let stage = demo.stage;
    let follower = demo.follower().await?;
    let uid = demo.pod(follower).await?.metadata.uid;
    demo.patch_spec(json!({"hold": [demo.member(follower)]})).await?;
    is_off(faults, demo, follower).await?;
    ensure!(demo.pod(follower).await?.metadata.uid == uid, "its pod was replaced");
    let ready = demo.says("Ready", "False", "HeldBySpec").await?;
    ensure!(ready.contains(&demo.member(follower)), "it says {ready}");
    ensure!(demo.condition("Stalled").await?.status == "False", "a person has decided, and need not again");

    // Its pod is made again, and its agent dies: etcd is never started.
    demo.delete_pod(follower, 1).await?;
    until("another pod is made", PATIENCE, async || {
        ensure!(demo.pod(follower).await?.metadata.uid != uid, "the pod is there still");
        Ok(())
    })
    .await?;
    is_off(faults, demo, follower).await?;
    demo.process(faults, follower, Part::Sidecar).await?.signal(Signal::SIGKILL);
    holds("etcd stays off", REST, async || is_off_now(faults, demo, follower).await).await?;

    let other = (0..demo.size).find(|ordinal| *ordinal != follower).context("there are three")?;
    demo.patch_spec(json!({"hold": [demo.member(other), demo.member(follower), "demo-9"]})).await?;
    let refused = demo.says("Stalled", "True", "HoldRefused").await?;
    stage.say(&refused);
    ensure!(refused.contains("demo-9 is no member") && refused.contains("1 of 3 voters"), "it says {refused}");
    client.next(PATIENCE).await?;
    demo.patch_spec(json!({"hold": null})).await?;
    demo.settles(PATIENCE).await?;

    let leader = demo.leader().await?;
    demo.patch_spec(json!({"hold": [demo.member(leader)]})).await?;
    client.mark("the leader is held").await?;
    is_off(faults, demo, leader).await?;
    client.next(PATIENCE).await?;
    demo.patch_spec(json!({"hold": []})).await?;
    demo.settles(PATIENCE).await
}

/// Waits until a member is held and its etcd off.
async fn is_off(faults: &Faults, demo: &Demo<'_>, ordinal: u32) -> Result<()> {
    member_says(demo, ordinal, "HeldBySpec").await?;
    until("its etcd is off", PATIENCE, async || is_off_now(faults, demo, ordinal).await).await
}

async fn is_off_now(faults: &Faults, demo: &Demo<'_>, ordinal: u32) -> Result<()> {
    demo.process(faults, ordinal, Part::Launcher).await?;
    ensure!(demo.process(faults, ordinal, Part::Etcd).await.is_err(), "etcd of {} runs", demo.member(ordinal));
    Ok(())
}

/// Waits until the agent in a member's present pod gives this reason, and returns its sentence.
async fn member_says(demo: &Demo<'_>, ordinal: u32, reason: &str) -> Result<String> {
    let name = demo.member(ordinal);
    until(&format!("{name} says {reason}"), PATIENCE, async || {
        let status = demo.stage.api::<EtcdMember>().get(&name).await?.status.context("it has a status")?;
        let here = demo.pod(ordinal).await?.metadata;
        ensure!(here.deletion_timestamp.is_none() && here.uid == status.pod_uid, "its agent has not spoken");
        ensure!(status.reason == reason, "it says {:?} {} {}", status.phase, status.reason, status.message);
        Ok(status.message)
    })
    .await
}
