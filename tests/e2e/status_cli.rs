//! Promise: `etcd-agent status`, `volume list` and the probes' verbose form tell the truth about the member.

use crate::harness::demo::spec;
use crate::harness::etcd::hex;
use crate::harness::http;
use crate::harness::{Demo, Manner, PATIENCE, play};
use anyhow::{Context, ensure};
use etcd_operator_shared::names::PORT_AGENT;
use serde_json::Value;

#[test]
fn status_says_what_etcd_says() {
    play("status_cli", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let leader = demo.leader().await?;
        for ordinal in 0..demo.size {
            let said = demo.etcd(ordinal).await?.said().await?;
            let json = demo.exec(ordinal, &["-c", "agent", "--", "etcd-agent", "status", "-o", "json"]).await?;
            let page: Value = serde_json::from_str(&json).with_context(|| format!("read {json}"))?;
            ensure!(page["ready"] == true && page["member"] == demo.member(ordinal), "it says {json}");
            ensure!(
                page["etcd"]["memberId"] == hex(said.member_id),
                "the member's ID is {:x}, not as in {json}",
                said.member_id
            );
            ensure!(
                page["etcd"]["clusterId"] == said.cluster_id,
                "the cluster's ID is {}, not as in {json}",
                said.cluster_id
            );
            ensure!(page["etcd"]["leaderId"] == hex(said.leader), "the leader is {:x}, not as in {json}", said.leader);
            let role = if ordinal == leader { "Leader" } else { "Follower" };
            ensure!(page["role"] == role, "the role is {role}, not as in {json}");

            let human = demo.exec(ordinal, &["-c", "agent", "--", "etcd-agent", "status"]).await?;
            for part in
                [demo.member(ordinal), role.to_owned(), hex(said.member_id), said.cluster_id, "v3.5.21".to_owned()]
            {
                ensure!(human.contains(&part), "{part} is not in:\n{human}");
            }
            if ordinal == 0 {
                stage.say(format!("status:\n{human}"));
            }
        }
        let ip = demo.ip(0).await?;
        for path in ["/readyz?verbose", "/livez?verbose"] {
            let reply = http::get(&ip, PORT_AGENT, path).await?;
            let good = reply.status == 200 && reply.body.contains("[+]") && reply.body.trim_end().ends_with("passed");
            ensure!(good, "{path} says {}: {}", reply.status, reply.body);
        }
        Ok(())
    });
}

#[test]
fn the_volume_can_be_seen_and_only_what_was_set_aside_deleted() {
    play("volume_cli", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let volume = async |words: &[&str]| {
            let mut all = vec!["-c", "agent", "--", "/etcd-agent", "volume"];
            all.extend(words);
            demo.exec(0, &all).await
        };
        let json = volume(&["list", "-o", "json"]).await?;
        let list: Value = serde_json::from_str(&json).with_context(|| format!("read {json}"))?;
        let said = demo.etcd(0).await?.said().await?;
        ensure!(list["mark"]["memberId"] == hex(said.member_id), "the member's ID is {:x}: {json}", said.member_id);
        let (free, total) = (list["freeBytes"].as_u64(), list["totalBytes"].as_u64());
        ensure!(free > Some(0) && free < total && total < Some(512 << 20), "the volume has 512 MiB: {json}");
        for name in ["data", "mark.json", "../etcd", "aside-1-1"] {
            let outcome = volume(&["discard", name]).await;
            ensure!(outcome.is_err(), "it deleted {name}: {outcome:?}");
        }
        stage.say(format!("volume list:\n{}", volume(&["list"]).await?));
        demo.serves(PATIENCE).await
    });
}
