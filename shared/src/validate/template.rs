//! Reads the user's pod template. The schema takes any object there, so each mistake is found here and named by its path.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::api::cluster::RawTemplate;

/// Longer templates than any pod's are refused: each coordinator holds them all.
const MAX_BYTES: usize = 64 << 10;
/// Where it stands in the object.
const PATH: &str = "spec.pod.template.spec";

/// The user's pod template, as Kubernetes reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub spec: PodSpec,
}

// A pod's spec holds no fractions.
impl Eq for Template {}

/// Why a template is none.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum TemplateError {
    #[error("{PATH} has {0} bytes of JSON, more than {MAX_BYTES}")]
    TooLong(usize),
    #[error("{path}: {words}")]
    Undecodable { path: String, words: String },
    #[error("{0} is not a field of a pod: mend or remove it")]
    UnknownField(String),
}

/// Reads a template.
///
/// # Errors
/// When it holds what no pod can hold.
pub fn template(raw: &RawTemplate) -> Result<Template, TemplateError> {
    let RawTemplate { metadata, spec } = raw;
    let metadata = metadata.clone().unwrap_or_default();
    let written = spec.clone().unwrap_or_else(|| Value::Object(Map::new()));
    let length = written.to_string().len();
    if length > MAX_BYTES {
        return Err(TemplateError::TooLong(length));
    }
    let spec = decode(&written).map_err(|_| undecodable(&written))?;
    let read = serde_json::to_value(&spec).unwrap_or_default();
    match unread(&written, &read, PATH) {
        Some(path) => Err(TemplateError::UnknownField(path)),
        None => Ok(Template {
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            spec,
        }),
    }
}

fn decode(spec: &Value) -> Result<PodSpec, serde_json::Error> {
    serde_json::from_value(spec.clone())
}

/// Where the mistake is, and what it is: the smallest part of the template that cannot be read, all else left out.
fn undecodable(spec: &Value) -> TemplateError {
    let (mut steps, mut part) = (vec![], spec);
    // An object where a list belongs is a mistake as a whole.
    while alone(&steps, emptied(part)).is_ok() {
        let failing = children(part).find(|(step, inner)| alone(&steps, step.around((*inner).clone())).is_err());
        let Some((step, inner)) = failing else { break };
        steps.push(step);
        part = inner;
    }
    let path = steps.iter().fold(PATH.to_owned(), |path, step| path + &step.to_string());
    let words = alone(&steps, part.clone()).err().map(|error| error.to_string()).unwrap_or_default();
    TemplateError::Undecodable { path, words }
}

/// A template that has nothing but this at the end of these steps.
fn alone(steps: &[Step], value: Value) -> Result<PodSpec, serde_json::Error> {
    decode(&steps.iter().rev().fold(value, |inner, step| step.around(inner)))
}

fn emptied(value: &Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(vec![]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// One step into a value.
enum Step {
    Field(String),
    Item(usize),
}

impl Step {
    /// A value that holds nothing but `inner`.
    fn around(&self, inner: Value) -> Value {
        match self {
            Self::Field(name) => Value::Object(Map::from_iter([(name.clone(), inner)])),
            Self::Item(_) => Value::Array(vec![inner]),
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Item(index) => write!(f, "[{index}]"),
        }
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = (Step, &Value)> + '_> {
    match value {
        Value::Object(fields) => Box::new(fields.iter().map(|(name, value)| (Step::Field(name.clone()), value))),
        Value::Array(items) => Box::new(items.iter().enumerate().map(|(index, value)| (Step::Item(index), value))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
    }
}

/// The first field that was written and not read.
fn unread(written: &Value, read: &Value, path: &str) -> Option<String> {
    children(written).find_map(|(step, inner)| {
        let path = format!("{path}{step}");
        let found = match &step {
            Step::Field(name) => read.get(name),
            Step::Item(index) => read.get(index),
        };
        match found {
            Some(found) => unread(inner, found, &path),
            None => (!inner.is_null()).then_some(path),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(spec: Value) -> Result<Template, TemplateError> {
        template(&RawTemplate { metadata: None, spec: Some(spec) })
    }

    #[test]
    fn nothing_said_is_a_template_that_says_nothing() {
        assert_eq!(template(&RawTemplate::default()), Ok(Template::default()));
        assert_eq!(read(json!({"containers": [], "dnsConfig": null})), Ok(Template::default()));
    }

    #[test]
    fn what_kubernetes_takes_is_read() {
        let spec = json!({
            "containers": [{
                "name": "exporter", "image": "exporter:1", "env": [{"name": "A", "value": "b"}],
                "resources": {"limits": {"cpu": 1, "memory": "64Mi"}},
                "livenessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 5},
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            }],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
            "terminationGracePeriodSeconds": 90,
        });
        let read = read(spec).unwrap().spec;
        assert_eq!((read.containers.len(), read.termination_grace_period_seconds), (1, Some(90)));
    }

    #[test]
    fn each_mistake_is_named_by_its_path() {
        for (spec, path) in [
            (json!({"terminationGracePeriodSeconds": "90"}), "spec.pod.template.spec.terminationGracePeriodSeconds: "),
            (json!({"containers": {"name": "a"}}), "spec.pod.template.spec.containers: "),
            (
                json!({"containers": [{"name": "a"}, {"name": "b", "env": [{"name": "A", "value": 1}]}]}),
                "spec.pod.template.spec.containers[1].env[0].value: ",
            ),
            (json!({"priority": 3_000_000_000_i64}), "spec.pod.template.spec.priority: "),
            (json!({"sidecars": []}), "spec.pod.template.spec.sidecars is not a field of a pod"),
            (
                json!({"containers": [{"name": "a", "resources": {"limit": {"cpu": "1"}}}]}),
                "spec.pod.template.spec.containers[0].resources.limit is not a field of a pod",
            ),
            (json!([]), "spec.pod.template.spec: "),
        ] {
            let said = read(spec).unwrap_err().to_string();
            assert!(said.starts_with(path), "{said}");
        }
    }

    #[test]
    fn a_template_is_bounded() {
        let long = json!({"containers": [{"name": "a", "args": ["x".repeat(MAX_BYTES)]}]});
        assert!(matches!(read(long), Err(TemplateError::TooLong(_))));
    }
}
