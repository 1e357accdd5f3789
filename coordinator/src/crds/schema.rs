//! What is added to the schemas that our types give.
//!
//! An API server does not look at `format`: it stores a number that fits no `int32`, and then nobody can read the object.
//! So every integer gets the bounds of its type where it has none of its own, in the kinds of Kubernetes that ours hold
//! too.

use serde_json::{Map, Value, json};

/// Largest integer that JSON numbers hold exactly, and API servers take for one.
const LARGEST: i64 = (1 << 53) - 1;

/// Bounds every integer; takes the CEL rules away where these are not wanted.
pub fn finish(schema: &mut Value, without_cel: bool) {
    each(schema, &mut |schema| {
        bound(schema);
        if without_cel {
            schema.remove("x-kubernetes-validations");
        }
    });
}

fn bound(schema: &mut Map<String, Value>) {
    if schema.get("type") != Some(&json!("integer")) {
        return;
    }
    let (least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (-LARGEST, LARGEST),
    };
    for (bound, value) in [("minimum", least), ("maximum", most)] {
        schema.entry(bound).or_insert_with(|| json!(value));
    }
}

/// Visits a schema and all that it holds.
fn each(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(schema) = schema.as_object_mut() else { return };
    visit(schema);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(|property| each(property, visit));
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            each(inner, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crds::kinds;

    /// Kubernetes' own types, whose strings are Kubernetes' to bound.
    const EMBEDDED: [&str; 8] = [
        "spec.pod.affinity",
        "spec.pod.agentResources",
        "spec.pod.imagePullSecrets[]",
        "spec.pod.resources",
        "spec.pod.securityContext",
        "spec.pod.tolerations[]",
        "spec.pod.topologySpreadConstraints[]",
        "status.conditions[]",
    ];

    /// Every schema in the kinds by its path.
    fn all() -> Vec<(String, Value)> {
        let mut found = vec![];
        for kind in kinds(false).unwrap() {
            let schema = &kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            gather(String::new(), schema, &mut found);
        }
        assert!(found.len() > 200, "{} schemas", found.len());
        found
    }

    fn gather(path: String, schema: &Value, found: &mut Vec<(String, Value)>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            gather(path, property, found);
        }
        for (inner, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[inner].is_object() {
                gather(format!("{path}{suffix}"), &schema[inner], found);
            }
        }
        found.push((path, schema.clone()));
    }

    fn without(lacks: impl Fn(&Value) -> bool, but: &[&str]) -> Vec<String> {
        let ours = |path: &String| !but.iter().any(|embedded| path.starts_with(embedded));
        all().into_iter().filter(|(path, schema)| ours(path) && lacks(schema)).map(|(path, _)| path).collect()
    }

    #[test]
    fn every_integer_is_bounded() {
        let unbounded = |schema: &Value| {
            schema["type"] == "integer" && !(schema["minimum"].is_number() && schema["maximum"].is_number())
        };
        assert_eq!(without(unbounded, &[]), Vec::<String>::new());
    }

    #[test]
    fn every_string_list_and_map_of_ours_is_bounded() {
        let unbounded = |schema: &Value| match schema["type"].as_str() {
            Some("string") => schema["maxLength"].is_null() && schema["enum"].is_null(),
            Some("array") => schema["maxItems"].is_null(),
            Some("object") => schema["additionalProperties"].is_object() && schema["maxProperties"].is_null(),
            _ => schema["x-kubernetes-int-or-string"] == true && schema["maxLength"].is_null(),
        };
        assert_eq!(without(unbounded, &EMBEDDED), Vec::<String>::new());
    }
}
