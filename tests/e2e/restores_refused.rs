//! Promise: a cluster never begins with anything but the very bytes that another etcd has found right; what is in the way is said in
//! words, nothing empty is served meanwhile, and naming something else is enough.

use crate::backups::with_store;
use crate::harness::backup::{
    MENDED, TAKEN, becomes, completes, has_not_begun, only_members_are_left, order, refuses, restore, stored_as,
    verified,
};
use crate::harness::demo::{merge, spec_with};
use crate::harness::{Bucket, Demo, Manner, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdRestore;
use etcd_operator_shared::api::backup::BackupPhase;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use std::time::Duration;
use testbed::store::Traffic;

/// As long nothing may begin after a refusal.
const QUIET: Duration = Duration::from_secs(3);

#[test]
fn what_cannot_be_restored_is_said_and_nothing_begins_until_it_is_mended() {
    play("restores_refused", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let version = json!({"version": "v3.6.16"});
        let mut spec = spec_with(1, version);
        merge(&mut spec, with_store(&bucket));
        let (demo, _) = Demo::up(stage, "demo", spec).await?;
        demo.etcd(0).await?.put("canary", "the original value").await?;
        verified(stage, "good", "demo").await?;
        verified(stage, "changed", "demo").await?;
        verified(stage, "forged", "demo").await?;
        let good = bucket.manifest(&stored_as(stage, "good").await?)?;

        // It names an EtcdRestore that is not there.
        let again = Demo::create(stage, "again", beginning("nothing")).await?;
        stage.say(again.says_of_restore("nothing").await?);
        waits(&again).await?;

        let source = |backup: &str| json!({ "backup": backup });
        refused(&again, "nobody", source("nobody"), &["nobody"]).await?;
        bucket.server.go_away().await?;
        order(stage, "unproven", "demo").await?;
        refused(&again, "unproven", source("unproven"), &["not verified"]).await?;
        bucket.server.come_back().await?;

        // Changed after they were proven: other bytes, and other bytes with a manifest that is right for them.
        bucket.objects.flip(&bucket.manifest(&stored_as(stage, "changed").await?)?.data()?)?;
        refused(&again, "changed", source("changed"), &["SHA-256", "unpacked"]).await?;
        let forged = bucket.manifest(&stored_as(stage, "forged").await?)?;
        bucket.forge(&forged, "the original value", "the forgery values")?;
        refused(&again, "forged", source("forged"), &["another backup now"]).await?;
        let stored = json!({
            "store": bucket.store(), "secretName": "demo-store", "cluster": format!("{}/demo", stage.namespace),
            "snapshot": forged.manifest.name,
        });
        refused(&again, "forged-stored", json!({ "stored": stored }), &["not the original's"]).await?;

        // A newer etcd's data is nothing for an older one.
        again.patch_spec(json!({"version": "v3.5.21"})).await?;
        refused(&again, "newer", source("good"), &["3.6.16"]).await?;
        again.patch_spec(json!({"version": "v3.6.16"})).await?;

        // The same name again, made anew.
        stage.api::<EtcdRestore>().delete("changed", &DeleteParams::default()).await?;
        again.patch_spec(json!({"bootstrap": {"restore": "changed"}})).await?;
        restore(stage, "changed", "again", source("good")).await?;
        let status = completes(stage, "changed").await?;
        ensure!(status.digest.as_ref() == Some(&good.manifest.digest), "it began with {status:?}");
        again.ready().await?;
        let canary = again.etcd(0).await?.get("canary").await?;
        ensure!(canary.as_deref() == Some("the original value"), "it holds {canary:?}");
        becomes(stage, "unproven", BackupPhase::Verified, MENDED).await?;
        only_members_are_left(stage, &[&demo, &again]).await
    });
}

#[test]
fn a_restore_that_names_another_cluster_or_a_cluster_that_lives_touches_nothing() {
    play("restores_of_others", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let (demo, _) = Demo::up(stage, "demo", spec_with(1, with_store(&bucket))).await?;
        let id = demo.all_vote().await?;
        verified(stage, "good", "demo").await?;
        demo.etcd(0).await?.put("after", "the backup").await?;

        // Of a cluster that has begun: said, and nothing else.
        restore(stage, "late", "demo", json!({"backup": "good"})).await?;
        stage.say(refuses(stage, "late", &["has begun"]).await?);
        demo.patch_spec(json!({"bootstrap": {"restore": "late"}})).await?;
        holds("the cluster that lives", QUIET, async || demo.etcd(0).await?.serves().await).await?;
        demo.ready().await?;
        ensure!(demo.all_vote().await? == id, "the cluster ID changed");
        ensure!(demo.etcd(0).await?.get("after").await?.is_some(), "what was written is gone");

        // For somebody else than who names it.
        restore(stage, "theirs", "demo2", json!({"backup": "good"})).await?;
        let again = Demo::create(stage, "again", beginning("theirs")).await?;
        stage.say(again.says_of_restore("demo2").await?);
        waits(&again).await
    });
}

impl Demo<'_> {
    /// Waits until its condition Ready is False with this word in its sentence.
    async fn says_of_restore(&self, word: &str) -> Result<String> {
        until(&format!("{} says {word}", self.name), TAKEN, async || {
            let ready = self.condition("Ready").await?;
            ensure!(ready.status == "False" && ready.message.contains(word), "Ready is {ready:?}");
            Ok(ready.message)
        })
        .await
    }
}

/// A cluster of one that begins with an EtcdRestore.
fn beginning(restore: &str) -> Value {
    spec_with(1, json!({"version": "v3.6.16", "bootstrap": {"restore": restore}}))
}

/// Lets a cluster that has not begun name another EtcdRestore, which says why it is none, and so does the cluster.
async fn refused(demo: &Demo<'_>, name: &str, source: Value, words: &[&str]) -> Result<()> {
    let stage: &Stage = demo.stage;
    restore(stage, name, &demo.name, source).await?;
    demo.patch_spec(json!({"bootstrap": {"restore": name}})).await?;
    let said = refuses(stage, name, words).await.with_context(|| format!("restore {name}"))?;
    stage.say(format!("{name}: {said}"));
    demo.says_of_restore(name).await?;
    waits(demo).await.with_context(|| format!("restore {name}"))
}

async fn waits(demo: &Demo<'_>) -> Result<()> {
    holds("nothing begins", QUIET, async || has_not_begun(demo).await).await
}
