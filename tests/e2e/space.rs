//! Promise: a database that reaches its quota is made room in without a person, where there is something to forget; else it is
//! said what to do. One that wastes its file is defragmented while nothing else is going on. No member is restarted for it, and
//! nothing acknowledged is lost.

use crate::bootstrap_crashes::crashing_agent;
use crate::harness::demo::spec_with;
use crate::harness::events;
use crate::harness::{Client, Demo, Manner, PATIENCE, play, until};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::api::EtcdMember;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A database of this size is full within a second, and defragmented in a tenth.
const QUOTA: u64 = 32 << 20;
/// As large as etcd lets a request be, nearly.
const VALUE: usize = 1 << 20;
/// Every point of a cure (agent/src/crash.rs): all must be passed, and died at.
const CRASH_POINTS: [&str; 6] =
    ["before-compact", "after-compact", "before-defragment", "after-defragment", "before-disarm", "after-disarm"];
/// Revisions that stay when a person compacts.
const KEPT: i64 = 200;
/// Within which writes are taken again, of what can be cured.
const CURED: Duration = Duration::from_secs(60);

fn small(size: u32, further: Value) -> Value {
    let mut fields = json!({"etcd": {"quotaBackend": "32Mi"}});
    crate::harness::demo::merge(&mut fields, further);
    spec_with(size, fields)
}

#[test]
fn a_database_that_is_full_of_old_revisions_takes_writes_again_by_itself() {
    play("space_overwritten", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", small(3, json!({}))).await?;
        let (readiness, client) = (demo.watch_readiness(), Client::start(&demo).await?);
        for round in 0..2 {
            fill(&demo, |n| format!("overwritten/{}", n % 4)).await?;
            let began = Instant::now();
            writes(&demo, CURED).await?;
            stage.say(format!("round {round}: writes are taken again after {:.1} s", began.elapsed().as_secs_f64()));
        }
        demo.ready().await?;
        client.keeps_on(Duration::from_secs(2)).await?;
        client.finish(&demo).await?;
        ensure!(readiness.lapses().is_empty(), "pods stopped being Ready: {:?}", readiness.lapses());
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        for reason in ["DatabasesCompacted", "DatabaseDefragmented", "AlarmDisarmed"] {
            is_told(&demo, reason).await?;
        }
        demo.all_vote().await.map(drop)
    });
}

#[test]
fn an_agent_that_dies_at_every_step_of_it_goes_on_where_it_was() {
    play("space_crashes", Manner::Beside, async |stage| {
        stage.stop_coordinator().await?;
        stage.start_coordinator(&crashing_agent())?;
        let (demo, _) = Demo::up(stage, "demo", small(1, json!({}))).await?;
        let acknowledged = demo.etcd(0).await?.put("first", "1").await?.revision;
        // A file that has enough to spare needs no compaction yet: the next time it does.
        until("it has died at every step", PATIENCE, async || {
            fill(&demo, |n| format!("overwritten/{}", n % 4)).await?;
            writes(&demo, PATIENCE).await?;
            demo.ready().await?;
            let log = demo.stage.kubectl.run(&["-n", &stage.namespace, "logs", "demo-0", "-c", "agent"]).await?;
            let died = |point: &&str| log.lines().any(|line| line.ends_with(&format!("crash point {point}")));
            let missed: Vec<_> = CRASH_POINTS.iter().filter(|point| !died(point)).collect();
            ensure!(missed.is_empty(), "it did not die at {missed:?}:\n{log}");
            Ok(())
        })
        .await?;
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        ensure!(demo.etcd(0).await?.get("first").await?.is_some(), "what was written at {acknowledged} is lost");
        demo.all_vote().await.map(drop)
    });
}

#[test]
fn what_is_full_of_keys_is_told_and_a_larger_quota_or_fewer_keys_help_without_another_word() {
    play("space_exhausted", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", small(3, json!({}))).await?;
        let sentence = fill_for_good(&demo, |round, n| format!("kept/{n}/{round}")).await?;
        ensure!(sentence.contains("delete keys, or raise spec.etcd.quotaBackend"), "it says: {sentence}");
        demo.says("Ready", "False", "SpaceExhausted").await?;
        is_told(&demo, "SpaceExhausted").await?;

        demo.etcd(0).await?.delete_prefix("kept/1").await?;
        writes(&demo, CURED).await?;
        demo.ready().await?;

        fill_for_good(&demo, |round, n| format!("kept again/{n}/{round}")).await?;
        demo.patch_spec(json!({"etcd": {"quotaBackend": "64Mi"}})).await?;
        writes(&demo, PATIENCE).await?;
        demo.ready().await?;
        ensure!(demo.etcd(0).await?.get("kept/2/0").await?.is_some(), "what was kept is lost");
        demo.all_vote().await.map(drop)
    });
}

#[test]
fn old_revisions_stay_where_that_is_wanted_and_a_person_makes_room_by_hand() {
    play("space_by_hand", Manner::Beside, async |stage| {
        let further = json!({"maintenance": {"emergencyCompaction": false}});
        let (demo, _) = Demo::up(stage, "demo", small(1, further)).await?;
        let first = demo.etcd(0).await?.put("first", "1").await?.revision;
        let sentence = fill_for_good(&demo, |_, n| format!("overwritten/{}", n % 4)).await?;
        ensure!(sentence.contains("spec.maintenance.emergencyCompaction"), "it says: {sentence}");
        demo.etcd(0).await?.contents(first).await.context("a revision was forgotten")?;

        let agent = async |words: &[&str]| demo.exec(0, &[&["-c", "agent", "--", "etcd-agent"], words].concat()).await;
        let said = agent(&["compact", "--keep", "2"]).await?;
        ensure!(said.contains("is forgotten"), "it says: {said}");
        ensure!(demo.etcd(0).await?.contents(first).await.is_err(), "nothing was forgotten");
        let said = agent(&["defrag"]).await?;
        ensure!(said.contains("the database of demo-0 went from "), "it says: {said}");
        writes(&demo, CURED).await?;
        demo.ready().await
    });
}

#[test]
fn a_file_of_which_much_is_unused_is_defragmented_one_member_after_the_other() {
    play("space_wasted", Manner::Beside, async |stage| {
        let defragmentation = json!({"defragmentation": {"minimumWaste": "8Mi", "suspend": true}});
        let fields = json!({"maintenance": defragmentation, "etcd": {"quotaBackend": "128Mi"}});
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, fields)).await?;
        let (readiness, client) = (demo.watch_readiness(), Client::start(&demo).await?);
        let etcd = demo.etcd(0).await?;
        for n in 0..40 {
            etcd.put(&format!("waste/{n}"), &"x".repeat(VALUE)).await?;
        }
        etcd.delete_prefix("waste/").await?;
        let deleted = etcd.revision().await?;
        // So much that no watcher of the application misses what is forgotten.
        until("the application has gone on", PATIENCE, async || {
            let revision = etcd.revision().await?;
            ensure!(revision > deleted + 2 * KEPT, "it is at {revision}, after {deleted}");
            Ok(())
        })
        .await?;
        let kept = KEPT.to_string();
        let compacted = demo.exec(0, &["-c", "agent", "--", "etcd-agent", "compact", "--keep", &kept]).await?;
        ensure!(compacted.contains("is forgotten"), "it says: {compacted}");
        ensure!(chores(&demo).await?.is_empty(), "it was to rest");

        client.mark("defragmentation").await?;
        demo.patch_spec(json!({"maintenance": {"defragmentation": {"suspend": null}}})).await?;
        until("all files are small", PATIENCE * 2, async || {
            for ordinal in 0..demo.size {
                let size = demo.etcd(ordinal).await?.said().await?.db_size;
                ensure!(size < 8 << 20, "that of {} has {size} bytes", demo.member(ordinal));
            }
            Ok(())
        })
        .await?;
        until("each member was defragmented once, and nothing else was done", PATIENCE, async || {
            let done = chores(&demo).await?;
            ensure!(done.len() == 3, "told is {done:#?}");
            Ok(())
        })
        .await?;
        demo.ready().await?;
        let report = client.finish(&demo).await?;
        for interval in report.intervals.iter().filter(|interval| interval.name == "defragmentation") {
            stage.say(format!("longest gap while members were defragmented: {:.0} ms", interval.gap_ms));
        }
        ensure!(readiness.lapses().is_empty(), "pods stopped being Ready: {:?}", readiness.lapses());
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        demo.all_vote().await.map(drop)
    });
}

/// Writes large values until etcd takes no more.
async fn fill(demo: &Demo<'_>, key: impl Fn(u64) -> String) -> Result<()> {
    let (etcd, value) = (demo.etcd(0).await?, "x".repeat(VALUE));
    for n in 0..QUOTA * 4 / VALUE as u64 {
        match etcd.put(&key(n), &value).await {
            Ok(_) => {}
            Err(error) if format!("{error:#}").contains("database space exceeded") => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    bail!("it is not full")
}

/// The same, again and again until only a person can make room: what a file has at its end and does not use is given up before.
/// Returns what is said.
async fn fill_for_good(demo: &Demo<'_>, key: impl Fn(u32, u64) -> String) -> Result<String> {
    let round = AtomicU32::new(0);
    until(&format!("{} is full for good", demo.name), PATIENCE, async || {
        let number = round.fetch_add(1, Ordering::Relaxed);
        // It may be full already.
        let _full = fill(demo, |n| key(number, n)).await;
        let stalled = demo.condition("Stalled").await?;
        ensure!(stalled.reason == "SpaceExhausted", "Stalled is {}: {}", stalled.status, stalled.reason);
        Ok(stalled.message)
    })
    .await
}

async fn writes(demo: &Demo<'_>, within: Duration) -> Result<()> {
    until("writes are taken", within, async || demo.etcd(0).await?.put("small", "1").await.map(drop)).await
}

/// What the members tell that was done for their databases.
async fn chores(demo: &Demo<'_>) -> Result<Vec<String>> {
    let mut all = vec![];
    for member in demo.members() {
        let status = demo.stage.api::<EtcdMember>().get(&member).await?.status.unwrap_or_default();
        all.extend(status.chores.into_iter().map(|chore| chore.message));
    }
    Ok(all)
}

async fn is_told(demo: &Demo<'_>, reason: &str) -> Result<()> {
    until(&format!("the event {reason} is told"), PATIENCE, async || {
        let told = events::told(demo.stage).await?;
        ensure!(told.iter().any(|one| one.reason == reason), "told were {told:#?}");
        Ok(())
    })
    .await
}
