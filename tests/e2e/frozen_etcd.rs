//! Promise: a probe is answered at once and names the reason, also while etcd hangs; nobody restarts a member for it.

use crate::harness::demo::spec;
use crate::harness::http::{self, Reply};
use crate::harness::{Demo, Manner, PATIENCE, Part, play, until};
use anyhow::ensure;
use etcd_operator_shared::names::PORT_AGENT;
use nix::sys::signal::Signal;
use std::time::Duration;

/// The goal is far below; the benchmark measures it. This bound is for a busy machine.
const AT_ONCE: Duration = Duration::from_millis(100);
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
        let reason = until("the readiness probe fails", PATIENCE, async || {
            let reply = http::get(&ip, PORT_AGENT, "/readyz").await?;
            ensure!(reply.status == 503, "it says {}", reply.status);
            Ok(reply.body)
        })
        .await?;
        stage.say(format!("frozen: {}", reason.lines().find(|line| line.starts_with("[-]")).unwrap_or("no reason")));
        ensure!(
            reason.lines().any(|line| line.starts_with("[-]") && line.contains("failed: ")),
            "no reason in: {reason}"
        );

        for (path, status) in [("/readyz", 503), ("/livez", 200)] {
            let mut slowest = Duration::ZERO;
            for _ in 0..QUESTIONS {
                let Reply { status: said, took, body } = http::get(&ip, PORT_AGENT, path).await?;
                ensure!(said == status, "{path} says {said}: {body}");
                slowest = slowest.max(took);
            }
            stage.say(format!(
                "{path} answers {status}, the slowest of {QUESTIONS} after {:.1} ms",
                slowest.as_secs_f64() * 1e3
            ));
            ensure!(slowest < AT_ONCE, "{path} took {slowest:?}");
        }
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
