//! Promise: `kubectl etcd` tells the truth about a cluster, names what is wrong with it, and does what it is asked; its exit codes can be
//! relied on.

use crate::harness::demo::{spec, spec_with};
use crate::harness::plugin::kubectl_etcd;
use crate::harness::{Bucket, Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use testbed::store::Traffic;
use tokio::process::Command;

/// What a person does on a day with a cluster of three.
#[test]
fn kubectl_etcd_tells_the_truth_and_does_what_it_is_asked() {
    play("plugin", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        sees(stage, &demo).await.context("what is seen of a cluster that is well")?;
        saves(stage, &demo).await.context("a snapshot")?;
        makes_small(stage, &demo).await.context("databases")?;
        diagnoses(stage, &demo).await.context("a version that cannot be")?;
        holds(stage, &demo).await.context("a member that is held")?;
        demo.settles(PATIENCE).await
    });
}

#[test]
fn kubectl_etcd_waits_until_a_backup_is_verified_and_a_version_runs() {
    play("plugin_waits", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let (demo, _) = Demo::up(stage, "demo", spec_with(1, json!({"backup": {"store": bucket.store()}}))).await?;
        let backup = kubectl_etcd(stage, &["backup", "demo", "--wait", "--timeout", "2m"]).await?.with(0)?;
        ensure!(backup.out.contains("is verified"), "it says {}{}", backup.out, backup.err);
        stage.say(format!("kubectl etcd backup demo --wait:\n{}{}", backup.err, backup.out));
        let upgrade = ["upgrade", "demo", "v3.5.35", "--wait", "--timeout", "2m"];
        let upgrade = kubectl_etcd(stage, &upgrade).await?.with(0)?;
        stage.say(format!("kubectl etcd upgrade demo v3.5.35 --wait:\n{}{}", upgrade.err, upgrade.out));
        let page = kubectl_etcd(stage, &["status", "demo", "-o", "json"]).await?.with(0)?.json()?;
        ensure!(page["version"]["running"] == "v3.5.35", "it says {page:#}");
        demo.settles(PATIENCE).await
    });
}

async fn sees(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let leader = demo.member(demo.leader().await?);
    until("the plugin names etcd's leader, and all members serve", PATIENCE, async || {
        let page = kubectl_etcd(stage, &["status", "demo", "-o", "json"]).await?.with(0)?.json()?;
        ensure!(page["leader"] == *leader && page["serving"] == "3/3", "{leader} leads, and it says {page:#}");
        let members = page["members"].as_array().context("it lists members")?;
        let well = |one: &Value| one["ready"] == "True" && one["version"] == "v3.5.21";
        ensure!(members.len() == 3 && members.iter().all(well), "it says {page:#}");
        Ok(())
    })
    .await?;
    let page = kubectl_etcd(stage, &["status", "demo"]).await?.with(0)?;
    stage.say(format!("kubectl etcd status demo:\n{}", page.out));
    let list = kubectl_etcd(stage, &["status"]).await?.with(0)?;
    ensure!(list.out.lines().count() == 2 && list.out.contains("3/3"), "it lists {}", list.out);
    let members = kubectl_etcd(stage, &["members", "demo", "-o", "json"]).await?.with(0)?.json()?;
    for ordinal in 0..demo.size {
        let id = testbed::etcd::hex(demo.etcd(ordinal).await?.said().await?.member_id);
        ensure!(members["members"][ordinal as usize]["id"] == *id, "{} is {id}: {members:#}", demo.member(ordinal));
    }
    kubectl_etcd(stage, &["health", "demo"]).await?.with(0)?;
    until("nothing is found wrong", PATIENCE, async || {
        let report = kubectl_etcd(stage, &["diagnose", "demo", "-o", "json"]).await?.with(0)?.json()?;
        ensure!(faults(&report).is_empty(), "it says {report:#}");
        Ok(())
    })
    .await?;
    for verb in ["status", "members", "health", "diagnose", "backup"] {
        kubectl_etcd(stage, &[verb, "nobody"]).await?.with(3)?;
    }
    kubectl_etcd(stage, &["backup", "demo"]).await?.with(6)?;
    let logs = kubectl_etcd(stage, &["logs", "demo", "--tail", "5"]).await?.with(0)?;
    for ordinal in 0..demo.size {
        let etcd = format!("{} etcd", demo.member(ordinal));
        ensure!(logs.out.lines().any(|line| line.starts_with(&etcd)), "no line of {etcd}:\n{}", logs.out);
    }
    Ok(())
}

/// Old revisions are forgotten, and each member's file is written anew; leadership moves once.
async fn makes_small(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let (etcd, leader) = (demo.etcd(0).await?, demo.leader().await?);
    let first = etcd.put("key", "old").await?.revision;
    etcd.put("key", "new").await?;
    kubectl_etcd(stage, &["compact", "demo"]).await?.with(0)?;
    ensure!(etcd.contents(first).await.is_err(), "revision {first} was not forgotten");
    let done = kubectl_etcd(stage, &["defrag", "demo"]).await?.with(0)?;
    stage.say(format!("kubectl etcd defrag demo:\n{}", done.out));
    let each = demo.members().all(|member| done.out.contains(&format!("the database of {member} went from ")));
    ensure!(each && done.out.contains(" leads now"), "it says {}", done.out);
    let moved = until("another one leads", PATIENCE, async || demo.leader().await).await?;
    ensure!(moved != leader, "{} leads as before", demo.member(leader));
    ensure!(etcd.get("key").await?.as_deref() == Some("new"), "a key was lost");
    kubectl_etcd(stage, &["defrag", "demo", "--member", "demo-9"]).await?.with(3)?;
    Ok(())
}

/// What is saved is opened by etcd's own tool, and holds what was acknowledged before.
async fn saves(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let value = format!("value-of-{}", stage.namespace);
    let revision = demo.etcd(0).await?.put("key", &value).await?.revision;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("etcd.db");
    let path = file.to_str().context("a path of letters")?;
    let leader = demo.member(demo.leader().await?);
    let saved = kubectl_etcd(stage, &["snapshot", "save", "demo", path, "--member", &leader]).await?.with(0)?;
    stage.say(saved.out.trim());
    let bytes = std::fs::read(&file)?;
    let holds = bytes.windows(value.len()).any(|some| some == value.as_bytes());
    ensure!(holds, "a snapshot of {} bytes does not hold {value}", bytes.len());
    opens(stage, &file, revision).await?;
    let report = folder.path().join("demo.zip");
    kubectl_etcd(stage, &["report", "demo", "--out", report.to_str().context("a path of letters")?]).await?.with(0)?;
    ensure!(std::fs::metadata(&report)?.len() > 0, "the report is empty");
    let left = std::fs::read_dir(folder.path())?.count();
    ensure!(left == 2, "there are {left} files, and two were asked for");
    kubectl_etcd(stage, &["snapshot", "save", "demo", "/nowhere/etcd.db"]).await?.with(1)?;
    Ok(())
}

/// Where the testbed has etcd's tools.
async fn opens(stage: &Stage, file: &Path, revision: i64) -> Result<()> {
    let Some(testbed) = stage.cluster().testbed() else { return Ok(()) };
    let mut etcdutl = Command::new(testbed.layout().bin().join("etcdutl"));
    let output = etcdutl.args(["snapshot", "status", "-w", "json"]).arg(file).output().await.context("run etcdutl")?;
    let said: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("etcdutl says {output:?}"))?;
    ensure!(said["revision"].as_i64() >= Some(revision), "{revision} was put before: {said}");
    Ok(())
}

/// Planted: a version that is two minor versions away. It is refused, named, and touches nothing.
async fn diagnoses(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let refused = kubectl_etcd(stage, &["upgrade", "demo", "v3.7.3", "--wait", "--timeout", "2m"]).await?.with(6)?;
    ensure!(refused.err.contains("VersionRefused"), "it says {}", refused.err);
    let report = kubectl_etcd(stage, &["diagnose", "demo", "-o", "json"]).await?.with(4)?.json()?;
    let faults = faults(&report);
    let named = faults.iter().any(|fault| fault["check"] == "Spec" && fault["message"].to_string().contains("v3.5.26"));
    ensure!(named, "it says {report:#}");
    let page = kubectl_etcd(stage, &["diagnose", "demo"]).await?.with(4)?;
    stage.say(format!("kubectl etcd diagnose demo:\n{}", page.out));
    kubectl_etcd(stage, &["upgrade", "demo", "v3.5.21", "--wait", "--timeout", "2m"]).await?.with(0)?;
    ensure!(demo.restarts().await? == 0, "a container was restarted");
    Ok(())
}

/// A member that is held is off, and no second one is held beside it; released it serves again.
async fn holds(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let (held, leader) = (demo.member(demo.follower().await?), demo.member(demo.leader().await?));
    // Nobody can be asked here.
    kubectl_etcd(stage, &["hold", "demo", &held]).await?.with(2)?;
    kubectl_etcd(stage, &["hold", "demo", "demo-7", "--yes"]).await?.with(3)?;
    kubectl_etcd(stage, &["hold", "demo", &held, "--yes"]).await?.with(0)?;
    until("the member that is held is unhealthy, and why is said", PATIENCE, async || {
        let health = kubectl_etcd(stage, &["health", "demo"]).await?.with(4)?;
        ensure!(
            health.out.lines().any(|line| line.starts_with(&held) && line.contains("HeldBySpec")),
            "{}",
            health.out
        );
        Ok(())
    })
    .await?;
    kubectl_etcd(stage, &["status", "demo"]).await?.with(4)?;
    kubectl_etcd(stage, &["hold", "demo", &leader, "--yes"]).await?.with(6)?;
    kubectl_etcd(stage, &["release", "demo", &held]).await?.with(0)?;
    until("all members are healthy again", PATIENCE, async || {
        kubectl_etcd(stage, &["health", "demo"]).await?.with(0).map(drop)
    })
    .await
}

fn faults(report: &Value) -> Vec<&Value> {
    let all = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|one| one["outcome"] == "Fault").collect()
}
