//! Promise: kinds that are older than the agents cost the API server no storm of writes, and nobody a word of how the members are.
//!
//! Helm never updates kinds, and where GitOps applies them apart they are older for a while after each upgrade. Counted are the
//! requests that the API server got: a write that changes nothing shows in no object.

use crate::harness::demo::spec;
use crate::harness::process::find;
use crate::harness::stage::apply_kinds;
use crate::harness::{Demo, Manner, PATIENCE, Part, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::{EtcdMember, EtcdMemberStatus};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;

/// What follows from a change of the kinds or of a member has happened by then.
const SETTLE: Duration = Duration::from_secs(10);
const COUNTED: Duration = Duration::from_secs(20);
/// An idle cluster writes next to nothing; the storm was four writes a second and member.
const ALLOWED: u64 = 2;

#[test]
fn older_kinds_cause_no_writes_and_silence_nobody() {
    play("older_kinds", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        ensure!(writes(stage).await? >= 3, "the API server does not count what the members wrote");
        let outcome = async {
            age_kinds(stage).await?;
            tokio::time::sleep(SETTLE).await;
            let dropped = status(&demo, 0).await?;
            ensure!(dropped.agent_version.is_none(), "the API server still has a field that its kinds do not");
            is_quiet(stage, "a field that the kinds do not have").await?;

            let victim = demo.follower().await?;
            let before = status(&demo, victim).await?;
            find(faults, &stage.namespace, &demo.member(victim), Part::Etcd).await?.signal(Signal::SIGKILL);
            let said = until("the member tells that etcd was started again", PATIENCE, async || {
                let said = status(&demo, victim).await?;
                ensure!(said.ready && said.restarts > before.restarts, "it says {said:?}");
                Ok(said)
            })
            .await?;
            ensure!(said.role.is_none(), "a word that the kinds do not know was taken: {:?}", said.role);
            tokio::time::sleep(SETTLE).await;
            is_quiet(stage, "a value that the kinds do not know").await
        }
        .await;
        apply_kinds(&stage.kubectl).await?;
        outcome?;
        tokio::time::sleep(SETTLE).await;
        is_quiet(stage, "kinds that were mended").await?;
        let renewed = demo.follower().await?;
        demo.delete_pod(renewed, 1).await?;
        until("what is told anew is told whole", PATIENCE, async || {
            let said = status(&demo, renewed).await?;
            ensure!(said.ready && said.role.is_some() && said.agent_version.is_some(), "it says {said:?}");
            Ok(())
        })
        .await
    });
}

/// The kinds of before a field and a value that today's agents write.
async fn age_kinds(stage: &Stage) -> Result<()> {
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    let patch = json!([
        {"op": "remove", "path": format!("{status}/agentVersion")},
        {"op": "replace", "path": format!("{status}/role/enum"), "value": ["Leader", "Learner", null]},
    ]);
    let kind = "crd/etcdmembers.etcd.etcd.io";
    stage.kubectl.run(&["patch", kind, "--type=json", "-p", &patch.to_string()]).await.map(drop)
}

async fn is_quiet(stage: &Stage, what: &str) -> Result<()> {
    let before = writes(stage).await?;
    holds("idleness", COUNTED, async || Ok(())).await?;
    let counted = writes(stage).await? - before;
    stage.say(format!("{what}: {counted} writes of members' status in {COUNTED:?}"));
    ensure!(counted <= ALLOWED, "{what}: {counted} writes of members' status in {COUNTED:?}");
    Ok(())
}

/// Writes of any EtcdMember's status that the API server was ever asked for, also those that changed nothing or were refused.
async fn writes(stage: &Stage) -> Result<u64> {
    let text = stage.client().request_text(http::Request::get("/metrics").body(vec![])?).await?;
    let of_status = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && line.contains("resource=\"etcdmembers\"")
            && line.contains("subresource=\"status\"")
            && line.contains("verb=\"PATCH\"")
    };
    let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).context("a counter");
    text.lines().filter(of_status).map(count).sum()
}

async fn status(demo: &Demo<'_>, ordinal: u32) -> Result<EtcdMemberStatus> {
    let member = demo.stage.api::<EtcdMember>().get(&demo.member(ordinal)).await?;
    member.status.context("a member tells how it is")
}
