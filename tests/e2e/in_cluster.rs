//! Promise: the operator is installed with one file, and works from inside the cluster.

use crate::harness::demo::spec;
use crate::harness::stage::agent_image;
use crate::harness::{Demo, Manner, play};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Everything of the manifest lives here, but for cluster roles and kinds.
const SYSTEM: &str = "etcd-operator-system";

#[test]
fn the_manifest_installs_an_operator_that_makes_clusters() {
    play("in_cluster", Manner::Beside, async |stage| {
        stage.stop_coordinator().await?;
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in a clone")?.join("manifests");
        let install = kept_to(&stage.namespace, &std::fs::read_to_string(folder.join("install.yaml"))?)?;
        stage.kubectl.feed(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &install).await?;
        let outcome = async {
            stage
                .kubectl
                .run(&["-n", SYSTEM, "rollout", "status", "deployment/etcd-coordinator", "--timeout=90s"])
                .await?;
            let (demo, took) = Demo::up(stage, "demo", spec(3)).await?;
            stage.say(format!("Ready after {:.2} s by a coordinator in the cluster", took.as_secs_f64()));
            demo.all_vote().await?;
            let members = stage.kubectl.run(&["-n", &stage.namespace, "get", "etcdc,etcdm"]).await?;
            stage.say(format!("kubectl get etcdc,etcdm\n{members}"));
            ensure!(members.contains("Running"), "kubectl shows:\n{members}");
            demo.delete().await
        }
        .await;
        if outcome.is_err() {
            let log = stage.kubectl.run(&["-n", SYSTEM, "logs", "deployment/etcd-coordinator", "--tail=60"]).await;
            stage.say(format!("coordinator in the cluster:\n{}", log.unwrap_or_else(|error| format!("{error:#}"))));
        }
        // The kinds stay: other tests and their clusters need them.
        let operator = std::fs::read_to_string(folder.join("operator.yaml"))?;
        stage.kubectl.feed(&["delete", "--ignore-not-found", "-f", "-"], &operator).await?;
        outcome
    });
}

/// Keeps it to the test's namespace, with the agents under test.
fn kept_to(namespace: &str, install: &str) -> Result<String> {
    let args = format!("- --agent-image={}\n            - --namespace={namespace}", agent_image());
    let kept = install.replace("- --agent-image=etcd-operator/agent:dev", &args);
    ensure!(kept != install, "the manifest names no agent image");
    Ok(kept)
}
