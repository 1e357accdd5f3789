//! Promise: a cluster whose status is lost does not begin again beside what there is of it, and where kinds are older than the
//! coordinator nothing is built on what they drop. Both are said, and mended the cluster goes on.
//!
//! Today's kinds refuse to let go of an incarnation, so those without rules are put in their place for a while.

use crate::harness::coordinator;
use crate::harness::demo::{spec, spec_with};
use crate::harness::stage::apply_kinds;
use crate::harness::{Demo, Manner, PATIENCE, Stage, holds, play, until};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::api::EtcdMember;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use std::time::Duration;

/// A coordinator that would act has acted by then.
const ACTED: Duration = Duration::from_secs(5);

#[test]
fn a_cluster_whose_status_is_lost_or_not_kept_does_not_begin_again() {
    play("lost_status", Manner::Alone, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let outcome = async {
            refused_by_rules(&demo).await?;
            lost(stage, &demo).await?;
            dropped(stage).await
        }
        .await;
        apply_kinds(&stage.kubectl).await?;
        outcome?.ready().await
    });
}

async fn refused_by_rules(demo: &Demo<'_>) -> Result<()> {
    for (patch, sentence) in [
        (json!({"status": {"incarnation": null}}), "status.incarnation never vanishes"),
        (json!({"status": null}), "status.incarnation never vanishes"),
        (json!({"status": {"incarnation": {"membersCreated": false}}}), "within an incarnation"),
        (json!({"status": {"incarnation": {"token": "other"}}}), "within an incarnation"),
    ] {
        match patch_status(demo, &patch).await {
            Ok(_) => bail!("the API server took {patch}"),
            Err(error) => ensure!(format!("{error:#}").contains(sentence), "the reply to {patch} is: {error:#}"),
        }
    }
    Ok(())
}

async fn lost(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let kinds = tokio::process::Command::new(coordinator::program()?).args(["crds", "--without-cel"]).output().await?;
    let kinds = String::from_utf8(kinds.stdout)?;
    stage.kubectl.feed(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &kinds).await?;
    let incarnation = demo.get().await?.status.and_then(|status| status.incarnation).context("it has begun")?;
    let before = uids(stage).await?;
    until("the API server goes by kinds without rules", PATIENCE, async || {
        patch_status(demo, &json!({"status": {"incarnation": null}})).await
    })
    .await?;
    demo.patch_spec(json!({"size": 3})).await?;
    let sentence = demo.says("Stalled", "True", "StatusLost").await?;
    stage.say(&sentence);
    holds("nothing is made", ACTED, async || {
        ensure!(uids(stage).await? == before, "EtcdMembers were made or deleted");
        Ok(())
    })
    .await?;
    demo.patch_spec(json!({"size": 1})).await?;
    patch_status(demo, &json!({"status": {"incarnation": incarnation}})).await?;
    demo.ready().await
}

/// Kinds of before the latch: the members of `second` are made, and no pod.
async fn dropped(stage: &Stage) -> Result<Demo<'_>> {
    let latch =
        "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/incarnation/properties/membersCreated";
    let patch = json!([{"op": "remove", "path": latch}]).to_string();
    stage.kubectl.run(&["patch", "crd/etcdclusters.etcd.etcd.io", "--type=json", "-p", &patch]).await?;
    let demo = Demo::there(stage, "demo", 1);
    until("the API server goes by older kinds", PATIENCE, async || {
        let latched = demo.get().await?.status.and_then(|status| status.incarnation).is_some_and(|i| i.members_created);
        ensure!(!latched, "it still shows the latch");
        Ok(())
    })
    .await?;
    let second = Demo::create(stage, "second", spec_with(1, json!({}))).await?;
    stage.say(second.says("Stalled", "True", "OldKinds").await?);
    ensure!(stage.api::<StatefulSet>().get_opt("second").await?.is_none(), "it has a StatefulSet");
    Ok(second)
}

async fn patch_status(demo: &Demo<'_>, patch: &Value) -> Result<()> {
    let object = format!("etcdc/{}", demo.name);
    let kubectl = &demo.stage.kubectl;
    let args = ["-n", &demo.stage.namespace, "patch", &object, "--subresource=status", "--type=merge", "-p"];
    kubectl.run(&[&args[..], &[patch.to_string().as_str()]].concat()).await.map(drop)
}

async fn uids(stage: &Stage) -> Result<Vec<String>> {
    let members = stage.api::<EtcdMember>().list(&ListParams::default()).await?;
    Ok(members.iter().filter_map(ResourceExt::uid).collect())
}
