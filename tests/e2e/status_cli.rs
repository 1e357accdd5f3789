//! Promise: `etcd-agent status` and the probes' verbose form tell the truth about the member.

use crate::harness::demo::spec;
use crate::harness::etcd::hex;
use crate::harness::http;
use crate::harness::{Demo, Manner, play};
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
