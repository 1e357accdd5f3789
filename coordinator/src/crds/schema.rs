//! What is added to the schemas that our types give.
//!
//! An API server does not look at `format`: it stores a number that fits no `int32`, and then nobody can read the object.
//! So every integer gets the bounds of its type where it has none of its own, in the kinds of Kubernetes that ours hold
//! too.

use serde_json::{Map, Value, json};

/// Largest integer that JSON numbers hold exactly, and API servers take for one.
const LARGEST: i64 = (1 << 53) - 1;

/// Bounds every integer, and every text that may be one; takes the CEL rules away where these are not wanted.
pub fn finish(schema: &mut Value, without_cel: bool) {
    each(schema, &mut |schema| {
        bound(schema);
        if without_cel {
            plain(schema);
        }
    });
}

/// Takes the CEL rules away, and leaves of each what a schema without them can say.
fn plain(schema: &mut Map<String, Value>) {
    let rules = schema.remove("x-kubernetes-validations").unwrap_or_default();
    let rules = rules.as_array().into_iter().flatten().filter_map(|rule| rule["rule"].as_str());
    let pattern = |rule: &str| {
        let rest = rule.strip_prefix("self.matches('").or_else(|| rule.strip_prefix("string(self).matches('"))?;
        Some(rest.split_once("')")?.0.to_owned())
    };
    if let Some(pattern) = rules.filter_map(pattern).next() {
        schema.insert("pattern".to_owned(), json!(pattern));
    }
}

/// As long as any quantity or the name of a port.
const LONGEST: u64 = 64;

fn bound(schema: &mut Map<String, Value>) {
    if schema.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        schema.insert("maxLength".to_owned(), json!(LONGEST));
        // A null is dropped then, and what has a default gets it.
        schema.remove("nullable");
    }
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
    fn without_rules_the_patterns_stay() {
        let kinds = kinds(true).unwrap();
        let spec = &kinds[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        assert_eq!(spec["version"]["pattern"], "^v?3[.][567][.](0|[1-9][0-9]?)$");
        assert!(spec["storage"]["properties"]["size"]["pattern"].is_string());
        assert!(spec["etcd"]["properties"]["quotaBackend"]["pattern"].is_string());
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
