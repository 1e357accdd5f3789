//! Promise: with the optional policy, nobody but the operator changes or deletes what members stand on.

use crate::harness::demo::{spec, spec_with};
use crate::harness::{Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Resource};
use serde_json::{Value, json};
use std::path::Path;

/// Somebody with every right, who is not the operator.
const SOMEBODY: [&str; 2] = ["--as=somebody", "--as-group=system:masters"];

#[test]
fn others_hands_are_kept_off_a_protected_cluster_and_everything_else_goes_on() {
    play("protection", Manner::Beside, async |stage| {
        let operator = stage.kubectl.run(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).await?;
        stage.kubectl.feed(&["apply", "-f", "-"], &here(stage, operator.trim()).await?).await?;
        let (mut demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        // A new policy is not in force at once; a change that is none tells when.
        until("the policy is in force", PATIENCE, async || {
            let tried = somebody(stage, "delete serviceaccount/demo-agent --dry-run=server").await;
            ensure!(tried.is_err(), "not yet");
            Ok(())
        })
        .await?;
        let before = demo.pod(0).await?.metadata.uid;
        for line in [
            "scale sts/demo --replicas=0",
            "patch sts/demo --type=merge -p {\"spec\":{\"replicas\":0}}",
            "set env sts/demo -c etcd ETCD_FORCE_NEW_CLUSTER=true",
            "delete sts/demo",
            "delete serviceaccount/demo-agent",
        ] {
            let refused = somebody(stage, line).await.err().with_context(|| format!("{line} was let through"))?;
            let sentence = format!("{refused:#}");
            ensure!(sentence.contains("the etcd operator's"), "{line}: {sentence}");
        }
        somebody(stage, "label sts/demo team=a").await?;
        ensure!(demo.pod(0).await?.metadata.uid == before, "the pod was replaced");

        // The operator's own: a roll, a scaling, and the end of it all by Kubernetes' garbage collector.
        demo.patch_spec(json!({"etcd": {"extraArgs": {"max-txn-ops": "256"}}})).await?;
        demo.ready().await?;
        demo.patch_spec(spec_with(3, json!({}))).await?;
        demo.size = 3;
        demo.ready().await?;
        somebody(stage, "annotate serviceaccount/demo-agent etcd.etcd.io/break-glass=true").await?;
        somebody(stage, "delete serviceaccount/demo-agent --dry-run=server").await?;
        demo.delete().await
    });
}

async fn somebody(stage: &Stage, line: &str) -> Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    stage.kubectl.run(&[&SOMEBODY[..], &["-n", &stage.namespace], &words[..]].concat()).await
}

/// The policy for this namespace alone, and with the user of this test's coordinator as the operator. The namespace owns
/// it: it goes with it.
async fn here(stage: &Stage, operator: &str) -> Result<String> {
    let namespace = Api::<Namespace>::all(stage.client()).get(&stage.namespace).await?;
    let owner = serde_json::to_value(namespace.owner_ref(&()).context("the namespace has a UID")?)?;
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in a clone")?;
    let manifest = std::fs::read_to_string(clone.join("manifests/protection.yaml"))?;
    let manifest = manifest.replace("system:serviceaccount:etcd-operator-system:etcd-coordinator", operator);
    let mut objects = vec![];
    for document in manifest.split("\n---\n") {
        let mut object: Value = serde_yaml::from_str(document)?;
        let name = |name: &Value| json!(format!("{}-{}", name.as_str().unwrap_or_default(), stage.namespace));
        object["metadata"]["name"] = name(&object["metadata"]["name"]);
        object["metadata"]["ownerReferences"] = json!([owner]);
        if object["kind"] == "ValidatingAdmissionPolicyBinding" {
            object["spec"]["policyName"] = name(&object["spec"]["policyName"]);
            let only = json!({"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}});
            object["spec"]["matchResources"] = json!({"namespaceSelector": only});
        }
        objects.push(object.to_string());
    }
    Ok(objects.join("\n---\n"))
}
