//! Volumes: each way of breaking one, and one that moves between nodes.

use super::stage::Stage;
use crate::bare_etcd::BareEtcd;
use crate::faults::Faults;
use crate::faults::control_plane::Component;
use crate::faults::volume::Volume;
use crate::image::etcd_image;
use crate::storage::NETWORK;
use crate::toolchain::ETCD_VERSIONS;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;
use std::fs;
use std::process::Command;
use std::time::Duration;

pub(super) async fn faults(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    let pod = etcd.pod(2);
    let volume = faults.volume(&stage.namespace, &etcd.claim(2)).await?;
    full(&volume)?;
    hung(&volume)?;
    corrupt(&volume)?;
    stage.say("a volume was full, hung, corrupt, and is well again");
    let meets_error = async || {
        let _ = volume.fail();
        fs::write(volume.path().unwrap_or_default().join("probe"), "x").is_err()
    };
    stage.until("the failing volume is read-only", meets_error).await?;
    // An idle etcd writes nothing, so it must be given something to write.
    let dies = async || stage.etcdctl(&etcd.pod(0), "put probe x").await.is_ok() && !stage.is_ready(&pod).await;
    stage.until("etcd dies of a write that fails", dies).await?;
    // A hung controller manager makes no new pod that would take the volume first.
    faults.pause(Component::ControllerManager)?;
    stage.delete_pod(&pod).await?;
    let repaired = stage.until("the volume is repaired", async || volume.repair().is_ok()).await;
    faults.resume(Component::ControllerManager)?;
    repaired?;
    stage.until("etcd runs on the repaired volume", async || stage.is_ready(&pod).await).await?;
    stage.etcdctl(&pod, "get hello").await?;
    stage.say("a volume failed, and was repaired with its data");
    Ok(())
}

fn full(volume: &Volume) -> Result<()> {
    let path = volume.path()?;
    let filled = volume.fill()?;
    ensure!(fs::write(path.join("probe"), vec![1; 8192]).is_err(), "a full volume takes 8 KiB");
    drop(filled);
    fs::write(path.join("probe"), vec![1; 8192]).context("a volume with room again")
}

fn hung(volume: &Volume) -> Result<()> {
    let probe = volume.path()?.join("probe-of-a-hung-disk");
    let frozen = volume.freeze()?;
    let mut touch = Command::new("touch").arg(&probe).spawn()?;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(touch.try_wait()?.is_none(), "a hung volume takes a file");
    drop(frozen);
    ensure!(touch.wait()?.success(), "a thawed volume takes no file");
    Ok(())
}

fn corrupt(volume: &Volume) -> Result<()> {
    let probe = volume.path()?.join("probe");
    fs::write(&probe, "good")?;
    volume.corrupt("probe", 1, b"a")?;
    ensure!(fs::read(&probe)? == b"gaod", "the file is not corrupt");
    Ok(())
}

/// A pod on one node writes, a second pod on another must wait for the volume, and finds the data once the first is
/// gone.
pub(super) async fn moves(stage: &Stage, faults: &Faults) -> Result<()> {
    let claim = json!({"metadata": {"name": "moving"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": NETWORK, "resources": {"requests": {"storage": "256Mi"}},
    }});
    let claims = Api::<PersistentVolumeClaim>::namespaced(stage.client.clone(), &stage.namespace);
    claims.create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
    stage.create_pod(mover("first", "n1")).await?;
    stage.until("the first pod runs", async || stage.is_ready("first").await).await?;
    stage.etcdctl("first", "put moved yes").await?;
    stage.create_pod(mover("second", "n2")).await?;
    stage.until("the volume is refused to a second node", async || refused(stage).await).await?;
    stage.delete_pod("first").await?;
    stage.until("the second pod runs", async || stage.is_ready("second").await).await?;
    ensure!(stage.etcdctl("second", "get moved").await?.contains("yes"), "the data did not move along");
    stage.say("a network volume moved from n1 to n2, and was refused before");
    let volume = faults.volume(&stage.namespace, "moving").await?;
    stage.delete_pod("second").await?;
    stage.until("the volume is replaced by a blank one", async || volume.replace().is_ok()).await?;
    stage.create_pod(mover("third", "n3")).await?;
    stage.until("the third pod runs", async || stage.is_ready("third").await).await?;
    ensure!(stage.etcdctl("third", "get moved").await?.is_empty(), "a blank volume holds data");
    stage.say("a volume was replaced by a blank one");
    Ok(())
}

async fn refused(stage: &Stage) -> bool {
    let events = Api::<Event>::namespaced(stage.client.clone(), &stage.namespace).list(&ListParams::default()).await;
    let refusal =
        |event: &Event| event.message.as_deref().is_some_and(|message| message.contains("Multi-Attach error"));
    events.is_ok_and(|events| events.items.iter().any(refusal))
}

fn mover(name: &str, node: &str) -> serde_json::Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "fsGroup": 1000},
            "containers": [{
                "name": "etcd", "image": etcd_image(ETCD_VERSIONS[2]),
                "args": ["--data-dir=/data/etcd", "--listen-metrics-urls=http://0.0.0.0:2381"],
                "readinessProbe": {"httpGet": {"path": "/health", "port": 2381}, "periodSeconds": 1},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "moving"}}],
        },
    })
}
