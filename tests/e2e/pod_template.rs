//! Promise: what a user says of the pods holds from the first pod on and through a roll: sidecars, volumes, image, user and
//! resources; what cannot be used is told, and nothing of ours changes by it.

use crate::harness::demo::spec_with;
use crate::harness::{Client, Demo, Manner, PATIENCE, play, pods, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{CONTAINER_AGENT, CONTAINER_ETCD};
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

/// The image that every node has, and another name for it, as a foreign image would have it.
const IMAGE: &str = "quay.io/coreos/etcd:v3.5.21";
const FOREIGN: &str = "quay.io/coreos/etcd:3.5.21-debian-12-r0";
/// Neither ours nor root: what Bitnami's image runs as.
const USER: i64 = 1001;

#[test]
fn a_users_pod_template_holds_from_creation_through_a_roll() {
    play("pod_template", Manner::Beside, async |stage| {
        let Some(testbed) = stage.cluster().testbed() else {
            stage.say("skipped: the nodes' images cannot be given other names");
            return Ok(());
        };
        let digest = testbed.name_image(IMAGE, FOREIGN).await?;
        let (demo, took) = Demo::up(stage, "demo", spec_with(3, spec())).await?;
        stage.say(format!("Ready after {:.2} s with a sidecar and a foreign tag", took.as_secs_f64()));
        let id = demo.all_vote().await?;
        for pod in demo.pods().await? {
            as_wished(&pod, FOREIGN, "200m")?;
        }
        let told = demo.says("TemplateApplied", "False", "FieldsNotUsed").await?;
        ensure!(told.contains("spec.pod.template.spec.hostNetwork is not used"), "it says {told}");
        told_once(&demo, &told).await?;

        let client = Client::start(&demo).await?;
        let readiness = demo.watch_readiness();
        let template = json!({"spec": {"hostNetwork": null}});
        let agent = json!({"limits": {"cpu": "300m"}});
        demo.patch_spec(json!({"image": digest, "pod": {"agentResources": agent, "template": template}})).await?;
        demo.ready().await?;
        let worst = readiness.worst();
        ensure!(worst == 1, "{worst} pods were not Ready at once");
        client.finish(&demo).await?;
        for pod in demo.pods().await? {
            as_wished(&pod, &digest, "300m")?;
        }
        ensure!(demo.all_vote().await? == id, "the cluster ID changed");
        demo.says("TemplateApplied", "True", "AllFieldsUsed").await?;
        ensure!(demo.restarts().await? == 0, "containers were restarted");
        demo.delete().await
    });
}

/// A sidecar beside etcd that can read its data, and a container before both; one wish that cannot be fulfilled.
fn spec() -> Value {
    let denied =
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    let template = json!({
        "metadata": {"labels": {"team": "a"}},
        "spec": {
            "hostNetwork": true,
            "initContainers": [{"name": "before", "image": IMAGE, "command": ["etcdctl", "version"], "securityContext": denied}],
            "containers": [
                {"name": "beside", "image": "localhost/pause:1", "imagePullPolicy": "IfNotPresent", "securityContext": denied,
                    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": true}, {"name": "scratch", "mountPath": "/scratch"}]},
                {"name": "etcd", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]},
            ],
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}}],
        },
    });
    json!({"image": FOREIGN, "pod": {
        "agentResources": {"limits": {"cpu": "200m"}},
        "securityContext": {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
        "template": template,
    }})
}

/// The pod is what was asked for, and every container of it runs.
fn as_wished(pod: &Pod, image: &str, cpu: &str) -> Result<()> {
    let spec = pod.spec.as_ref().context("a pod has a spec")?;
    let names: Vec<&str> = spec.containers.iter().map(|one| one.name.as_str()).collect();
    ensure!(names == [CONTAINER_AGENT, CONTAINER_ETCD, "beside"], "the containers are {names:?}");
    ensure!(names.iter().all(|name| pods::runs(pod, name)), "not all of {names:?} run in {}", pod.name_any());
    ensure!(pod.labels().get("team").map(String::as_str) == Some("a"), "the label is missing");
    ensure!(spec.host_network != Some(true), "the pod is in its node's network");
    let user = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    ensure!(user == Some(USER), "the pod runs as {user:?}");
    let [agent, etcd, beside] = spec.containers.as_slice() else { unreachable!("there are three") };
    ensure!(etcd.image.as_deref() == Some(image), "etcd's image is {:?}", etcd.image);
    let limit = agent.resources.as_ref().and_then(|all| all.limits.as_ref()?.get("cpu").map(|cpu| cpu.0.clone()));
    ensure!(limit.as_deref() == Some(cpu), "the agent's limit is {limit:?}");
    ensure!(mount(etcd, "scratch") == Some(false), "etcd's container lacks the volume");
    ensure!(mount(beside, "data") == Some(true), "the sidecar does not read the data");
    Ok(())
}

/// Whether a volume is mounted read-only.
fn mount(container: &Container, volume: &str) -> Option<bool> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts.filter(|mount| mount.name == volume).map(|mount| mount.read_only == Some(true)).next()
}

/// One Warning event has the sentence.
async fn told_once(demo: &Demo<'_>, sentence: &str) -> Result<()> {
    until("an event says what is not used", PATIENCE, async || {
        let events = demo.stage.api::<Event>().list(&ListParams::default()).await?;
        let told = events.iter().filter(|event| event.note.as_deref() == Some(sentence)).count();
        ensure!(told == 1, "{told} events say: {sentence}");
        Ok(())
    })
    .await
}
