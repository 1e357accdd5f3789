//! Promise: the operator is installed with one file, and works from inside the cluster.

use crate::harness::demo::unsaid;
use crate::harness::stage::agent_image;
use crate::harness::{Demo, Manner, Stage, play};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Resource};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_manifest_installs_an_operator_that_makes_clusters() {
    play("in_cluster", Manner::Beside, async |stage| {
        stage.stop_coordinator().await?;
        install(stage).await?;
        let outcome = it_makes_a_cluster(stage).await;
        if outcome.is_err() {
            let log =
                stage.kubectl.run(&["-n", &stage.namespace, "logs", "deployment/etcd-coordinator", "--tail=60"]).await;
            stage.say(format!("coordinator in the cluster:\n{}", log.unwrap_or_else(|error| format!("{error:#}"))));
        }
        outcome
    });
}

/// Installs the operator for this namespace, as people do with `manifests/install.yaml`.
///
/// # Errors
/// When the API server does not take it.
pub async fn install(stage: &Stage) -> Result<()> {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in a clone")?;
    let manifest = std::fs::read_to_string(clone.join("manifests/install.yaml"))?;
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    stage.kubectl.feed(&apply, &moved(stage, &manifest).await?).await.map(drop)
}

async fn it_makes_a_cluster(stage: &Stage) -> Result<()> {
    let rollout = ["-n", &stage.namespace, "rollout", "status", "deployment/etcd-coordinator", "--timeout=90s"];
    stage.kubectl.run(&rollout).await?;
    let (demo, took) = Demo::up(stage, "demo", unsaid(3)).await?;
    stage.say(format!("Ready after {:.2} s by a coordinator in the cluster", took.as_secs_f64()));
    demo.all_vote().await?;
    let members = stage.kubectl.run(&["-n", &stage.namespace, "get", "etcdc,etcdm"]).await?;
    stage.say(format!("kubectl get etcdc,etcdm\n{members}"));
    ensure!(members.contains("Running"), "kubectl shows:\n{members}");
    demo.delete().await
}

/// The manifest for the test's namespace instead of its own, with the agents under test, so that an operator which is
/// installed here stays as it is. The namespace owns what lies outside it: whatever becomes of this test, Kubernetes
/// removes all of it with the namespace. The kinds are everybody's and stay.
async fn moved(stage: &Stage, manifest: &str) -> Result<String> {
    let namespace = Api::<Namespace>::all(stage.client()).get(&stage.namespace).await?;
    let owner = serde_json::to_value(namespace.owner_ref(&()).context("the namespace has a UID")?)?;
    let mut documents = vec![];
    for document in manifest.split("\n---\n") {
        let mut object: Value = serde_yaml::from_str(document)?;
        let is_moved = move_object(&mut object, &stage.namespace, &owner)?;
        documents.push(if is_moved { object.to_string() } else { document.to_owned() });
    }
    Ok(documents.join("\n---\n"))
}

/// Whether it is one that moves.
fn move_object(object: &mut Value, namespace: &str, owner: &Value) -> Result<bool> {
    let own_name = |name: &Value| json!(format!("{}-{namespace}", name.as_str().unwrap_or_default()));
    match object["kind"].as_str().context("an object has a kind")? {
        "CustomResourceDefinition" => return Ok(false),
        "Namespace" => object["metadata"]["name"] = json!(namespace),
        "ClusterRole" | "ClusterRoleBinding" => {
            object["metadata"]["name"] = own_name(&object["metadata"]["name"]);
            object["metadata"]["ownerReferences"] = json!([owner]);
        }
        _ => object["metadata"]["namespace"] = json!(namespace),
    }
    if object["roleRef"]["kind"] == "ClusterRole" {
        object["roleRef"]["name"] = own_name(&object["roleRef"]["name"]);
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        subject["namespace"] = json!(namespace);
    }
    if let Some(args) = object.pointer_mut("/spec/template/spec/containers/0/args").and_then(Value::as_array_mut) {
        let image = args.iter_mut().find(|arg| arg.as_str().is_some_and(|arg| arg.starts_with("--agent-image=")));
        *image.context("the manifest names an agent image")? = json!(format!("--agent-image={}", agent_image()));
        args.push(json!(format!("--namespace={namespace}")));
    }
    Ok(true)
}
