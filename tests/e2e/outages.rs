//! Promise: a cluster keeps itself alive while the coordinator and the whole API server are away.

use crate::harness::demo::spec;
use crate::harness::etcd::Etcd;
use crate::harness::http;
use crate::harness::{Client, Demo, Manner, PATIENCE, Part, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{PORT_AGENT, PORT_CLIENT};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::faults::control_plane::Component;
use testbed::faults::process::PodProcess;

/// Kubelet waits 10 s before it restarts a container that ended twice within ten minutes.
const BACK: Duration = Duration::from_secs(120);

#[test]
fn members_come_back_while_coordinator_and_api_server_are_away() {
    play("outages", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let seats = Seat::all(faults, &demo).await?;
        let client = Client::start(&demo).await?;
        client.next(PATIENCE).await?;
        stage.kill_coordinator().await?;
        stage.stop_part(faults, Component::ApiServer).await?;

        seats[0].etcd_comes_back(stage).await?;
        seats[1].agent_comes_back(stage).await?;
        seats[2].agent_container_comes_back(stage).await?;
        client.next(PATIENCE).await?;
        seats[1].etcd_container_comes_back(stage).await?;
        client.next(PATIENCE).await?;

        stage.start_part(faults, Component::ApiServer).await?;
        stage.start_coordinator(&crate::harness::stage::agent_image())?;
        // A status that is merely old would not speak of a new spec.
        let spec = json!({"service": {"annotations": {"after": "the outage"}}});
        until("the API server takes a change", PATIENCE, async || demo.patch_spec(spec.clone()).await).await?;
        demo.ready().await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        let status = demo.get().await?.status.context("it has a status")?;
        let leader = demo.member(demo.leader().await?);
        ensure!(status.leader.as_deref() == Some(&leader), "status names {:?}, etcd {leader}", status.leader);
        Ok(())
    });
}

#[test]
fn a_coordinator_that_was_away_notices_what_changed() {
    play("coordinator_away", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        stage.stop_coordinator().await?;
        let other = Demo::create(stage, "other", spec(1)).await?;
        demo.delete_pod(0, 1).await?;
        until("the pod comes back without a coordinator", PATIENCE, async || demo.etcd(0).await?.serves().await)
            .await?;
        stage.start_coordinator(&crate::harness::stage::agent_image())?;
        other.ready().await?;
        demo.ready().await
    });
}

/// What is known of a member before the API server goes.
struct Seat {
    name: String,
    ip: String,
    processes: Vec<(Part, PodProcess)>,
}

impl Seat {
    async fn all(faults: &Faults, demo: &Demo<'_>) -> Result<Vec<Self>> {
        let mut seats = Vec::new();
        for ordinal in 0..demo.size {
            let mut processes = Vec::new();
            for part in [Part::Etcd, Part::Launcher, Part::AgentInit, Part::Sidecar] {
                processes.push((part, demo.process(faults, ordinal, part).await?));
            }
            seats.push(Self { name: demo.member(ordinal), ip: demo.ip(ordinal).await?, processes });
        }
        Ok(seats)
    }

    fn process(&self, part: Part) -> Result<&PodProcess> {
        self.processes.iter().find(|(own, _)| *own == part).map(|(_, process)| process).context("every part was found")
    }

    async fn kill(&self, part: Part) -> Result<Instant> {
        let (process, at) = (self.process(part)?, Instant::now());
        process.signal(Signal::SIGKILL);
        until("the process is gone", Duration::from_secs(5), async || {
            ensure!(!process.is_alive(), "{part:?} lives on after SIGKILL");
            Ok(())
        })
        .await?;
        Ok(at)
    }

    async fn etcd_comes_back(&self, stage: &Stage) -> Result<()> {
        let at = self.kill(Part::Etcd).await?;
        self.serves().await?;
        self.tell(stage, "etcd", at);
        Ok(())
    }

    async fn agent_comes_back(&self, stage: &Stage) -> Result<()> {
        let at = self.kill(Part::Sidecar).await?;
        self.is_ready().await?;
        self.tell(stage, "the agent", at);
        ensure!(self.process(Part::Etcd)?.is_alive(), "etcd died with the agent");
        Ok(())
    }

    async fn agent_container_comes_back(&self, stage: &Stage) -> Result<()> {
        let at = self.kill(Part::AgentInit).await?;
        self.is_ready().await?;
        self.tell(stage, "PID 1 of container agent", at);
        ensure!(self.process(Part::Etcd)?.is_alive(), "etcd died with the agent's container");
        Ok(())
    }

    async fn etcd_container_comes_back(&self, stage: &Stage) -> Result<()> {
        let at = self.kill(Part::Launcher).await?;
        self.serves().await?;
        self.is_ready().await?;
        self.tell(stage, "PID 1 of container etcd", at);
        Ok(())
    }

    async fn serves(&self) -> Result<()> {
        let what = format!("{} serves without an API server", self.name);
        until(&what, BACK, async || Etcd::at(&self.ip, PORT_CLIENT).await?.serves().await).await
    }

    /// Its agent says that it is ready, and that the API server is away.
    async fn is_ready(&self) -> Result<()> {
        until(&format!("{} is ready without an API server", self.name), BACK, async || {
            let reply = http::get(&self.ip, PORT_AGENT, "/readyz").await?;
            ensure!(reply.status == 200, "{}", reply.body);
            let page: Value = serde_json::from_str(&http::get(&self.ip, PORT_AGENT, "/status").await?.body)?;
            ensure!(page["apiServer"]["connected"] == false, "the agent says that the API server answers");
            Ok(())
        })
        .await
    }

    fn tell(&self, stage: &Stage, what: &str, at: Instant) {
        stage.say(format!(
            "API server away: {} is back {:.2} s after SIGKILL of {what}",
            self.name,
            at.elapsed().as_secs_f64()
        ));
    }
}
