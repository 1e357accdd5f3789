//! Promise: disks that are full to the last block take no member out of the Service and no read away; a member can be started again
//! on one; once there is room writes go on, and nothing acknowledged is lost.

use crate::harness::demo::spec;
use crate::harness::http;
use crate::harness::{Client, Demo, Manner, PATIENCE, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{PORT_AGENT, client_service, volume_claim};
use futures::future::try_join_all;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use serde_json::Value;
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::faults::volume::Filled;

/// How long the disks are full while the client goes on: etcd needs room within seconds, and finds the reserve.
const FULL: Duration = Duration::from_secs(20);
/// Less than what is held in reserve on disks of this size.
const RESERVE: u64 = 16 << 20;
/// A volume is looked at every 15 s.
const NOTICED: Duration = Duration::from_secs(45);

#[test]
fn full_disks_stop_no_read_and_no_start_and_lose_nothing() {
    play("full_disk", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        until("every volume has a reserve", NOTICED, async || {
            let reserves = reserves(&demo, faults).await?;
            ensure!(reserves.iter().all(|bytes| *bytes > RESERVE), "they hold {reserves:?} bytes");
            Ok(())
        })
        .await?;
        let client = Client::start(&demo).await?;
        client.keeps_on(Duration::from_secs(2)).await?;

        client.mark("full").await?;
        let filled = fill(&demo, faults).await?;
        holds("members in the Service, and reads", FULL, async || {
            ensure!(!endpoints(&demo).await?.is_empty(), "the Service is empty");
            reads(&demo).await
        })
        .await?;
        let told = until("every agent says that its disk is full, or nearly so", NOTICED, async || {
            refill(&demo, faults, &filled).await?;
            notices(&demo).await
        })
        .await?;
        stage.say(format!("agents say: {told:?}"));
        let reserves_left = reserves(&demo, faults).await?;
        stage.say(format!("{reserves_left:?} bytes are left in reserve; {} restarts of etcd", restarts(&demo).await?));

        let restarted = demo.follower().await?;
        let before = Instant::now();
        demo.delete_pod(restarted, 30).await?;
        until("a member that is started on a full disk serves", PATIENCE, async || {
            let etcd = demo.etcd(restarted).await?;
            etcd.serves().await?;
            ensure!(endpoints(&demo).await?.contains(&demo.ip(restarted).await?), "it is not in the Service");
            Ok(())
        })
        .await?;
        stage.say(format!("its pod was made again and serves after {:.1} s", before.elapsed().as_secs_f64()));

        drop(filled);
        client.mark("room").await?;
        client.next(PATIENCE).await?;
        until("the reserves are back", NOTICED, async || {
            let reserves = reserves(&demo, faults).await?;
            ensure!(reserves.iter().all(|bytes| *bytes > RESERVE), "they hold {reserves:?} bytes");
            Ok(())
        })
        .await?;
        demo.ready().await?;
        client.keeps_on(Duration::from_secs(2)).await?;
        client.finish(&demo).await?;
        ensure!(demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Fills every member's disk to the last block.
async fn fill(demo: &Demo<'_>, faults: &Faults) -> Result<Vec<Filled>> {
    let fill = async |member: String| faults.volume(&demo.stage.namespace, &volume_claim(&member)).await?.fill();
    let mut filled = vec![];
    for member in demo.members() {
        filled.push(fill(member).await?);
    }
    Ok(filled)
}

/// Takes what etcd gave back when it mended its WAL: all of it, once the agent has put something by again.
async fn refill(demo: &Demo<'_>, faults: &Faults, filled: &[Filled]) -> Result<()> {
    let reserves = reserves(demo, faults).await?;
    let mut whole = reserves.into_iter().zip(filled).filter(|(bytes, _)| *bytes > RESERVE);
    whole.try_for_each(|(_, filled)| filled.refill())
}

/// What each member's volume holds in reserve, in bytes on the disk.
async fn reserves(demo: &Demo<'_>, faults: &Faults) -> Result<Vec<u64>> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = vec![];
    for ordinal in 0..demo.size {
        let reserve = demo.volume(faults, ordinal).await?.join("reserve");
        bytes.push(reserve.metadata().map_or(0, |found| found.blocks() * 512));
    }
    Ok(bytes)
}

/// A linearizable read through some member, within the time that a client waits.
async fn reads(demo: &Demo<'_>) -> Result<()> {
    until("a read through any member", Duration::from_secs(5), async || {
        let mut why = None;
        for ordinal in 0..demo.size {
            match async { demo.etcd(ordinal).await?.serves().await }.await {
                Ok(()) => return Ok(()),
                Err(error) => why = Some(error),
            }
        }
        why.map_or(Ok(()), Err)
    })
    .await
}

/// What each agent says of the room on its volume, while it says that its member is ready.
async fn notices(demo: &Demo<'_>) -> Result<Vec<String>> {
    try_join_all((0..demo.size).map(async |ordinal| {
        let page = page(demo, ordinal).await?;
        let notices = page["notices"].as_array().context("it has notices")?;
        let room = notices.iter().find(|one| one["name"] == "room").context("one is of the room")?;
        ensure!(page["ready"] == true, "member {ordinal} is not ready: {}: {}", page["reason"], page["message"]);
        Ok(room["reason"].as_str().context("there is room")?.to_owned())
    }))
    .await
}

async fn restarts(demo: &Demo<'_>) -> Result<i64> {
    let mut all = 0;
    for ordinal in 0..demo.size {
        all += page(demo, ordinal).await?["process"]["restarts"].as_i64().unwrap_or_default();
    }
    Ok(all)
}

async fn page(demo: &Demo<'_>, ordinal: u32) -> Result<Value> {
    let page = http::get(&demo.ip(ordinal).await?, PORT_AGENT, "/status").await?;
    serde_json::from_str(&page.body).with_context(|| format!("read {}", page.body))
}

/// The addresses that are ready in the client Service.
async fn endpoints(demo: &Demo<'_>) -> Result<Vec<String>> {
    let label = format!("kubernetes.io/service-name={}", client_service(&demo.name));
    let slices = demo.stage.api::<EndpointSlice>().list(&ListParams::default().labels(&label)).await?;
    let all = slices.items.into_iter().flat_map(|slice| slice.endpoints);
    let ready = all.filter(|one| one.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true));
    Ok(ready.flat_map(|one| one.addresses).collect())
}
