//! Promise: a schedule takes exactly one backup a slot, also while the coordinator is away; the newest are kept, and the last one that
//! was found right, however old it is.

use crate::harness::backup::TAKEN;
use crate::harness::demo::spec_with;
use crate::harness::stage::agent_image;
use crate::harness::store::{manifests, names};
use crate::harness::{Bucket, Client, Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdBackup;
use etcd_operator_shared::api::backup::BackupPhase;
use jiff::civil::DateTime;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testbed::store::{Bucket as Objects, Traffic};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The next slot begins within a minute, and three agents take their turns within another.
const SLOT: Duration = Duration::from_secs(150);
/// Between two looks into the bucket: a backup stays for a slot at least.
const PACE: Duration = Duration::from_millis(200);

#[test]
fn each_slot_is_taken_once_without_the_coordinator_too_and_what_is_kept_is_what_counts() {
    play("schedules", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let schedules = json!([
            {"name": "minutely", "cron": "* * * * *", "keep": 1},
            {"name": "resting", "cron": "* * * * *", "suspend": true},
        ]);
        let backup = json!({"store": bucket.store(), "keepVerified": 1, "schedules": schedules});
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({ "backup": backup }))).await?;
        let client = Client::start(&demo).await?;
        let slots = Slots::watch(&bucket);

        let first = until("the first slot is taken and verified", SLOT, async || {
            bucket.verified().first().cloned().with_context(|| format!("taken: {:?}", slots.seen()))
        })
        .await?;
        is_told(stage, &first).await?;
        stage.kill_coordinator().await?;
        let second = slots.after(&first).await?;
        let third = slots.after(&second).await?;
        until("what is not kept is gone, and what was verified is there", PATIENCE, async || {
            let left = names(&bucket.manifests()?);
            let right = left.contains(&first) && !left.contains(&second);
            ensure!(right, "in the store: {left:?}; verified {first}, after it {second} and {third}");
            Ok(())
        })
        .await?;

        stage.start_coordinator(&agent_image())?;
        let newest = until("a later slot is verified", SLOT, async || {
            let verified = bucket.verified();
            let later = verified.iter().find(|name| **name >= third).cloned();
            later.with_context(|| format!("verified: {verified:?}, taken: {:?}", slots.seen()))
        })
        .await?;
        is_told(stage, &newest).await?;
        until("the first one is needed no more", SLOT, async || {
            let left = names(&bucket.manifests()?);
            ensure!(!left.contains(&first), "in the store: {left:?}");
            Ok(())
        })
        .await?;
        slots.ensure_each_once()?;
        nothing_is_left_over(&bucket).await?;
        client.finish(&demo).await.map(drop)
    });
}

/// All slots that have been in a bucket, with the digest of each, until dropped.
struct Slots {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    slots: BTreeMap<String, String>,
    wrong: Option<String>,
}

impl Slots {
    fn watch(bucket: &Bucket) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (noting, objects) = (Arc::clone(&seen), bucket.objects.clone());
        let task = tokio::spawn(async move {
            loop {
                let looked = noting.lock().unwrap_or_else(PoisonError::into_inner).look(&objects);
                if let Err(wrong) = looked {
                    noting.lock().unwrap_or_else(PoisonError::into_inner).wrong.get_or_insert(format!("{wrong:#}"));
                }
                sleep(PACE).await;
            }
        });
        Self { seen, task }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).slots.keys().cloned().collect()
    }

    /// Waits for a slot after this one.
    async fn after(&self, slot: &str) -> Result<String> {
        until(&format!("a slot after {slot} is taken"), SLOT, async || {
            let seen = self.seen();
            let later = seen.iter().find(|name| name.as_str() > slot).cloned();
            later.with_context(|| format!("taken: {seen:?}"))
        })
        .await
    }

    /// No slot was left out, none was taken again, and nobody took what rests.
    fn ensure_each_once(&self) -> Result<()> {
        let wrong = self.seen.lock().unwrap_or_else(PoisonError::into_inner).wrong.clone();
        ensure!(wrong.is_none(), "{wrong:?}");
        let seen = self.seen();
        let minutes: Vec<DateTime> = seen.iter().map(|name| minute(name)).collect::<Result<_>>()?;
        for two in minutes.windows(2) {
            ensure!(two[1].duration_since(two[0]).as_secs() == 60, "slots were left out: {seen:?}");
        }
        Ok(())
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn look(&mut self, objects: &Objects) -> Result<()> {
        for stored in manifests(objects)? {
            let (name, digest) = (stored.manifest.name, stored.manifest.stored_digest);
            ensure!(name.starts_with("minutely-"), "{name} was taken");
            let before = self.slots.entry(name.clone()).or_insert_with(|| digest.clone());
            ensure!(*before == digest, "{name} was taken twice");
        }
        Ok(())
    }
}

/// The minute of a slot.
fn minute(name: &str) -> Result<DateTime> {
    let digits = name.rsplit('-').next().context("a name has a slot")?;
    DateTime::strptime("%Y%m%dT%H%MZ", digits).with_context(|| format!("{digits} is a minute"))
}

/// The coordinator has made one EtcdBackup for a slot, and it is verified.
async fn is_told(stage: &Stage, name: &str) -> Result<()> {
    let slot = name.strip_prefix("minutely-").context("it is of the schedule")?;
    until(&format!("an EtcdBackup of slot {slot} is verified"), TAKEN, async || {
        let all = stage.api::<EtcdBackup>().list(&ListParams::default()).await?;
        let told: Vec<String> = all.iter().map(|one| format!("{} {:?}", one.name_any(), one.spec.slot)).collect();
        let mine: Vec<&EtcdBackup> = all.iter().filter(|one| one.spec.slot.as_deref() == Some(slot)).collect();
        ensure!(mine.len() == 1, "EtcdBackups: {told:?}");
        ensure!(mine[0].spec.schedule.as_deref() == Some("minutely"), "it is of {:?}", mine[0].spec.schedule);
        let phase = mine[0].status.as_ref().and_then(|status| status.phase);
        ensure!(phase == Some(BackupPhase::Verified), "it is {phase:?}");
        Ok(())
    })
    .await
}

/// Who came second has deleted what it had sent: each snapshot in the store has a manifest.
async fn nothing_is_left_over(bucket: &Bucket) -> Result<()> {
    until("each snapshot has its manifest", PATIENCE, async || {
        let wanted: BTreeSet<String> = bucket.manifests()?.iter().map(|one| one.data()).collect::<Result<_>>()?;
        let there: BTreeSet<String> = bucket.data().into_iter().collect();
        ensure!(there == wanted, "snapshots {there:?}, and manifests of {wanted:?}");
        Ok(())
    })
    .await
}
