//! Promise: a probe is answered at once and names the reason, also while etcd or its volume hangs; nobody restarts a member for it.

use crate::harness::demo::spec;
use crate::harness::http::{self, Reply};
use crate::harness::length::either;
use crate::harness::{Demo, Manner, PATIENCE, Part, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{PORT_AGENT, volume_claim};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Whoever waits for etcd or for the volume takes longer, and kubelet gives up after three times this. How fast it is, the
/// benchmark measures.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Enough to see that etcd's silence is no accident.
const QUESTIONS: usize = 50;

#[test]
fn probes_of_a_frozen_etcd_are_answered_at_once_with_the_reason() {
    play("frozen_etcd", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let (victim, ip) = (demo.follower().await?, demo.ip(demo.follower().await?).await?);
        let etcd = demo.process(faults, victim, Part::Etcd).await?;
        etcd.signal(Signal::SIGSTOP);
        fails(stage, &ip).await?;

        answered_at_once(stage, &ip).await?;
        until("the pod is not Ready, the others are", PATIENCE, async || {
            let message = demo.says("Available", "True", "QuorumServes").await?;
            let ready = demo.condition("Ready").await?;
            ensure!(ready.status != "True", "the cluster is Ready: {message}");
            Ok(())
        })
        .await?;

        etcd.signal(Signal::SIGCONT);
        demo.ready().await?;
        ensure!(etcd.is_alive() && demo.restarts().await? == 0, "something was restarted");
        Ok(())
    });
}

#[test]
fn probes_of_a_frozen_volume_are_answered_at_once_and_nobody_is_killed_for_it() {
    play("frozen_volume", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let victim = demo.follower().await?;
        let (ip, claim) = (demo.ip(victim).await?, volume_claim(&demo.member(victim)));
        let frozen = faults.volume(&stage.namespace, &claim).await?.freeze()?;
        fails(stage, &ip).await?;
        answered_at_once(stage, &ip).await?;
        // Kubelet kills an agent that was not alive for two minutes.
        holds("the agent's life", either(Duration::from_secs(10), Duration::from_secs(150)), async || {
            let reply = http::get(&ip, PORT_AGENT, "/livez").await?;
            ensure!(reply.status == 200, "/livez says {}", reply.body);
            Ok(())
        })
        .await?;
        drop(frozen);
        demo.ready().await?;
        ensure!(demo.restarts().await? == 0, "something was restarted");
        Ok(())
    });
}

/// Waits until the readiness probe fails, and wants to hear why.
async fn fails(stage: &Stage, ip: &str) -> Result<()> {
    let said = until("the readiness probe fails", PATIENCE, async || {
        let reply = http::get(ip, PORT_AGENT, "/readyz").await?;
        ensure!(reply.status == 503, "it says {}", reply.status);
        Ok(reply.body)
    })
    .await?;
    let reason = said.lines().find(|line| line.starts_with("[-]") && line.contains("failed: "));
    stage.say(format!("frozen: {}", reason.with_context(|| format!("no reason in: {said}"))?));
    Ok(())
}

/// Asks both probes many times: the member is not ready, and its agent alive.
async fn answered_at_once(stage: &Stage, ip: &str) -> Result<()> {
    for (path, status) in [("/readyz", 503), ("/livez", 200)] {
        let mut slowest = Duration::ZERO;
        for _ in 0..QUESTIONS {
            let Reply { status: said, took, body } = http::get(ip, PORT_AGENT, path).await?;
            ensure!(said == status, "{path} says {said}: {body}");
            slowest = slowest.max(took);
        }
        let slowest_ms = slowest.as_secs_f64() * 1e3;
        stage.say(format!("{path} answers {status}, the slowest of {QUESTIONS} after {slowest_ms:.1} ms"));
        ensure!(slowest < AT_ONCE, "{path} took {slowest:?}");
    }
    Ok(())
}
