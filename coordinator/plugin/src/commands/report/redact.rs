//! What of an object goes into a report that other people read.

use k8s_openapi::api::core::v1::Node;
use serde_json::{Map, Value, json};

/// In the place of what is left out.
const LEFT_OUT: &str = "(left out of the report)";
/// Copies of the object: the one before what is taken out here, the other of no use.
const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object without values of environment variables, which people put passwords into, and without copies of itself.
#[must_use]
pub fn object(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(COPY);
        }
    }
    clean(&mut object);
    object
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| match name.as_str() {
            "env" => field.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut).for_each(hide),
            _ => clean(field),
        }),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn hide(variable: &mut Map<String, Value>) {
    if let Some(value) = variable.get_mut("value") {
        *value = LEFT_OUT.into();
    }
}

/// How a node is: neither its addresses nor whom else it carries.
#[must_use]
pub fn node(node: &Node) -> Value {
    let status = node.status.as_ref();
    json!({
        "name": node.metadata.name,
        "unschedulable": node.spec.as_ref().and_then(|spec| spec.unschedulable),
        "taints": node.spec.as_ref().and_then(|spec| spec.taints.as_ref()),
        "conditions": status.and_then(|status| status.conditions.as_ref()),
        "allocatable": status.and_then(|status| status.allocatable.as_ref()),
        "nodeInfo": status.and_then(|status| status.node_info.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_environment_are_left_out_wherever_they_stand() {
        let secret = json!([{"name": "PASSWORD", "value": "hunter2"}, {"name": "POD",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
        let given = json!({
            "metadata": {"name": "demo-0", "managedFields": [1], "annotations": {COPY: "hunter2", "mine": "stays"}},
            "spec": {"containers": [{"name": "x", "env": secret}],
                "pod": {"template": {"spec": {"containers": [{"env": secret}]}}}},
        });
        let text = object(given).to_string();
        assert!(!text.contains("hunter2") && !text.contains("managedFields"), "{text}");
        assert!(text.contains("PASSWORD") && text.contains("metadata.name") && text.contains("stays"), "{text}");
    }
}
