//! What may be said of the members' pods, image and Service: what the API server keeps, and what it refuses in one sentence.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use crate::server::{Room, in_room};

fn spec(fields: &Value) -> Value {
    let mut spec = json!({"version": "v3.5.21"});
    if let (Some(spec), Some(fields)) = (spec.as_object_mut(), fields.as_object()) {
        spec.extend(fields.clone());
    }
    spec
}

async fn kept(room: &Room, fields: &Value) -> Result<Value> {
    let made = room.judge("demo", &spec(fields)).await?;
    Ok(made.map_err(|sentences| anyhow!("{fields}: {sentences:?}"))?["spec"].clone())
}

#[tokio::test]
async fn a_pod_template_is_kept_whole() -> Result<()> {
    in_room(async |room| {
        let template = json!({
            "metadata": {"labels": {"team": "a"}, "annotations": {"a": "b"}},
            "spec": {"containers": [{"name": "x", "resources": {"limits": {"cpu": 1}}}], "unheardOf": {"a": [1]}},
        });
        let said = json!({"template": template, "user": "Platform", "disruptionBudget": "None", "agentUpdate": "OnRestart",
            "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn"},
            "securityContext": {"runAsUser": 1001, "supplementalGroups": [5]},
            "agentResources": {"limits": {"cpu": "100m"}}});
        let pod = kept(room, &json!({ "pod": said })).await?["pod"].clone();
        for (field, value) in said.as_object().into_iter().flatten() {
            assert_eq!(pod[field], *value, "{field}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nothing_of_it_is_there_unless_it_is_said() -> Result<()> {
    in_room(async |room| {
        let made = kept(room, &json!({})).await?;
        for field in ["template", "user", "disruptionBudget", "agentUpdate", "securityContext", "agentResources"] {
            assert_eq!(made["pod"].get(field), None, "{field}");
        }
        assert_eq!(made.get("image"), None);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_mistake_about_pods_images_and_services_is_refused_with_one_sentence() -> Result<()> {
    let digest = format!("quay.io/coreos/etcd@sha256:{}", "0".repeat(63));
    let repository = "repository must be the name of an image without tag and digest";
    let image = "image must be a whole reference with a tag or a digest";
    in_room(async |room| {
        for (fields, sentence) in [
            (json!({"repository": "quay.io/coreos/etcd:v3.5.21"}), repository),
            (json!({"repository": "quay.io/coreos/etcd "}), repository),
            (json!({"repository": "HTTPS://quay.io/coreos/etcd"}), repository),
            (json!({"image": "quay.io/coreos/etcd"}), image),
            (json!({"image": digest}), image),
            (json!({"pod": {"user": "Nobody"}}), "pod.user"),
            (json!({"pod": {"disruptionBudget": "Some"}}), "pod.disruptionBudget"),
            (json!({"pod": {"agentUpdate": "Never"}}), "pod.agentUpdate"),
            (json!({"pod": {"template": {"spec": []}}}), "pod.template.spec"),
            (json!({"pod": {"template": {"metadata": {"labels": {"a": 1}}}}}), "pod.template.metadata.labels"),
            (
                json!({"service": {"loadBalancerClass": "x"}}),
                "service.loadBalancerClass and loadBalancerSourceRanges need service.type LoadBalancer",
            ),
            (
                json!({"service": {"externalTrafficPolicy": "Local"}}),
                "service.externalTrafficPolicy needs service.type NodePort or LoadBalancer",
            ),
            (
                json!({"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["anywhere"]}}),
                "service.loadBalancerSourceRanges takes ranges of addresses such as 10.0.0.0/8",
            ),
            (json!({"service": {"ipFamilyPolicy": "Both"}}), "service.ipFamilyPolicy"),
        ] {
            let refused = room.judge("demo", &spec(&fields)).await?.expect_err(&format!("{fields} is taken"));
            assert_eq!(refused.len(), 1, "one sentence for {fields}: {refused:#?}");
            assert!(refused[0].contains(sentence), "{fields}: {}", refused[0]);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn foreign_tags_and_digests_can_be_said() -> Result<()> {
    in_room(async |room| {
        let digest = format!("localhost:5000/etcd@sha256:{}", "0".repeat(64));
        for image in ["docker.io/bitnami/etcd:3.5.21-debian-12-r0", "[fd00::1]:5000/a/b:x", &digest] {
            assert_eq!(kept(room, &json!({ "image": image })).await?["image"], image);
        }
        Ok(())
    })
    .await
}
