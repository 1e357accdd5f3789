//! Promise: a backup that is ordered is in the store within seconds, taken of a follower under load, and counts once another etcd has
//! found it equal to the original; what stands in its way is said in words and goes well once it is mended; what was changed in the
//! store is never good.

use crate::harness::backup::{MENDED, TAKEN, becomes, only_members_are_left, order, says, stored_as, verified};
use crate::harness::demo::spec_with;
use crate::harness::stage::agent_image;
use crate::harness::store::{BUCKET, Stored};
use crate::harness::{Bucket, Client, Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdMember;
use etcd_operator_shared::api::backup::{BackupPhase, EtcdBackupStatus};
use futures::try_join;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::time::Instant;
use testbed::store::{Keys, Traffic};

#[test]
fn a_backup_that_is_ordered_is_taken_of_a_follower_under_load_and_proven_by_another_etcd() {
    play("backup", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({}))).await?;
        let (id, pods) = (demo.all_vote().await?, uids(&demo).await?);
        let client = Client::start(&demo).await?;
        let put = demo.etcd(0).await?.put("before", "the order").await?.revision;
        order(stage, "demo", "demo").await?;
        stage.say(says(stage, "demo", &["spec.backup"]).await?);

        demo.patch_spec(json!({"backup": {"store": bucket.store()}})).await?;
        let leader = demo.leader().await?;
        becomes(stage, "demo", BackupPhase::Verified, TAKEN).await?;
        let ordered = Instant::now();
        let status = verified(stage, "second", "demo").await?;
        stage.say(format!("ordered, taken and verified after {:.2} s", ordered.elapsed().as_secs_f64()));
        ensure!(status.revision.is_some_and(|revision| revision > put), "{put} was put before: {status:?}");
        if leader == demo.leader().await? {
            ensure!(status.member.as_deref() != Some(&*demo.member(leader)), "it was taken of the leader: {status:?}");
        }
        says_what_is_stored(&bucket, &bucket.manifest(&stored_as(stage, "second").await?)?, &status)?;
        until("the cluster tells of it", PATIENCE, async || {
            let told = demo.get().await?.status.and_then(|status| status.backup).context("it tells nothing")?;
            let newest = [&told.last, &told.last_verified].map(|name| name.as_deref());
            ensure!(newest == [Some("second"); 2] && told.last_verified_time.is_some(), "it tells {told:?}");
            Ok(())
        })
        .await?;
        only_members_are_left(stage, &[&demo]).await?;
        demo.ready().await?;
        ensure!(uids(&demo).await? == pods && demo.restarts().await? == 0, "a pod was replaced, or restarted");
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn a_store_that_refuses_lacks_the_bucket_or_is_away_is_said_and_mending_it_is_enough() {
    play("store_faults", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Encrypted).await? else { return Ok(()) };
        let Some(away) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        try_join!(
            has_no_secret(stage, &bucket),
            is_refused(stage, &bucket),
            has_no_bucket(stage, &bucket),
            is_away(stage, &away)
        )
        .map(drop)
    });
}

async fn has_no_secret(stage: &Stage, bucket: &Bucket) -> Result<()> {
    let demo = kept(stage, bucket, "keyless").await?;
    order(stage, "keyless", "keyless").await?;
    stage.say(says(stage, "keyless", &["the Secret"]).await?);
    bucket.admit(stage, "keyless-store").await?;
    becomes(stage, "keyless", BackupPhase::Verified, MENDED).await?;
    demo.ready().await
}

async fn is_refused(stage: &Stage, bucket: &Bucket) -> Result<()> {
    let wrong = Keys { secret: "wrong".into(), ..bucket.server.keys.clone() };
    bucket.admit_with(stage, "refused-store", &wrong).await?;
    let demo = kept(stage, bucket, "refused").await?;
    order(stage, "refused", "refused").await?;
    stage.say(says(stage, "refused", &["refuses the credentials"]).await?);
    bucket.admit(stage, "refused-store").await?;
    becomes(stage, "refused", BackupPhase::Verified, MENDED).await?;
    demo.ready().await
}

async fn has_no_bucket(stage: &Stage, bucket: &Bucket) -> Result<()> {
    bucket.admit(stage, "unbucketed-store").await?;
    let demo = kept(stage, bucket, "unbucketed").await?;
    demo.patch_spec(json!({"backup": {"store": {"s3": {"bucket": "nowhere"}}}})).await?;
    order(stage, "unbucketed", "unbucketed").await?;
    stage.say(says(stage, "unbucketed", &["no such bucket"]).await?);
    demo.patch_spec(json!({"backup": {"store": {"s3": {"bucket": BUCKET}}}})).await?;
    becomes(stage, "unbucketed", BackupPhase::Verified, MENDED).await?;
    demo.ready().await
}

async fn is_away(stage: &Stage, bucket: &Bucket) -> Result<()> {
    bucket.admit(stage, "away-store").await?;
    let demo = kept(stage, bucket, "away").await?;
    bucket.server.go_away().await?;
    order(stage, "away", "away").await?;
    stage.say(says(stage, "away", &["the store does not"]).await?);
    demo.ready().await?;
    demo.etcd(0).await?.put("meanwhile", "etcd serves").await?;
    bucket.server.come_back().await?;
    becomes(stage, "away", BackupPhase::Verified, MENDED).await?;
    demo.ready().await
}

#[test]
fn what_was_changed_in_the_store_is_found_out_and_never_counts() {
    play("changed", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let demo = kept(stage, &bucket, "demo").await?;
        demo.etcd(0).await?.put("canary", "the original value").await?;
        let good = verified(stage, "good", "demo").await?;

        let stored = unproven(stage, &bucket, &demo, "flipped").await?;
        bucket.objects.flip(&stored.data()?)?;
        fails(stage, &bucket, &demo, "flipped").await?;

        // Right in every digest of its own manifest, and in etcd's trailer; but what the member said of it is another digest.
        let stored = unproven(stage, &bucket, &demo, "forged").await?;
        bucket.forge(&stored, "the original value", "the forgery values")?;
        bucket.snapshot(&bucket.manifest(&stored.manifest.name)?)?;
        fails(stage, &bucket, &demo, "forged").await?;

        let stored = unproven(stage, &bucket, &demo, "cut").await?;
        let bytes = bucket.objects.read(&stored.data()?)?;
        bucket.objects.write(&stored.data()?, &bytes[..bytes.len() / 2])?;
        fails(stage, &bucket, &demo, "cut").await?;

        ensure!(bucket.verified() == [stored_as(stage, "good").await?], "verified: {:?}", bucket.verified());
        let told = demo.get().await?.status.and_then(|status| status.backup).context("it tells of backups")?;
        ensure!(told.last_verified.as_deref() == Some("good"), "it tells {told:?} after {good:?}");
        only_members_are_left(stage, &[&demo]).await?;
        demo.ready().await
    });
}

/// Orders a backup and lets the coordinator die before it has it proven; returns what is in the store.
async fn unproven(stage: &Stage, bucket: &Bucket, demo: &Demo<'_>, name: &str) -> Result<Stored> {
    order(stage, name, &demo.name).await?;
    let stored_as = stored_as(stage, name).await?;
    until("the member is told to take it", TAKEN, async || {
        let told = stage.api::<EtcdMember>().get(&demo.member(0)).await?.spec.backups.context("it is told nothing")?;
        ensure!(told.now.as_ref() == Some(&stored_as), "it is told {told:?}");
        Ok(())
    })
    .await?;
    stage.kill_coordinator().await?;
    let stored = until("it is in the store", TAKEN, async || bucket.manifest(&stored_as)).await?;
    ensure!(!bucket.verified().contains(&stored_as), "it is verified already");
    Ok(stored)
}

/// Lets a coordinator look at a backup that was changed: it fails, in words.
async fn fails(stage: &Stage, bucket: &Bucket, demo: &Demo<'_>, name: &str) -> Result<()> {
    stage.start_coordinator(&agent_image())?;
    let status = becomes(stage, name, BackupPhase::Failed, TAKEN).await?;
    let said = status.conditions.iter().find(|one| one.type_ == "Verified").context("it says why")?;
    stage.say(format!("{name}: {}: {}", said.reason, said.message));
    ensure!(!bucket.verified().contains(&stored_as(stage, name).await?), "it is verified in the store");
    demo.ready().await
}

/// A cluster of one with a store.
async fn kept<'a>(stage: &'a Stage, bucket: &Bucket, name: &str) -> Result<Demo<'a>> {
    Ok(Demo::up(stage, name, spec_with(1, with_store(bucket))).await?.0)
}

/// What a cluster says to have backups in this bucket.
pub fn with_store(bucket: &Bucket) -> Value {
    json!({"backup": {"store": bucket.store()}})
}

fn says_what_is_stored(bucket: &Bucket, stored: &Stored, status: &EtcdBackupStatus) -> Result<()> {
    let manifest = &stored.manifest;
    bucket.snapshot(stored)?;
    ensure!(status.location.as_ref() == Some(&stored.key), "it stands at {}: {status:?}", stored.key);
    ensure!(status.digest.as_ref() == Some(&manifest.digest), "its digest is {}: {status:?}", manifest.digest);
    ensure!(status.bytes == Some(manifest.bytes), "it has {} bytes: {status:?}", manifest.bytes);
    ensure!(status.size.as_ref().is_some_and(|size| !size.is_empty()), "it has no size: {status:?}");
    ensure!(status.member.as_ref() == Some(&manifest.member), "it is of {}: {status:?}", manifest.member);
    ensure!(status.version.as_ref() == Some(&manifest.version), "it is of {}: {status:?}", manifest.version);
    ensure!(status.revision >= Some(manifest.at_least), "it holds {}: {status:?}", manifest.at_least);
    ensure!(status.store.is_some() && status.secret_name.is_some(), "it names no store: {status:?}");
    ensure!(status.started.is_some() && status.taken.is_some(), "it has no times: {status:?}");
    ensure!(manifest.hashes.len() >= 2, "only {:?} said what they hold", manifest.hashes);
    ensure!(bucket.verified().contains(&manifest.name), "verified: {:?}", bucket.verified());
    Ok(())
}

async fn uids(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    Ok(demo.pods().await?.iter().map(ResourceExt::uid).collect())
}
