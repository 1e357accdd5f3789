//! Claim: each value of the chart does what its comment says, and there is no value that does nothing.

use crate::render::{Objects, look, rendered};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use testbed::helm::CHART;

/// For `helm template`, which knows no cluster.
const MONITORS: [&str; 2] = ["--api-versions", "monitoring.coreos.com/v1/PodMonitor"];
/// Where Kubernetes' own structures begin, of which values.yaml names a part.
const KUBERNETES: [&str; 2] = ["/resources", "/affinity"];
/// What Helm puts into the values of charts within charts.
const GLOBAL: &str = "global";

/// A value that is set, and what is seen of it: `cases.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// JSON pointer into the values.
    value: String,
    set: Value,
    #[serde(default = "nothing")]
    beside: Value,
    /// Kind and name of the object.
    of: String,
    /// JSON pointer into it.
    #[serde(default = "kind")]
    at: String,
    /// Null: the object is not there.
    #[serde(default)]
    shows: Value,
}

fn nothing() -> Value {
    json!({})
}

fn kind() -> String {
    "/kind".to_owned()
}

fn cases() -> Result<Vec<Case>> {
    Ok(serde_yaml::from_str(include_str!("cases.yaml"))?)
}

#[tokio::test]
async fn each_value_does_what_it_says() -> Result<()> {
    let plain = rendered(&MONITORS).await?;
    for case in cases()? {
        let (kind, name) = case.of.split_once(' ').context("an object has a kind and a name")?;
        let before = look(&plain, kind, name, &case.at);
        ensure!(*before != case.shows, "nothing has to be set for {case:?}");
        let mut values = case.beside.clone();
        put(&mut values, &case.value, case.set.clone())?;
        let set = with(&values).await?;
        let found = look(&set, kind, name, &case.at);
        ensure!(*found == case.shows, "{found} is what comes of {case:?}");
    }
    Ok(())
}

#[test]
fn each_value_is_tried() -> Result<()> {
    let mut listed = BTreeSet::new();
    leaves(&default_values()?, "", &mut listed);
    let tried: BTreeSet<String> = cases()?.into_iter().map(|case| case.value).collect();
    ensure!(listed == tried, "in values.yaml {listed:#?}\nand tried {tried:#?}");
    Ok(())
}

#[test]
fn what_the_schema_takes_stands_in_values_yaml() -> Result<()> {
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(format!("{CHART}/values.schema.json"))?)?;
    listed(&schema, &default_values()?, "")
}

#[tokio::test]
async fn one_that_is_kept_to_some_namespaces_has_no_rights_in_others() -> Result<()> {
    let objects =
        with(&json!({"namespaces": ["a", "b"], "rbac": {"people": false}, "crds": {"install": false}})).await?;
    for ([kind, namespace, name], object) in &objects {
        ensure!(!namespace.is_empty(), "{kind} {name} is outside of namespaces");
        ensure!(
            kind != "Role" || !object["rules"].to_string().contains("storageclasses"),
            "{name} gives what it cannot"
        );
    }
    for namespace in ["a", "b"] {
        for name in ["etcd-coordinator", "etcd-coordinator-users"] {
            let [role, binding] =
                ["Role", "RoleBinding"].map(|kind| objects.get(&[kind, namespace, name].map(str::to_owned)));
            let (_, binding) = role.zip(binding).with_context(|| format!("{namespace} has {name}"))?;
            ensure!(binding["roleRef"]["kind"] == "Role" && binding["roleRef"]["name"] == name, "{binding}");
        }
    }
    Ok(())
}

/// What stands outside of namespaces has another name, so that two such releases, and one for all, stand side by side.
#[tokio::test]
async fn releases_for_some_namespaces_stand_side_by_side() -> Result<()> {
    let values = json!({
        "namespaces": ["a"], "crds": {"install": false}, "leasePriority": {"enabled": true}, "protection": {"enabled": true},
    });
    let of_all = rendered(&[]).await?;
    for (key, object) in with(&values).await? {
        let [kind, namespace, name] = &key;
        ensure!(
            !namespace.is_empty() || name.ends_with("-etcd-operator-system"),
            "{kind} {name} may be another release's"
        );
        ensure!(!namespace.is_empty() || !of_all.contains_key(&key), "{kind} {name} is that of all namespaces");
        if kind == "ValidatingAdmissionPolicyBinding" {
            let only = &object["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["values"];
            ensure!(*only == json!(["a"]), "{name} is in force in {only}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_the_kinds_of_prometheus_nothing_is_made_of_them() -> Result<()> {
    let objects = rendered(&["--set", "podMonitor.enabled=true"]).await?;
    ensure!(*look(&objects, "PodMonitor", "etcd-coordinator", "/kind") == Value::Null, "there is a PodMonitor");
    Ok(())
}

/// What is made with these values.
async fn with(values: &Value) -> Result<Objects> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), values.to_string())?;
    let path = file.path().to_str().context("a path in UTF-8")?;
    rendered(&[&MONITORS[..], &["--values", path]].concat()).await
}

fn default_values() -> Result<Value> {
    Ok(serde_yaml::from_str(&std::fs::read_to_string(format!("{CHART}/values.yaml"))?)?)
}

/// Puts a value where a JSON pointer leads, and makes the objects on the way.
fn put(into: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let (first, rest) = match pointer.strip_prefix('/').context("a pointer begins with a slash")?.split_once('/') {
        Some((first, rest)) => (first, Some(format!("/{rest}"))),
        None => (pointer.trim_start_matches('/'), None),
    };
    let at =
        into.as_object_mut().context("it leads through objects")?.entry(first.replace("~1", "/")).or_insert(json!({}));
    match rest {
        Some(rest) => put(at, &rest, value),
        None => {
            *at = value;
            Ok(())
        }
    }
}

/// Pointers to all that is no object with something in it.
fn leaves(values: &Value, pointer: &str, into: &mut BTreeSet<String>) {
    match values.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| leaves(value, &format!("{pointer}/{}", name.replace('/', "~1")), into));
        }
        None => drop(into.insert(pointer.to_owned())),
    }
}

fn listed(schema: &Value, values: &Value, pointer: &str) -> Result<()> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    ensure!(schema["additionalProperties"] == false, "{pointer} takes anything");
    if KUBERNETES.contains(&pointer) {
        return Ok(());
    }
    let values: &Map<String, Value> = values.as_object().with_context(|| format!("{pointer} is an object"))?;
    for (name, below) in properties.iter().filter(|(name, _)| *name != GLOBAL) {
        let pointer = format!("{pointer}/{name}");
        listed(below, values.get(name).with_context(|| format!("{pointer} is not in values.yaml"))?, &pointer)?;
    }
    Ok(())
}
