//! Promise: any allowed size and version comes up, all members vote and serve, people's own commands work, and the status is true.

use crate::harness::demo::spec_with;
use crate::harness::etcd::hex;
use crate::harness::{Demo, Manner, Stage, play};
use anyhow::{Context, Result, ensure};
use serde_json::json;

#[test]
fn one_and_three_members_come_up() {
    play("sizes_small", Manner::Beside, async |stage| {
        comes_up(stage, 1, "v3.5.21").await?;
        comes_up(stage, 3, "v3.5.21").await
    });
}

#[test]
fn five_and_seven_members_come_up() {
    play("sizes_large", Manner::Beside, async |stage| {
        comes_up(stage, 5, "v3.5.21").await?;
        comes_up(stage, 7, "v3.5.21").await
    });
}

#[test]
fn etcd_3_6_and_3_7_come_up() {
    play("sizes_versions", Manner::Beside, async |stage| {
        comes_up(stage, 3, "v3.6.16").await?;
        comes_up(stage, 3, "v3.7.3").await
    });
}

async fn comes_up(stage: &Stage, size: u32, version: &str) -> Result<()> {
    let (demo, took) = Demo::up(stage, "demo", spec_with(size, json!({ "version": version }))).await?;
    stage.say(format!("size {size} of {version} is Ready after {:.2} s", took.as_secs_f64()));
    let id = demo.all_vote().await?;
    people_see_it(&demo).await?;
    status_is_true(&demo, version, &id).await?;
    let last = size - 1;
    demo.etcd(0).await?.put("greeting", "hello").await?;
    ensure!(
        demo.etcd(last).await?.get("greeting").await?.as_deref() == Some("hello"),
        "member {last} reads something else"
    );
    ensure!(demo.restarts().await? == 0, "containers were restarted");
    demo.delete().await
}

/// The two commands that people type first, without `-c` and without flags.
async fn people_see_it(demo: &Demo<'_>) -> Result<()> {
    let list = demo.exec_cleanly(0, &["--", "etcdctl", "member", "list"]).await?;
    let started = list.lines().filter(|line| line.contains("started") && line.trim_end().ends_with("false")).count();
    ensure!(started == demo.size as usize, "etcdctl member list shows {started} started voters:\n{list}");
    demo.exec(0, &["--", "etcdctl", "endpoint", "health"]).await.map(drop)
}

async fn status_is_true(demo: &Demo<'_>, version: &str, id: &str) -> Result<()> {
    let status = demo.get().await?.status.context("it has a status")?;
    let leader = demo.member(demo.leader().await?);
    ensure!(status.leader.as_deref() == Some(&leader), "status names {:?}, etcd {leader}", status.leader);
    ensure!(status.cluster_id.as_deref() == Some(id), "status shows cluster ID {:?}, etcd {id}", status.cluster_id);
    ensure!(status.version.as_deref() == Some(version), "status shows version {:?}", status.version);
    ensure!(status.ready.as_deref() == Some(&format!("{0}/{0}", demo.size)), "status counts {:?}", status.ready);
    let mut own = Vec::new();
    for (name, etcd) in demo.members().zip(demo.etcds().await?) {
        own.push((name, Some(hex(etcd.said().await?.member_id)), "True".to_owned()));
    }
    let shown: Vec<_> = status.members.into_iter().map(|one| (one.name, one.id, one.ready)).collect();
    ensure!(shown == own, "status shows the members {shown:?}, etcd {own:?}");
    Ok(())
}
