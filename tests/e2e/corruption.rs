//! Promise: a member whose disk has changed what it holds is found out within the time that is wanted, replaced, and holds what the
//! others hold; nothing acknowledged is lost, and where all are equal nothing is done.

use crate::harness::demo::spec_with;
use crate::harness::events;
use crate::harness::{Client, Demo, Manner, PATIENCE, play, until};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;
use testbed::Faults;

/// Whose disk is changed.
enum Whose {
    Follower,
    Leader,
}

#[test]
fn a_follower_whose_disk_has_changed_a_byte_is_replaced() {
    play("corrupt_follower", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({"maintenance": {"compareEvery": "10s"}}))).await?;
        replaced(&demo, faults, Whose::Follower).await
    });
}

#[test]
fn a_leader_whose_disk_has_changed_a_byte_hands_over_and_is_replaced() {
    play("corrupt_leader", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({"maintenance": {"compareEvery": "10s"}}))).await?;
        replaced(&demo, faults, Whose::Leader).await
    });
}

async fn replaced(demo: &Demo<'_>, faults: &Faults, whose: Whose) -> Result<()> {
    let client = Client::start(demo).await?;
    let marker = format!("what-is-kept-{:016x}", rand::random::<u64>());
    demo.etcd(0).await?.put("kept", &marker).await?;
    let wrong = match whose {
        Whose::Follower => demo.follower().await?,
        Whose::Leader => demo.leader().await?,
    };
    let before = demo.etcd(wrong).await?.said().await?.member_id;
    let database = demo.volume(faults, wrong).await?.join("data/member/snap/db");
    until("the value is in the file and was changed there", PATIENCE, async || {
        flip(&database, marker.as_bytes())?;
        let read = demo.etcd(wrong).await?.get_local("kept").await?;
        ensure!(read.as_deref().is_some_and(|read| read != marker), "it reads {read:?}");
        Ok(())
    })
    .await?;
    let began = Instant::now();
    let name = demo.member(wrong);
    until(&format!("{name} is another member"), PATIENCE, async || {
        let now = demo.etcd(wrong).await?.said().await?.member_id;
        ensure!(now != before, "it is the same");
        Ok(())
    })
    .await?;
    demo.stage.say(format!("{name} was replaced after {:.1} s", began.elapsed().as_secs_f64()));
    demo.ready().await?;
    until("it holds what the others hold", PATIENCE, async || {
        let read = demo.etcd(wrong).await?.get_local("kept").await?;
        ensure!(read.as_ref() == Some(&marker), "it reads {read:?}");
        Ok(())
    })
    .await?;
    let told = events::told(demo.stage).await?;
    let removed: Vec<_> = told.iter().filter(|one| one.reason == "CorruptMemberRemoved").collect();
    ensure!(removed.len() == 1 && removed[0].text.contains(&name), "told were {told:#?}");
    client.finish(demo).await?;
    demo.all_vote().await.map(drop)
}

/// Changes the last letter of each copy of a value in a file.
fn flip(file: &Path, value: &[u8]) -> Result<()> {
    let bytes = std::fs::read(file)?;
    let found: Vec<usize> =
        bytes.windows(value.len()).enumerate().filter(|(_, at)| *at == value).map(|(at, _)| at).collect();
    ensure!(!found.is_empty(), "the value is not in {} yet", file.display());
    let written = std::fs::OpenOptions::new().write(true).open(file)?;
    for at in found {
        let last = at + value.len() - 1;
        let other = bytes.get(last).context("it is in the file")? ^ 1;
        written.write_all_at(&[other], u64::try_from(last)?)?;
    }
    Ok(())
}
