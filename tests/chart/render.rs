//! What Helm makes of the chart, as objects.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use testbed::Helm;
use testbed::helm::CHART;

/// The namespace of `manifests/operator.yaml`.
pub const NAMESPACE: &str = "etcd-operator-system";

/// Objects by kind, namespace and name; what has no namespace has an empty one.
pub type Objects = BTreeMap<[String; 3], Value>;

/// Helm, for charts alone.
///
/// # Errors
/// When it cannot be built.
pub async fn helm() -> Result<Helm> {
    Helm::ready(None).await
}

/// What an install in that namespace with these arguments would make.
///
/// # Errors
/// With Helm's words, when it refuses.
pub async fn rendered(args: &[&str]) -> Result<Objects> {
    let whole = [&["template", "etcd-operator", CHART, "--namespace", NAMESPACE], args].concat();
    objects(&helm().await?.run(&whole).await?)
}

/// The objects of a file of several documents.
///
/// # Errors
/// When it cannot be read, or has one twice.
pub fn objects(yaml: &str) -> Result<Objects> {
    let mut all = Objects::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let object = Value::deserialize(document)?;
        if object.is_null() {
            continue;
        }
        let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = ["/kind", "/metadata/namespace", "/metadata/name"].map(word);
        ensure!(all.insert(key.clone(), object).is_none(), "{key:?} is there twice");
    }
    Ok(all)
}

/// The object of this kind and name, and in it what a JSON pointer leads to; Null where either is not there.
#[must_use]
pub fn look<'a>(objects: &'a Objects, kind: &str, name: &str, pointer: &str) -> &'a Value {
    let found = objects.iter().find(|([of, _, named], _)| of == kind && named == name);
    found.and_then(|(_, object)| object.pointer(pointer)).unwrap_or(&Value::Null)
}

/// A file of the clone.
///
/// # Errors
/// When it is not there.
pub fn file(path: &str) -> Result<String> {
    let whole = clone().join(path);
    std::fs::read_to_string(&whole).with_context(|| format!("read {}", whole.display()))
}

fn clone() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
