//! Promise: where a person says so, a backup takes the place of what a cluster holds, and what a lost quorum has left goes on with all
//! that a volume which is left has acknowledged; until then it can be taken back, and the data before is set aside.

use crate::backups::with_store;
use crate::encrypted::encrypted;
use crate::harness::backup::{only_members_are_left, refuses, verified};
use crate::harness::demo::{merge, spec};
use crate::harness::stage::agent_image;
use crate::harness::{Bucket, Demo, Loss, Manner, PATIENCE, Part, Stage, holds, play, until};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::api::restore::RestorePhase;
use etcd_operator_shared::api::{EtcdRestore, EtcdRestoreStatus};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::store::Traffic;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// From a person's word to a cluster that serves, on a busy machine.
const REPLACED: Duration = Duration::from_secs(240);
/// What a follower has acknowledged by then it has: a message takes milliseconds.
const A_MOMENT: Duration = Duration::from_secs(2);

#[test]
fn a_backup_takes_the_place_of_what_a_cluster_holds_once_a_person_names_the_incarnation() {
    play("restored_in_place", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let mut whole = encrypted(3, &json!({}));
        merge(&mut whole, with_store(&bucket));
        let (demo, _) = Demo::up(stage, "demo", whole).await?;
        let id = demo.all_vote().await?;
        demo.etcd(0).await?.put("kept", "in the backup").await?;
        let backup = verified(stage, "full", "demo").await?;
        demo.etcd(0).await?.put("kept", "changed since").await?;
        demo.etcd(0).await?.put("after", "the backup").await?;
        let before = demo.etcd(0).await?.revision().await?;

        let source = json!({"backup": "full"});
        for (name, number, words) in
            [("unapproved", None, "replacesIncarnation: 1"), ("another", Some(7), "is not the present one")]
        {
            make(stage, name, source.clone(), number).await?;
            let sentence = refuses(stage, name, &[words]).await?;
            stage.say(format!("{name}: {sentence}"));
        }
        ensure!(demo.all_vote().await? == id, "the cluster was touched");

        let asked = Instant::now();
        make(stage, "back", source, Some(1)).await?;
        let status = done(stage, "back").await?;
        stage.say(format!("restored over three members after {:.1} s", asked.elapsed().as_secs_f64()));
        demo.settles(PATIENCE).await?;
        let life = demo.get().await?.status.and_then(|status| status.incarnation).context("it has a life")?;
        let restored = life.restored.context("it says with what it began")?;
        ensure!(life.number == 2 && restored.by == "back", "it goes on as {} with {restored:?}", life.number);
        ensure!(demo.all_vote().await? != id, "two lives have one ID");
        for etcd in demo.etcds().await? {
            let (kept, after) = (etcd.get_local("kept").await?, etcd.get_local("after").await?);
            ensure!(kept.as_deref() == Some("in the backup") && after.is_none(), "it holds {kept:?} and {after:?}");
            let now = etcd.revision().await?;
            ensure!(now > before, "revision {now} after {before}: a client sees {before} twice");
        }
        ensure!(status.revision == backup.revision, "{status:?} is of another revision than {backup:?}");
        if let Some(faults) = stage.faults_or_skip() {
            ensure!(demo.set_aside(faults, 1).await?.len() == 1, "the data before was not set aside");
        }
        stage.api::<EtcdRestore>().delete("back", &DeleteParams::default()).await?;
        only_members_are_left(stage, &[&demo]).await?;
        demo.etcd(1).await?.put("it", "goes on").await.context("a restore that is deleted takes nothing along")?;
        taken_back(&demo).await
    });
}

#[test]
fn two_of_three_disks_are_lost_and_the_cluster_goes_on_with_the_third() {
    play("lost_quorum", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", encrypted(3, &json!({"version": "v3.6.16"}))).await?;
        let id = demo.all_vote().await?;
        make(stage, "early", json!({"survivors": {}}), Some(1)).await?;
        let sentence = refuses(stage, "early", &["has a quorum"]).await?;
        stage.say(format!("with a quorum: {sentence}"));
        stage.api::<EtcdRestore>().delete("early", &DeleteParams::default()).await?;

        let survivor = demo.follower().await?;
        let lost: Vec<u32> = (0..3).filter(|ordinal| *ordinal != survivor).collect();
        let writers = Writers::start(&demo).await?;
        sleep(Duration::from_secs(2)).await;
        let early = writers.acknowledged.lock().await.clone();
        sleep(A_MOMENT).await;
        stop(&demo, faults, &[0, 1, 2], Signal::SIGSTOP).await?;
        for ordinal in &lost {
            demo.lose(faults, *ordinal, Loss::Claim).await?;
        }
        stop(&demo, faults, &[survivor], Signal::SIGKILL).await?;
        let acknowledged = writers.finish().await?;
        until("no quorum serves", PATIENCE, async || demo.says("Available", "False", "NoQuorum").await.map(drop))
            .await?;

        let named: Vec<String> = lost.iter().map(|ordinal| demo.member(*ordinal)).collect();
        let source = json!({"survivors": {"lost": named}});
        make(stage, "rest", source, None).await?;
        let awaits = phase(stage, "rest", RestorePhase::AwaitingApproval).await?;
        stage.say(format!("unapproved: {}", sentence_of(&awaits)));
        holds("nothing is done before a person says so", Duration::from_secs(3), async || {
            ensure!(demo.get().await?.spec.size == 3 && !demo.pods().await?.is_empty(), "the pods are gone");
            Ok(())
        })
        .await?;
        approve(stage, "rest", 1).await?;
        let asked = Instant::now();
        let status = done(stage, "rest").await?;
        stage.say(format!("recovered after {:.1} s: {:?}", asked.elapsed().as_secs_f64(), status.volumes));
        demo.settles(PATIENCE).await?;
        ensure!(demo.all_vote().await? != id, "two lives have one ID");
        ensure!(status.seed.as_deref() == Some(&demo.member(survivor)), "the seed is {:?}", status.seed);
        ensure!(status.bump.is_some(), "of one volume of three nobody can say that it has all");
        let missing = missing(&demo, &early).await?;
        ensure!(missing.is_empty(), "{} of {} keys that it had are gone: {missing:?}", missing.len(), early.len());
        let gone = missing_of(&demo, &acknowledged).await?;
        stage.say(format!(
            "of {} acknowledged writes {gone} are lost with the volumes that had them",
            acknowledged.len()
        ));
        demo.etcd(lost[0]).await?.put("it", "goes on").await?;
        only_members_are_left(stage, &[&demo]).await
    });
}

#[test]
fn where_two_of_three_volumes_are_left_nothing_acknowledged_is_lost_and_it_can_be_taken_back_before() {
    play("whole_quorum", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let lost = demo.leader().await?;
        let other = demo.someone(lost);
        let writers = Writers::start(&demo).await?;
        sleep(Duration::from_secs(3)).await;
        // One volume is lost, and another member hangs.
        stop(&demo, faults, &[0, 1, 2], Signal::SIGSTOP).await?;
        demo.lose(faults, lost, Loss::Claim).await?;
        let acknowledged = writers.finish().await?;
        until("no quorum serves", PATIENCE, async || {
            stop(&demo, faults, &[other], Signal::SIGSTOP).await?;
            let found = demo.condition("Available").await?;
            ensure!(found.status == "False", "Available is {}: {}", found.status, found.message);
            Ok(())
        })
        .await?;

        // Both that are left must be read: of one that is not, a person is told, and can take all back.
        make(stage, "none", json!({"survivors": {}}), Some(1)).await?;
        let sentence = refuses(stage, "none", &["its volume is empty", "its volume holds no data"]).await?;
        stage.say(format!("a lost volume: {sentence}"));
        stage.api::<EtcdRestore>().delete("none", &DeleteParams::default()).await?;
        demo.settles(REPLACED).await.context("taken back, it goes on as the same life")?;
        ensure!(demo.all_vote().await? == id, "taken back, it is another cluster");
        ensure!(missing(&demo, &acknowledged).await?.is_empty(), "taken back, something is lost");

        demo.etcd(other).await?.put("before", "the second time").await?;
        let lost = demo.leader().await?;
        let other = demo.someone(lost);
        let source = json!({"survivors": {"lost": [demo.member(lost)]}});
        stop(&demo, faults, &[0, 1, 2], Signal::SIGSTOP).await?;
        demo.lose(faults, lost, Loss::Claim).await?;
        until("no quorum serves", PATIENCE, async || {
            stop(&demo, faults, &[other], Signal::SIGSTOP).await?;
            let found = demo.condition("Available").await?;
            ensure!(found.status == "False", "Available is {}: {}", found.status, found.message);
            Ok(())
        })
        .await?;
        make(stage, "rest", source, Some(1)).await?;
        let asked = Instant::now();
        // Whoever dies on the way is followed by one who goes on.
        for pause in [1, 4, 9, 3] {
            sleep(Duration::from_secs(pause)).await;
            stage.kill_coordinator().await?;
            stage.start_coordinator(&agent_image())?;
        }
        let status = done(stage, "rest").await?;
        stage.say(format!("recovered after {:.1} s: {:?}", asked.elapsed().as_secs_f64(), status.volumes));
        demo.settles(PATIENCE).await?;
        ensure!(status.bump.is_none() && status.volumes.len() == 2, "it says {status:?}");
        ensure!(demo.all_vote().await? != id, "two lives have one ID");
        ensure!(demo.etcd(0).await?.get("before").await?.is_some(), "an acknowledged write is lost");
        let missing = missing(&demo, &acknowledged).await?;
        ensure!(missing.is_empty(), "{} of {} acknowledged writes are lost", missing.len(), acknowledged.len());
        Ok(())
    });
}

/// What the first life held comes back, from where it was set aside.
async fn taken_back(demo: &Demo<'_>) -> Result<()> {
    let (stage, before) = (demo.stage, demo.etcd(0).await?.revision().await?);
    let asked = Instant::now();
    make(stage, "undo", json!({"survivors": {"incarnation": 1}}), Some(2)).await?;
    let status = done(stage, "undo").await?;
    stage.say(format!("taken back after {:.1} s: {:?}", asked.elapsed().as_secs_f64(), status.volumes));
    demo.settles(PATIENCE).await?;
    let etcd = demo.etcd(0).await?;
    let (kept, after, it) = (etcd.get("kept").await?, etcd.get("after").await?, etcd.get("it").await?);
    ensure!(kept.as_deref() == Some("changed since") && after.is_some() && it.is_none(), "{kept:?}, {after:?}, {it:?}");
    let now = etcd.revision().await?;
    ensure!(now > before, "revision {now} after {before}: a client sees {before} twice");
    only_members_are_left(stage, &[demo]).await
}

async fn make(stage: &Stage, name: &str, source: Value, replaces: Option<i64>) -> Result<()> {
    let mut object = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdRestore", "metadata": {"name": name},
        "spec": {"cluster": "demo", "source": source},
    });
    if let Some(number) = replaces {
        object["spec"]["replacesIncarnation"] = json!(number);
    }
    stage.api::<EtcdRestore>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

async fn approve(stage: &Stage, name: &str, number: i64) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"replacesIncarnation": number}}));
    stage.api::<EtcdRestore>().patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn phase(stage: &Stage, name: &str, wanted: RestorePhase) -> Result<EtcdRestoreStatus> {
    until(&format!("EtcdRestore {name} is {wanted:?}"), REPLACED, async || {
        let status = stage.api::<EtcdRestore>().get(name).await?.status.unwrap_or_default();
        ensure!(status.phase == Some(wanted), "it is {:?}: {}", status.phase, sentence_of(&status));
        Ok(status)
    })
    .await
}

async fn done(stage: &Stage, name: &str) -> Result<EtcdRestoreStatus> {
    phase(stage, name, RestorePhase::Completed).await
}

fn sentence_of(status: &EtcdRestoreStatus) -> String {
    let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
    ready.map(|one| format!("{}: {}", one.reason, one.message)).unwrap_or_default()
}

/// Stops the etcd of these, as far as it runs.
async fn stop(demo: &Demo<'_>, faults: &Faults, ordinals: &[u32], signal: Signal) -> Result<()> {
    let mut processes = vec![];
    for ordinal in ordinals {
        if let Ok(process) = demo.process(faults, *ordinal, Part::Etcd).await {
            processes.push(process);
        }
    }
    // At once: else the others would go on for a moment.
    processes.iter().for_each(|process| process.signal(signal));
    Ok(())
}

/// Those of the keys that are not there.
async fn missing(demo: &Demo<'_>, keys: &BTreeSet<String>) -> Result<Vec<String>> {
    let (etcd, mut missing) = (demo.etcd(0).await?, vec![]);
    for key in keys {
        if etcd.get_local(key).await?.is_none() {
            missing.push(key.clone());
        }
    }
    Ok(missing)
}

async fn missing_of(demo: &Demo<'_>, keys: &BTreeSet<String>) -> Result<usize> {
    Ok(missing(demo, keys).await?.len())
}

/// Writers at all members, each with keys of its own.
struct Writers {
    acknowledged: Arc<tokio::sync::Mutex<BTreeSet<String>>>,
    ended: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Writers {
    async fn start(demo: &Demo<'_>) -> Result<Self> {
        let (acknowledged, ended) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for (ordinal, etcd) in demo.etcds().await?.into_iter().enumerate() {
            let (acknowledged, ended): (Arc<tokio::sync::Mutex<BTreeSet<String>>>, _) =
                (Arc::clone(&acknowledged), Arc::clone(&ended));
            tasks.spawn(async move {
                for number in 0.. {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("write-{ordinal}-{number}");
                    match timeout(Duration::from_secs(1), etcd.put(&key, "acknowledged")).await {
                        Ok(Ok(_)) => drop(acknowledged.lock().await.insert(key)),
                        Ok(Err(_)) | Err(_) => sleep(Duration::from_millis(50)).await,
                    }
                }
            });
        }
        Ok(Self { acknowledged, ended, tasks })
    }

    /// What was acknowledged.
    async fn finish(mut self) -> Result<BTreeSet<String>> {
        self.ended.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        let all = self.acknowledged.lock().await.clone();
        if all.is_empty() {
            bail!("nothing was acknowledged");
        }
        Ok(all)
    }
}
