//! Promise: a connection to the API server that died without a word is noticed within half a minute, and what was missed is
//! made up for; members serve all the while.

use crate::harness::demo::spec;
use crate::harness::etcd::Etcd;
use crate::harness::http;
use crate::harness::{Demo, Manner, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{PORT_AGENT, PORT_CLIENT};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testbed::faults::control_plane::Component;

const NOTICED: Duration = Duration::from_secs(30);

#[test]
fn an_api_server_that_hangs_is_noticed() {
    play("hung_api_server", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let addresses = try_join_all((0..demo.size).map(|ordinal| demo.ip(ordinal))).await?;
        faults.pause(Component::ApiServer)?;
        let noticed = try_join_all(addresses.iter().map(|ip| connected(stage, ip, false))).await;
        let served =
            try_join_all(addresses.iter().map(async |ip| Etcd::at(ip, PORT_CLIENT).await?.serves().await)).await;
        faults.resume(Component::ApiServer)?;
        noticed.and(served)?;
        try_join_all(addresses.iter().map(|ip| connected(stage, ip, true))).await?;
        demo.ready().await
    });
}

#[test]
fn a_watch_whose_packets_are_lost_is_noticed_and_begun_anew() {
    play("half_open", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let (ip, pod) = (demo.ip(0).await?, demo.pod(0).await?);
        let node = pod.spec.and_then(|spec| spec.node_name).context("a pod has a node")?;
        let cut = faults.cut_node_from_control_plane(&node)?;
        connected(stage, &ip, false).await?;
        cut.heal();
        connected(stage, &ip, true).await?;
        // The new watch brings what changes: a member is told where a peer is, and looks for it.
        demo.patch_spec(json!({"size": 3})).await?;
        let grown = Demo { size: 3, ..demo };
        grown.ready().await?;
        grown.all_vote().await.map(drop)
    });
}

/// Waits until the agent says so; returns an error when that takes longer than half a minute.
async fn connected(stage: &Stage, ip: &str, wanted: bool) -> Result<()> {
    let began = Instant::now();
    until(&format!("{ip} says apiServer.connected={wanted}"), NOTICED, async || {
        let said = &page(ip).await?["apiServer"]["connected"];
        ensure!(*said == wanted, "it says {said}");
        Ok(())
    })
    .await?;
    stage.say(format!("{ip}: connected={wanted} after {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

async fn page(ip: &str) -> Result<Value> {
    Ok(serde_json::from_str(&http::get(ip, PORT_AGENT, "/status").await?.body)?)
}
