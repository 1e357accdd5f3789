//! EtcdBackups and EtcdRestores: made as a user makes them, and asked how far they are.

use super::{Demo, Stage, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::backup::BackupPhase;
use etcd_operator_shared::api::restore::RestorePhase;
use etcd_operator_shared::api::{EtcdBackup, EtcdBackupStatus, EtcdRestore, EtcdRestoreStatus};
use etcd_operator_shared::backup;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// A small backup is taken and proven in ten seconds, by a pod that has to start first.
pub const TAKEN: Duration = Duration::from_secs(120);
/// kubelet brings a Secret into a pod that runs within a minute and a half, and an agent that has failed tries again after one to two
/// minutes.
pub const MENDED: Duration = Duration::from_secs(300);

/// Orders a backup.
///
/// # Errors
/// When the API server refuses it.
pub async fn order(stage: &Stage, name: &str, cluster: &str) -> Result<EtcdBackup> {
    let object = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdBackup", "metadata": {"name": name}, "spec": {"cluster": cluster},
    });
    Ok(stage.api::<EtcdBackup>().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
}

/// Orders a backup and waits until it is verified.
///
/// # Errors
/// When it does not get that far in time.
pub async fn verified(stage: &Stage, name: &str, cluster: &str) -> Result<EtcdBackupStatus> {
    order(stage, name, cluster).await?;
    becomes(stage, name, BackupPhase::Verified, TAKEN).await
}

/// Waits until an EtcdBackup is so far, and returns what it says.
///
/// # Errors
/// When it does not get there in time.
pub async fn becomes(stage: &Stage, name: &str, phase: BackupPhase, within: Duration) -> Result<EtcdBackupStatus> {
    until(&format!("EtcdBackup {name} is {phase:?}"), within, async || {
        let status = stage.api::<EtcdBackup>().get(name).await?.status.unwrap_or_default();
        ensure!(status.phase == Some(phase), "it is {:?}: {}", status.phase, sentences(&status.conditions));
        let wanted = if phase == BackupPhase::Verified { "True" } else { "False" };
        for kind in ["Ready", "Verified"] {
            let said = status.conditions.iter().find(|one| one.type_ == kind);
            let said = said.with_context(|| format!("it has no condition {kind}"))?;
            ensure!(said.status == wanted, "{kind} is {}: {} {}", said.status, said.reason, said.message);
        }
        Ok(status)
    })
    .await
}

/// Waits until an EtcdBackup says one of these words, and returns the sentence.
///
/// # Errors
/// When it does not in time, or is verified.
pub async fn says(stage: &Stage, name: &str, words: &[&str]) -> Result<String> {
    until(&format!("EtcdBackup {name} says one of {words:?}"), TAKEN, async || {
        let status = stage.api::<EtcdBackup>().get(name).await?.status.unwrap_or_default();
        ensure!(status.phase != Some(BackupPhase::Verified), "it is verified");
        sentence(&status.conditions, words)
    })
    .await
}

/// Name in the store of an ordered backup.
///
/// # Errors
/// When there is no such EtcdBackup.
pub async fn stored_as(stage: &Stage, name: &str) -> Result<String> {
    let uid = stage.api::<EtcdBackup>().get(name).await?.uid().context("it has a UID")?;
    Ok(backup::ordered(&uid))
}

/// Makes an EtcdRestore for a cluster.
///
/// # Errors
/// When the API server refuses it.
pub async fn restore(stage: &Stage, name: &str, cluster: &str, source: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdRestore", "metadata": {"name": name},
        "spec": {"cluster": cluster, "source": source},
    });
    stage.api::<EtcdRestore>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Waits until an EtcdRestore is done, and returns what it says.
///
/// # Errors
/// When it is not in time.
pub async fn completes(stage: &Stage, name: &str) -> Result<EtcdRestoreStatus> {
    until(&format!("EtcdRestore {name} is Completed"), TAKEN, async || {
        let status = stage.api::<EtcdRestore>().get(name).await?.status.unwrap_or_default();
        let done = status.phase == Some(RestorePhase::Completed);
        ensure!(done, "it is {:?}: {}", status.phase, sentences(&status.conditions));
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready").context("it has no condition Ready")?;
        ensure!(ready.status == "True", "Ready is {}: {} {}", ready.status, ready.reason, ready.message);
        Ok(status)
    })
    .await
}

/// Waits until an EtcdRestore says one of these words, and returns the sentence.
///
/// # Errors
/// When it does not in time, or is done.
pub async fn refuses(stage: &Stage, name: &str, words: &[&str]) -> Result<String> {
    until(&format!("EtcdRestore {name} says one of {words:?}"), TAKEN, async || {
        let status = stage.api::<EtcdRestore>().get(name).await?.status.unwrap_or_default();
        ensure!(status.phase != Some(RestorePhase::Completed), "it is done");
        sentence(&status.conditions, words)
    })
    .await
}

/// Fails unless a cluster waits for what it begins with: no life, no pod of its own.
///
/// # Errors
/// With what is there.
pub async fn has_not_begun(demo: &Demo<'_>) -> Result<()> {
    let status = demo.get().await?.status.unwrap_or_default();
    ensure!(status.incarnation.is_none(), "it has begun: {:?}", status.incarnation);
    let pods = demo.pods().await?;
    ensure!(pods.is_empty(), "{} pods of it are there", pods.len());
    Ok(())
}

/// Waits until no pod is there but the members' own.
///
/// # Errors
/// When one stays.
pub async fn only_members_are_left(stage: &Stage, demos: &[&Demo<'_>]) -> Result<()> {
    until("no throw-away pod is left", TAKEN, async || {
        let all = stage.api::<Pod>().list(&ListParams::default()).await?;
        let is_member = |pod: &str| demos.iter().any(|demo| demo.members().any(|member| member == pod));
        let others: Vec<String> = all.iter().map(ResourceExt::name_any).filter(|pod| !is_member(pod)).collect();
        ensure!(others.is_empty(), "{others:?} are there");
        Ok(())
    })
    .await
}

fn sentence(conditions: &[Condition], words: &[&str]) -> Result<String> {
    let says = |one: &&Condition| words.iter().any(|word| one.message.to_lowercase().contains(&word.to_lowercase()));
    let found = conditions.iter().find(says).with_context(|| format!("it says: {}", sentences(conditions)))?;
    Ok(format!("{}: {}", found.reason, found.message))
}

fn sentences(conditions: &[Condition]) -> String {
    let all: Vec<String> =
        conditions.iter().map(|one| format!("{}={} {}: {}", one.type_, one.status, one.reason, one.message)).collect();
    all.join("; ")
}
