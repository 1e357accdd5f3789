//! Each fault of nodes, networks, processes and the control plane, once: it must bite, and its undoing must heal.

use super::stage::Stage;
use crate::bare_etcd::BareEtcd;
use crate::faults::Faults;
use crate::faults::control_plane::Component;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

pub(super) async fn processes(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    let pod = etcd.pod(0);
    let found = faults.processes(&stage.namespace, &pod).await?;
    let process = found.first().context("the pod has no process")?;
    let rss = process.rss_kib().context("etcd has no memory")?;
    ensure!(found.len() == 1 && process.argv[0].ends_with("etcd"), "the pod holds {found:?}");
    let is_etcd = |argv: &[String]| argv[0].ends_with("etcd");
    faults.signal(&stage.namespace, &pod, "etcd", is_etcd, Signal::SIGSTOP).await?;
    ensure!(stage.etcdctl(&pod, "endpoint health").await.is_err(), "a stopped etcd answers");
    faults.signal(&stage.namespace, &pod, "etcd", is_etcd, Signal::SIGCONT).await?;
    stage.until("etcd goes on", async || stage.etcdctl(&pod, "endpoint health").await.is_ok()).await?;
    faults.signal(&stage.namespace, &pod, "etcd", is_etcd, Signal::SIGKILL).await?;
    stage
        .until("kubelet starts etcd again", async || stage.restarts(&pod).await == 1 && stage.is_ready(&pod).await)
        .await?;
    stage.say(format!("etcd ({rss} KiB) hung, went on, was killed and came back"));
    Ok(())
}

pub(super) async fn pod_cut(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    let [alone, one, other] = [etcd.pod(0), etcd.pod(1), etcd.pod(2)];
    let cut = faults.cut_pod(&stage.namespace, &alone, &[&one, &other]).await?;
    stage
        .until("the cut member has no quorum", async || stage.etcdctl(&alone, "endpoint health").await.is_err())
        .await?;
    stage.until("the others have", async || stage.put_and_get(&one, &other, "without-0").await.is_ok()).await?;
    cut.heal();
    stage
        .until("the healed member has it again", async || stage.put_and_get(&alone, &one, "with-0").await.is_ok())
        .await?;
    stage.say("a pod was cut off its peers and healed");
    let isolation = faults.isolate_pod(&stage.namespace, &alone).await?;
    let node_cut = faults.cut_node_from_control_plane(&stage.node_of(&one).await?)?;
    // A node that is cut off refuses nothing: the API server's call just waits.
    let patience = std::time::Duration::from_secs(5);
    let reached = async |pod: &str| {
        let health = tokio::time::timeout(patience, stage.etcdctl(pod, "endpoint health")).await;
        health.is_ok_and(|health| health.is_ok())
    };
    ensure!(!reached(&alone).await && !reached(&one).await, "an isolated pod has a quorum, or a cut node is reached");
    // As if the test had been killed.
    std::mem::forget((isolation, node_cut));
    faults.heal_all().await?;
    stage.until("all is healed", async || reached(&alone).await && reached(&one).await).await?;
    stage.say("a pod was isolated, a node cut off the control plane, and all healed at once");
    Ok(())
}

pub(super) async fn node_cut(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    let [one, other] = [etcd.pod(0), etcd.pod(1)];
    let reach = format!("--endpoints={}:2379 endpoint status", stage.ip_of(&other).await?);
    let [node, other_node] = [stage.node_of(&one).await?, stage.node_of(&other).await?];
    ensure!(node != other_node, "{one} and {other} share a node");
    stage.etcdctl(&one, &reach).await?;
    let cut = faults.cut_nodes(&node, &other_node)?;
    ensure!(stage.etcdctl(&one, &reach).await.is_err(), "{one} reaches {other} through the cut");
    drop(cut);
    stage.until("the cut is healed", async || stage.etcdctl(&one, &reach).await.is_ok()).await?;
    stage.say("two nodes were cut off each other and healed");
    Ok(())
}

pub(super) async fn control_plane(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    faults.stop(Component::ApiServer).await?;
    ensure!(stage.client.apiserver_version().await.is_err(), "a stopped API server answers");
    faults.start(Component::ApiServer).await?;
    stage.until("the API server is back", async || stage.client.apiserver_version().await.is_ok()).await?;
    faults.stop(Component::Scheduler).await?;
    faults.start(Component::Scheduler).await?;
    faults.pause(Component::ControllerManager)?;
    stage.delete_pod(&etcd.pod(2)).await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ensure!(stage.pods().get_opt(&etcd.pod(2)).await?.is_none(), "a hung controller manager made a pod");
    faults.resume(Component::ControllerManager)?;
    stage.until("the deleted pod is back", async || stage.is_ready(&etcd.pod(2)).await).await?;
    stage.say("API server, scheduler and controller manager were stopped and came back");
    Ok(())
}

pub(super) async fn node_power(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    let [one, other, lost] = [etcd.pod(0), etcd.pod(1), etcd.pod(2)];
    let node = stage.node_of(&lost).await?;
    let before = faults.processes(&stage.namespace, &lost).await?;
    let restarts = stage.restarts(&lost).await;
    faults.stop_node(&node).await?;
    ensure!(before.iter().all(|process| !process.is_alive()), "a process outlived its node");
    stage.until("the others have a quorum", async || stage.put_and_get(&one, &other, "one-lost").await.is_ok()).await?;
    faults.start_node(&node).await?;
    let back = async || stage.restarts(&lost).await > restarts && stage.is_ready(&lost).await;
    stage.until("the lost pod is back", back).await?;
    stage
        .until("it has what it missed", async || {
            stage.etcdctl(&lost, "get one-lost").await.is_ok_and(|text| text.contains("value"))
        })
        .await?;
    stage.say(format!("{node} lost its power and came back with its pod and data"));
    Ok(())
}
