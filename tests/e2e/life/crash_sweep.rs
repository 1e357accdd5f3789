//! Promise: an agent that dies between any two side effects of joining, leaving or replacing a lost disk goes on where it was.

use crate::encrypted::encrypted;
use crate::harness::{Client, Demo, Loss, Manner, Part, Sampler, Stage, play};
use anyhow::{Context, Result, ensure};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt};
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

use crate::bootstrap_crashes::crashing_agent;
use crate::harness::pods;

/// Each step, with deaths at every point of it.
const CONVERGES: Duration = Duration::from_secs(180);
/// Where the points are listed.
const SOURCE: &str = include_str!("../../../agent/src/crash.rs");

#[test]
fn agents_that_die_at_every_point_of_membership_go_on() {
    play("crash_sweep", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        stage.stop_coordinator().await?;
        stage.start_coordinator(&crashing_agent())?;
        let scribe = Scribe::start(stage);
        // Kept volumes, so that a member joins on the volume of its former life too.
        let keep = json!({"storage": {"retention": {"whenScaled": "Retain"}}});
        let (one, _) = Demo::up(stage, "demo", encrypted(1, &keep)).await?;
        let id = one.all_vote().await?;
        let (client, sampler) = (Client::start(&one).await?, Sampler::start(&one).await?);

        let three = step(&scribe, &one, "join", async || one.resize(3).await).await?;
        three.lead(2).await?;
        let one = step(&scribe, &three, "leave, the leader among them", async || three.resize(1).await).await?;
        let three = step(&scribe, &one, "join on kept volumes", async || one.resize(3).await).await?;
        for loss in [Loss::Emptied, Loss::Claim] {
            let former = three.id(1).await?;
            let lose = async || three.lose(faults, 1, loss).await.map(|()| three.clone());
            step(&scribe, &three, &format!("lost disk: {loss:?}"), lose).await?;
            ensure!(three.id(1).await? != former, "{loss:?}: the old ID came back");
        }

        // Removed by the leader's agent, and out before its own etcd knows.
        three.process(faults, 2, Part::Etcd).await?.signal(Signal::SIGSTOP);
        let one = step(&scribe, &three, "leave, with an etcd that hangs", async || three.resize(1).await).await?;

        let (listed, visited) = (points(), scribe.visited());
        let missed: Vec<_> = listed.difference(&visited).collect();
        ensure!(missed.is_empty(), "nobody died at {missed:?}");
        stage.say(format!("all {} points were died at", listed.len()));
        sampler.finish(&one).await?;
        let report = client.finish(&one).await?;
        ensure!(report.cluster == id && one.all_vote().await? == id, "the cluster ID changed");
        ensure!(one.restarts().await? == 0, "containers were restarted");
        Ok(())
    });
}

/// Does something to the cluster, waits until it has converged, and says who died where.
async fn step<'a>(
    scribe: &Scribe,
    before: &Demo<'a>,
    what: &str,
    does: impl AsyncFn() -> Result<Demo<'a>>,
) -> Result<Demo<'a>> {
    let earlier = scribe.deaths();
    let demo = does().await?;
    demo.settles(CONVERGES).await.with_context(|| format!("{what}, from {} members", before.size))?;
    let deaths: BTreeMap<String, Vec<String>> = scribe
        .deaths()
        .into_iter()
        .map(|(pod, points)| {
            let known = earlier.get(&pod).map_or(0, Vec::len);
            (pod, points[known..].to_vec())
        })
        .filter(|(_, points)| !points.is_empty())
        .collect();
    demo.stage.say(format!("{what}: {deaths:?}"));
    Ok(demo)
}

/// The points that the agent lists.
fn points() -> BTreeSet<String> {
    let list = SOURCE.split_once("POINTS").and_then(|(_, rest)| rest.split_once("];")).map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Reads the logs of all agents as they are written: those of members that leave are gone with their pods.
struct Scribe {
    deaths: Deaths,
    task: JoinHandle<()>,
}

/// Points by the pod whose agent died there.
type Deaths = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

impl Scribe {
    fn start(stage: &Stage) -> Self {
        let deaths = Deaths::default();
        let task = tokio::spawn(follow_all(stage.api(), Arc::clone(&deaths)));
        Self { deaths, task }
    }

    fn deaths(&self) -> BTreeMap<String, Vec<String>> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn visited(&self) -> BTreeSet<String> {
        self.deaths().into_values().flatten().collect()
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow_all(api: Api<Pod>, deaths: Deaths) {
    let mut known = BTreeSet::new();
    // Aborted with the scribe.
    let mut readers = JoinSet::new();
    loop {
        for pod in api.list(&kube::api::ListParams::default()).await.into_iter().flatten() {
            let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
            if pods::runs(&pod, "agent") && known.insert(uid.clone()) {
                readers.spawn(follow(api.clone(), name, uid, Arc::clone(&deaths)));
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn follow(api: Api<Pod>, name: String, uid: String, deaths: Deaths) {
    let params = LogParams { follow: true, container: Some("agent".into()), ..LogParams::default() };
    let Ok(log) = api.log_stream(&name, &params).await else { return };
    let mut lines = log.lines();
    while let Ok(Some(line)) = lines.try_next().await {
        if let Some((_, point)) = line.split_once("crash point ") {
            let mut deaths = deaths.lock().unwrap_or_else(PoisonError::into_inner);
            let pod = format!("{name} ({})", &uid[..uid.len().min(4)]);
            deaths.entry(pod).or_default().push(point.trim().to_owned());
        }
    }
}
