//! The shape of a pod: all of its template but what is changed in pods that run without any being old by it. A pod
//! whose shape is old is replaced; where its frame, which is the same without the etcd in it, is the newest, etcd alone
//! is changed.
//!
//! ```text
//!   template ─▶ without the agent's image ───────────────────▶ fingerprint ─▶ annotation etcd.etcd.io/shape ─▶ (StatefulSet) ─▶ pod
//!            ─▶ and etcd's image, version and options ───────▶ fingerprint ─▶ annotation etcd.etcd.io/frame ─▶ (StatefulSet) ─▶ pod
//! ```
//! A pod with the newest frame is what its etcd is: the one that is noted with its last change ([`super::swap`]), with
//! the options that its agent says, or was told. The shape on a pod whose etcd was changed names none that any template
//! has: a coordinator that knows nothing of such changes replaces the pod.

use etcd_operator_shared::{
    api::EtcdOptions,
    names::{
        ANNOTATION_AGENT, ANNOTATION_AGENT_IMAGE, ANNOTATION_ETCD_IMAGE, ANNOTATION_FRAME, ANNOTATION_SHAPE,
        ANNOTATION_SWAP, CONTAINER_AGENT, CONTAINER_ETCD,
        env::{ETCD_OPTIONS, ETCD_VERSION},
    },
};
use k8s_openapi::{
    api::core::v1::{Pod, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{agent, swap};
use crate::print;

/// Annotations that are no part of a shape.
const NOTES: [&str; 6] = [
    ANNOTATION_SHAPE,
    ANNOTATION_FRAME,
    ANNOTATION_AGENT,
    ANNOTATION_AGENT_IMAGE,
    ANNOTATION_ETCD_IMAGE,
    ANNOTATION_SWAP,
];

/// The shape of a pod whose etcd was changed, for whoever does not know of such changes.
pub const CHANGED: &str = "changed";

/// Writes on a template its shape and its frame, and the images of its agent and its etcd.
pub fn stamp(template: &mut PodTemplateSpec) {
    let lasting = lasting(template);
    let fingerprint = |all: &Value| format!("{:016x}", print::of(&all.to_string()));
    let (shape, frame) = (fingerprint(&lasting), fingerprint(&without_etcd(lasting)));
    let image = template.spec.as_ref().and_then(agent::image).map(ToOwned::to_owned);
    let etcd = template.spec.as_ref().and_then(swap::image).map(ToOwned::to_owned);
    let notes = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    notes.insert(ANNOTATION_SHAPE.to_owned(), shape);
    notes.insert(ANNOTATION_FRAME.to_owned(), frame);
    notes.extend(image.map(|image| (ANNOTATION_AGENT_IMAGE.to_owned(), image)));
    notes.extend(etcd.map(|image| (ANNOTATION_ETCD_IMAGE.to_owned(), image)));
}

/// The shape that is written on a template or a pod.
#[must_use]
pub fn written(meta: &ObjectMeta) -> Option<&str> {
    meta.annotations.as_ref()?.get(ANNOTATION_SHAPE).map(String::as_str)
}

/// The frame that is written on a template or a pod.
#[must_use]
pub fn frame(meta: &ObjectMeta) -> Option<&str> {
    meta.annotations.as_ref()?.get(ANNOTATION_FRAME).map(String::as_str)
}

/// Whether a pod has all that a template says, in the same words or others: how a pod is judged that was made before
/// shapes were written on pods. What it has beside that may be of the API server's making.
#[must_use]
pub fn fits(pod: &Pod, template: &PodTemplateSpec) -> bool {
    covers(&lasting(pod), &lasting(template))
}

/// A template or a pod without what is changed in place, and without what is written about that.
fn lasting(object: &impl Serialize) -> Value {
    let mut all = json!(object);
    if let Some(notes) = all.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        NOTES.iter().for_each(|note| drop(notes.remove(*note)));
    }
    let containers = all.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter(|one| one["name"] == CONTAINER_AGENT) {
        container.as_object_mut().map(|fields| fields.remove("image"));
    }
    all
}

/// The same without which etcd it is.
fn without_etcd(mut all: Value) -> Value {
    let containers = all.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        if container["name"] == CONTAINER_ETCD {
            container.as_object_mut().map(|fields| fields.remove("image"));
        } else if container["name"] == CONTAINER_AGENT {
            let variables = container.get_mut("env").and_then(Value::as_array_mut);
            let is_etcds = |one: &Value| one["name"] == ETCD_VERSION || one["name"] == ETCD_OPTIONS;
            variables.into_iter().for_each(|all| all.retain(|one| !is_etcds(one)));
        }
    }
    all
}

/// Of a list every element is covered by some element of the other.
fn covers(pod: &Value, template: &Value) -> bool {
    match (pod, template) {
        (Value::Object(pod), Value::Object(template)) if template.get("name") == Some(&json!(ETCD_OPTIONS)) => {
            pod.get("name") == template.get("name") && options(pod.get("value")) == options(template.get("value"))
        }
        (Value::Object(pod), Value::Object(template)) => {
            template.iter().all(|(name, value)| pod.get(name).is_some_and(|other| covers(other, value)))
        }
        (Value::Array(pod), Value::Array(template)) => {
            template.iter().all(|value| pod.iter().any(|other| covers(other, value)))
        }
        (pod, template) => pod == template,
    }
}

/// The options as an agent understands them: they were said in full before.
fn options(said: Option<&Value>) -> Option<EtcdOptions> {
    serde_json::from_str(said?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(change: impl FnOnce(&mut Value)) -> PodTemplateSpec {
        let mut all = json!({
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}},
            "spec": {"containers": [
                {"name": "agent", "image": "agent:1", "env": [
                    {"name": "ETCD_OPTIONS", "value": r#"{"quotaBackend":"2Gi"}"#}, {"name": "ETCD_VERSION", "value": "v3.5.21"}]},
                {"name": "etcd", "image": "etcd:1"},
            ]},
        });
        change(&mut all);
        let mut template = serde_json::from_value(all).unwrap();
        stamp(&mut template);
        template
    }

    fn shape(change: impl FnOnce(&mut Value)) -> String {
        written(&template(change).metadata.unwrap()).unwrap().to_owned()
    }

    #[test]
    fn the_agents_image_is_no_part_of_a_shape_and_all_else_is() {
        let plain = shape(|_| ());
        assert_eq!(shape(|all| all["spec"]["containers"][0]["image"] = json!("agent:2")), plain);
        assert_ne!(shape(|all| all["spec"]["containers"][1]["image"] = json!("etcd:2")), plain);
        assert_ne!(shape(|all| all["spec"]["containers"][0]["env"] = json!([])), plain);
        assert_ne!(shape(|all| all["metadata"]["labels"]["team"] = json!("b")), plain);
        assert_ne!(shape(|all| all["metadata"]["annotations"]["note"] = json!("y")), plain);
    }

    #[test]
    fn which_etcd_it_is_is_no_part_of_a_frame_and_all_else_is() {
        let frame = |change: fn(&mut Value)| frame(&template(change).metadata.unwrap()).unwrap().to_owned();
        let plain = frame(|_| ());
        assert_eq!(frame(|all| all["spec"]["containers"][0]["image"] = json!("agent:2")), plain);
        assert_eq!(frame(|all| all["spec"]["containers"][1]["image"] = json!("etcd:2")), plain);
        let newer = |all: &mut Value| all["spec"]["containers"][0]["env"][1]["value"] = json!("v3.5.35");
        assert_eq!(frame(newer), plain);
        assert_ne!(shape(newer), shape(|_| ()));
        let options = |all: &mut Value| all["spec"]["containers"][0]["env"][0]["value"] = json!("{}");
        assert_eq!(frame(options), plain);
        assert_ne!(shape(options), shape(|_| ()));
        assert_ne!(frame(|all| all["spec"]["containers"][0]["env"][0]["name"] = json!("OTHER")), plain);
        assert_ne!(frame(|all| all["spec"]["containers"][1]["command"] = json!(["x"])), plain);
        assert_ne!(frame(|all| all["metadata"]["labels"]["team"] = json!("b")), plain);
    }

    #[test]
    fn a_template_that_is_stamped_again_keeps_its_shape() {
        let once = template(|_| ());
        let mut twice = once.clone();
        stamp(&mut twice);
        assert_eq!(once, twice);
    }

    /// As an earlier release and the API server made it.
    fn older(change: impl FnOnce(&mut Value)) -> Pod {
        let full = concat!(
            r#"{"quotaBackend":"2Gi","autoCompaction":{"mode":"Periodic","retention":"1h"},"#,
            r#""heartbeatInterval":"100ms","electionTimeout":"1s","extraArgs":{}}"#
        );
        let mut pod = json!({
            "metadata": {"name": "demo-0", "labels": {"team": "a", "controller-revision-hash": "b"}, "annotations": {"note": "x"}},
            "spec": {"nodeName": "n", "containers": [
                {"name": "agent", "image": "agent:0", "env": [
                    {"name": "ETCD_VERSION", "value": "v3.5.21"}, {"name": "ETCD_OPTIONS", "value": full}]},
                {"name": "etcd", "image": "etcd:1", "terminationMessagePath": "/dev/termination-log"},
                {"name": "injected", "image": "mesh:1"},
            ]},
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_of_before_that_is_what_the_template_says_is_not_old() {
        let template = template(|_| ());
        assert!(fits(&older(|_| ()), &template));
        assert!(!fits(&older(|pod| pod["spec"]["containers"][1]["image"] = json!("etcd:0")), &template));
        assert!(!fits(&older(|pod| pod["metadata"]["labels"]["team"] = json!("b")), &template));
        let quota = json!(r#"{"quotaBackend":"3Gi"}"#);
        assert!(!fits(&older(|pod| pod["spec"]["containers"][0]["env"][1]["value"] = quota), &template));
    }
}
