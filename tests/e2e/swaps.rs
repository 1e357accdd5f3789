//! Promise: another version of etcd comes into the pods that run, one member at a time and the leader last; nothing
//! else of a pod is touched. Where that may not be, pods are replaced.

use crate::harness::demo::{spec, spec_with};
use crate::harness::{Client, Demo, Manner, PATIENCE, Stage, events, play, pods, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{CONTAINER_AGENT, CONTAINER_ETCD};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

const NEXT: &str = "v3.5.35";

#[test]
fn another_version_of_etcd_comes_into_the_pods_that_run_and_no_write_is_lost() {
    play("swap", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let (id, leader, before) = (demo.all_vote().await?, demo.leader().await?, uids(&demo).await?);
        let client = Client::start(&demo).await?;
        let readiness = demo.watch_readiness();
        demo.patch_spec(json!({ "version": NEXT })).await?;
        demo.ready().await?;
        let (lapses, worst) = (readiness.lapses(), readiness.worst());
        stage.say(format!("swapped: {}", lapses.join(" ")));
        ensure!(worst == 1, "{worst} pods were not Ready at once, of {lapses:?}");
        // By when etcd was started: one that is back before kubelet has looked was Ready all the time.
        let started = started(&demo).await?;
        let last = started.last().map(|(_, member)| member);
        ensure!(started.len() == 3 && last == Some(&demo.member(leader)), "the leader was not the last: {started:?}");
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        ensure!(uids(&demo).await? == before, "a pod was replaced");
        for etcd in demo.etcds().await? {
            ensure!(format!("v{}", etcd.said().await?.version) == NEXT, "a member runs another version");
        }
        for pod in demo.pods().await? {
            let restarts = [CONTAINER_AGENT, CONTAINER_ETCD].map(|container| restarts(&pod, container));
            ensure!(restarts == [Some(0), Some(1)], "containers of {} restarted {restarts:?} times", pod.name_any());
        }
        told(stage, &demo).await?;
        events::warned_of_nothing(stage).await?;
        // A pod that is made after it is new from the beginning.
        demo.delete_pod(2, 30).await?;
        until("the pod is another", PATIENCE, async || {
            ensure!(uids(&demo).await?.get(2) != before.get(2), "it is the former");
            demo.is_ready().await
        })
        .await?;
        ensure!(demo.etcd(2).await?.said().await?.version == NEXT[1..], "it runs another version");
        demo.delete().await
    });
}

#[test]
fn an_only_member_gets_another_version_in_its_pod() {
    play("swap_one", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        let (before, put) = (uids(&demo).await?, demo.etcd(0).await?.put("swapped", "no").await?);
        demo.patch_spec(json!({ "version": NEXT })).await?;
        demo.ready().await?;
        ensure!(uids(&demo).await? == before, "the pod was replaced");
        let (said, found) = (demo.etcd(0).await?.said().await?, demo.etcd(0).await?.get("swapped").await?);
        ensure!(said.version == NEXT[1..] && found.as_deref() == Some("no"), "{said:?}: {found:?}");
        ensure!(put.cluster_id == said.cluster_id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn where_no_image_may_be_changed_in_a_pod_the_pods_are_replaced() {
    play("swap_refused", Manner::Beside, async |stage| {
        stage.kubectl.feed(&["apply", "-f", "-"], &policy(stage).await?).await?;
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({}))).await?;
        let before = uids(&demo).await?;
        // A new policy is not in force at once; a change that is none tells when.
        until("the policy is in force", PATIENCE, async || {
            let image = json!({"spec": {"containers": [{"name": CONTAINER_ETCD, "image": "other:1"}]}});
            let (pods, dry) = (stage.api::<Pod>(), PatchParams { dry_run: true, ..PatchParams::default() });
            ensure!(pods.patch(&demo.member(0), &dry, &Patch::Strategic(image)).await.is_err(), "not yet");
            Ok(())
        })
        .await?;
        let client = Client::start(&demo).await?;
        let readiness = demo.watch_readiness();
        demo.patch_spec(json!({ "version": NEXT })).await?;
        demo.ready().await?;
        ensure!(readiness.worst() == 1, "{} pods were not Ready at once", readiness.worst());
        client.finish(&demo).await?;
        let after = uids(&demo).await?;
        ensure!(after.iter().zip(&before).all(|(new, old)| new != old), "not all pods were replaced");
        Ok(())
    });
}

/// Each swap is told, with its version, its image and its reason.
async fn told(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    until("events tell of each member", PATIENCE, async || {
        let told = events::told(stage).await?;
        for member in demo.members() {
            let words = format!("etcd of {member} gets {NEXT} (image quay.io/coreos/etcd:{NEXT}) in its pod");
            ensure!(told.iter().any(|one| one.text.starts_with(&words)), "nothing says: {words}");
        }
        Ok(())
    })
    .await
}

/// In this namespace alone, whose it is: it goes with it.
async fn policy(stage: &Stage) -> Result<String> {
    let namespace = Api::<Namespace>::all(stage.client()).get(&stage.namespace).await?;
    let owner = serde_json::to_value(namespace.owner_ref(&()).context("the namespace has a UID")?)?;
    let metadata = json!({"name": format!("fixed-images-{}", stage.namespace), "ownerReferences": [owner]});
    let only = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}}});
    let same =
        "object.spec.containers.all(c, oldObject.spec.containers.exists(o, o.name == c.name && o.image == c.image))";
    let (version, name) = ("admissionregistration.k8s.io/v1", metadata["name"].clone());
    let objects = [
        json!({"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods"]}]},
            "validations": [{"expression": same, "message": "images of pods are fixed"}],
        }}),
        json!({"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": only}}),
    ];
    Ok(objects.map(|object| object.to_string()).join("\n---\n"))
}

fn restarts(pod: &Pod, container: &str) -> Option<i32> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|one| one.name == container).map(|one| one.restart_count)
}

/// When etcd was started in each pod, the earliest first.
async fn started(demo: &Demo<'_>) -> Result<Vec<(Timestamp, String)>> {
    let of = |pod: &Pod| {
        let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
        let etcd = statuses.iter().find(|one| one.name == CONTAINER_ETCD)?;
        let since = etcd.state.as_ref()?.running.as_ref()?.started_at.as_ref()?;
        Some((since.0, pod.name_any()))
    };
    let mut all: Vec<_> = demo.pods().await?.iter().filter_map(of).collect();
    all.sort();
    Ok(all)
}

/// UIDs of the pods, by ordinal.
async fn uids(demo: &Demo<'_>) -> Result<Vec<String>> {
    Ok(pods::list(&demo.stage.api(), &demo.selector()).await?.iter().filter_map(ResourceExt::uid).collect())
}
