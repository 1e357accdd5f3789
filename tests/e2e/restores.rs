//! Promise: a new cluster begins with a backup and is equal to it in every key, lease and user; the store alone is enough, when the
//! cluster and all objects are gone; encrypted traffic changes nothing.

use crate::backups::with_store;
use crate::encrypted::encrypted;
use crate::harness::backup::{completes, only_members_are_left, restore, stored_as, verified};
use crate::harness::demo::{merge, spec_with};
use crate::harness::etcd::{Contents, KvHash};
use crate::harness::{Bucket, Demo, Loss, Manner, Stage, play};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::{EtcdBackup, EtcdBackupStatus};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testbed::store::Traffic;

/// A member that joins again, on a busy machine.
const BACK: Duration = Duration::from_secs(120);

#[test]
fn a_new_cluster_begins_with_a_backup_and_is_equal_to_it_and_the_store_alone_is_enough() {
    play("restores", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, with_store(&bucket))).await?;
        let id = demo.all_vote().await?;
        write(&demo).await?;
        let status = verified(stage, "full", "demo").await?;
        let original = Original::of(&demo, &status).await?;
        says_the_same(&bucket, stage, &original).await?;
        demo.etcd(0).await?.put("after", "the backup").await?;

        let again = begin(stage, "again", spec_with(3, json!({})), json!({"backup": "full"})).await?;
        ensure!(again.all_vote().await? != id, "two clusters have one ID");
        original.equals(&again, &status).await?;
        only_members_are_left(stage, &[&demo, &again]).await?;
        ensure!(demo.etcd(1).await?.get("after").await?.is_some(), "the original was touched");
        a_lost_disk_joins_again(&again, &original).await?;
        again.delete().await?;

        let namespace = stage.namespace.clone();
        demo.delete().await?;
        stage.api::<EtcdBackup>().delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        elsewhere(&bucket, &namespace, &original, &status).await
    });
}

#[test]
fn encrypted_traffic_changes_nothing() {
    play("restores_encrypted", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Encrypted).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let version = json!({"version": "v3.6.16"});
        let mut spec = encrypted(3, &version);
        merge(&mut spec, with_store(&bucket));
        let (demo, _) = Demo::up(stage, "demo", spec).await?;
        let id = demo.all_vote().await?;
        write(&demo).await?;
        let status = verified(stage, "full", "demo").await?;
        let original = Original::of(&demo, &status).await?;
        demo.delete().await?;
        let again = begin(stage, "again", encrypted(3, &version), json!({"backup": "full"})).await?;
        ensure!(again.all_vote().await? != id, "two clusters have one ID");
        original.equals(&again, &status).await?;
        only_members_are_left(stage, &[&again]).await?;
        a_lost_disk_joins_again(&again, &original).await
    });
}

/// In another namespace, with nothing but the bucket: the newest that was verified, into a cluster of one that grows.
async fn elsewhere(bucket: &Bucket, namespace: &str, original: &Original, status: &EtcdBackupStatus) -> Result<()> {
    newer_ones_that_were_not_proven(bucket)?;
    let stage = Stage::build("restores_elsewhere").await?;
    let outcome = async {
        bucket.admit(&stage, "found-store").await?;
        let stored =
            json!({"store": bucket.store(), "secretName": "found-store", "cluster": format!("{namespace}/demo")});
        let one = begin(&stage, "found", spec_with(1, json!({})), json!({ "stored": stored })).await?;
        original.equals(&one, status).await?;
        let three = one.scale(3).await?;
        original.equals(&three, status).await?;
        three.etcd(2).await?.put("it", "goes on").await?;
        only_members_are_left(&stage, &[&three]).await
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        stage.say(crate::harness::evidence::of(&stage).await);
    }
    outcome.and(stage.strike().await)
}

/// A manifest that is newer than all others, and no proof of it.
fn newer_ones_that_were_not_proven(bucket: &Bucket) -> Result<()> {
    let newest = bucket.manifests()?.pop().context("there is one")?;
    let mut manifest = newest.manifest.clone();
    manifest.name = "once-newer".to_owned();
    manifest.at_least += 1000;
    bucket.objects.write(&format!("{}/snapshots/1/once-newer.json", newest.path()?), &serde_json::to_vec(&manifest)?)
}

/// Makes an EtcdRestore and its cluster, and waits until both are done.
pub async fn begin<'a>(stage: &'a Stage, name: &str, mut spec: Value, source: Value) -> Result<Demo<'a>> {
    let started = Instant::now();
    restore(stage, name, name, source).await?;
    merge(&mut spec, json!({"bootstrap": {"restore": name}}));
    let (demo, _) = Demo::up(stage, name, spec).await?;
    let status = completes(stage, name).await?;
    stage.say(format!("{name} began with {:?} after {:.2} s", status.source, started.elapsed().as_secs_f64()));
    let incarnation = demo.get().await?.status.and_then(|status| status.incarnation).context("it has begun")?;
    let restored = incarnation.restored.context("its life says with what it began")?;
    ensure!(restored.by == name && Some(&restored.digest) == status.digest.as_ref(), "{restored:?}, {status:?}");
    Ok(demo)
}

async fn a_lost_disk_joins_again(demo: &Demo<'_>, original: &Original) -> Result<()> {
    let Some(faults) = demo.stage.faults_or_skip() else { return Ok(()) };
    let lost = demo.follower().await?;
    demo.lose(faults, lost, Loss::Claim).await?;
    demo.settles(BACK).await?;
    let there = demo.etcd(lost).await?.contents(original.contents.revision).await?;
    ensure!(there == original.contents, "{lost} holds {there:?} and should hold {:?}", original.contents);
    Ok(())
}

/// Keys that were changed, deleted and made again, some with leases; users and roles.
async fn write(demo: &Demo<'_>) -> Result<()> {
    let etcdctl = async |words: &str| {
        let words: Vec<&str> = ["--", "etcdctl"].into_iter().chain(words.split(' ')).collect();
        demo.exec(0, &words).await
    };
    let etcd = demo.etcd(0).await?;
    for round in 0..3 {
        for key in 0..50 {
            etcd.put(&format!("key-{key:02}"), &format!("value {round} of {key}")).await?;
        }
    }
    etcdctl("del --prefix key-1").await?;
    etcd.put("key-11", "made again").await?;
    let granted = etcdctl("lease grant 3600").await?;
    let lease = granted.split(' ').nth(1).context("a lease has an ID")?;
    etcdctl(&format!("put --lease={lease} leased value")).await?;
    etcdctl("lease grant 7200").await?;
    etcdctl("user add alice:secret").await?;
    etcdctl("role add reader").await?;
    etcdctl("role grant-permission reader read --prefix=true key-").await?;
    etcdctl("user grant-role alice reader").await?;
    Ok(())
}

/// A cluster as it was when a backup was taken, with nothing written since.
struct Original {
    contents: Contents,
    hash: KvHash,
}

impl Original {
    async fn of(demo: &Demo<'_>, status: &EtcdBackupStatus) -> Result<Self> {
        let revision = status.revision.context("it is of a revision")?;
        let etcd = demo.etcd(0).await?;
        let (contents, hash) = (etcd.contents(revision).await?, etcd.kv_hash(revision).await?);
        ensure!(etcd.revision().await? == revision, "more was written");
        ensure!(contents.pairs.len() == 42 && contents.leases.len() == 2, "it holds {contents:?}");
        ensure!(contents.users.len() == 1 && contents.roles.len() == 1, "it holds {contents:?}");
        Ok(Self { contents, hash })
    }

    /// Each member of another cluster holds the same, and has the same history.
    async fn equals(&self, demo: &Demo<'_>, status: &EtcdBackupStatus) -> Result<()> {
        let revision = self.contents.revision;
        for (ordinal, etcd) in demo.etcds().await?.iter().enumerate() {
            let (there, hash) = (etcd.contents(revision).await?, etcd.kv_hash(revision).await?);
            ensure!(there == self.contents, "{ordinal} holds {there:?} and should hold {:?}", self.contents);
            ensure!(hash == self.hash, "the history of {ordinal} has hash {hash:?} and should have {:?}", self.hash);
        }
        let first = demo.etcd(0).await?;
        ensure!(first.get("after").await?.is_none(), "what was written after the backup {status:?} is there");
        Ok(())
    }
}

/// What members said of their history when the backup was taken is what the original says of it.
async fn says_the_same(bucket: &Bucket, stage: &Stage, original: &Original) -> Result<()> {
    let manifest = bucket.manifest(&stored_as(stage, "full").await?)?.manifest;
    for said in manifest.hashes.iter().filter(|said| said.revision == original.contents.revision) {
        let hash = KvHash::of(said.hash, said.compact_revision);
        ensure!(hash == original.hash, "{} said {hash:?}, and it is {:?}", said.member, original.hash);
    }
    Ok(())
}
