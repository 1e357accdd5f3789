//! Promise: a process that dies comes back by itself, at once, and takes nothing else with it.

use crate::harness::demo::spec;
use crate::harness::http;
use crate::harness::{Demo, Manner, PATIENCE, Part, play, until};
use anyhow::{Result, ensure};
use etcd_operator_shared::names::PORT_AGENT;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use testbed::Faults;

/// The goal is 1 s on a quiet machine; the benchmark measures it. This bound is for a busy one.
const ETCD_BACK: Duration = Duration::from_secs(10);

#[test]
fn a_killed_etcd_serves_again_at_once_in_the_same_container() {
    play("etcd_killed", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        for who in ["follower", "leader"] {
            let victim = if who == "leader" { demo.leader().await? } else { demo.follower().await? };
            let etcd = demo.etcd(victim).await?;
            let killed = kill(faults, &demo, victim, Part::Etcd).await?;
            until("the killed member serves again", ETCD_BACK, async || etcd.serves().await).await?;
            stage.say(format!("a {who}'s etcd serves {:.2} s after SIGKILL", killed.elapsed().as_secs_f64()));
            demo.ready().await?;
        }
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        demo.all_vote().await.map(drop)
    });
}

#[test]
fn a_killed_agent_disturbs_neither_etcd_nor_readiness() {
    play("agent_killed", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let before = demo.process(faults, 0, Part::Etcd).await?;
        let ip = demo.ip(0).await?;
        let readiness = demo.watch_readiness();
        for _ in 0..5 {
            let killed = kill(faults, &demo, 0, Part::Sidecar).await?;
            until("the agent answers again", PATIENCE, async || {
                let reply = http::get(&ip, PORT_AGENT, "/readyz").await?;
                ensure!(reply.status == 200, "{}", reply.body);
                Ok(())
            })
            .await?;
            stage.say(format!("the agent says ready {:.2} s after SIGKILL", killed.elapsed().as_secs_f64()));
        }
        // As long as kubelet needs to see three failed probes.
        crate::harness::holds("readiness", Duration::from_secs(7), async || {
            ensure!(readiness.lapses().is_empty(), "pods stopped being Ready: {:?}", readiness.lapses());
            Ok(())
        })
        .await?;
        ensure!(
            demo.process(faults, 0, Part::Etcd).await?.pid() == before.pid() && before.is_alive(),
            "etcd was restarted"
        );
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        Ok(())
    });
}

#[test]
fn a_container_whose_first_process_dies_comes_back() {
    play("pid1_killed", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let etcd = demo.process(faults, 0, Part::Etcd).await?;
        for (part, container) in [(Part::AgentInit, "agent"), (Part::Launcher, "etcd")] {
            let killed = kill(faults, &demo, 0, part).await?;
            if part == Part::AgentInit {
                ensure!(etcd.is_alive(), "etcd died with the agent's container");
            }
            until("the container was restarted", PATIENCE, async || {
                ensure!(restarted(&demo, container).await?, "kubelet has not restarted {container}");
                demo.is_ready().await
            })
            .await?;
            stage.say(format!(
                "Ready {:.2} s after PID 1 of container {container} was killed",
                killed.elapsed().as_secs_f64()
            ));
        }
        ensure!(demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Kills a process and waits until it is gone.
pub async fn kill(faults: &Faults, demo: &Demo<'_>, ordinal: u32, part: Part) -> Result<Instant> {
    let process = demo.process(faults, ordinal, part).await?;
    let at = Instant::now();
    process.signal(Signal::SIGKILL);
    until("the process is gone", Duration::from_secs(5), async || {
        ensure!(!process.is_alive(), "{part:?} lives on after SIGKILL");
        Ok(())
    })
    .await?;
    Ok(at)
}

async fn restarted(demo: &Demo<'_>, container: &str) -> Result<bool> {
    let pod = demo.pod(0).await?;
    let mut statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    Ok(statuses.any(|one| one.name == container && one.restart_count > 0))
}
