//! Every field of every kind, from the CustomResourceDefinitions: a page a kind.

use super::{GENERATED, Generated, cell};
use crate::clone;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

const CRDS: &str = "manifests/crds/etcd.etcd.io.yaml";

/// Fields that are Kubernetes' own: their parts are told by `kubectl explain`, and by Kubernetes' documentation.
const OF_KUBERNETES: [&str; 8] = [
    "affinity",
    "agentResources",
    "conditions",
    "imagePullSecrets",
    "resources",
    "securityContext",
    "tolerations",
    "topologySpreadConstraints",
];

/// One page for each kind.
///
/// # Errors
/// When the definitions are not as they should be.
pub fn pages() -> Result<Vec<Generated>> {
    let text = std::fs::read_to_string(clone(CRDS))?;
    text.split("\n---\n").map(|document| page(&serde_yaml::from_str(document)?)).collect()
}

fn page(crd: &Value) -> Result<Generated> {
    let names = &crd["spec"]["names"];
    let kind = names["kind"].as_str().context("a kind has a name")?;
    let short = names["shortNames"][0].as_str().unwrap_or_default();
    let version = &crd["spec"]["versions"][0];
    let (schema, served) = (&version["schema"]["openAPIV3Schema"], version["name"].as_str().unwrap_or_default());
    let mut text = format!("# {kind}\n{GENERATED}\n\n{}\n\n", words(schema));
    writeln!(text, "`apiVersion: etcd.etcd.io/{served}`, `kind: {kind}`, for short `kubectl get {short}`.")?;
    // One rule may stand there twice: for what is made, and for what is changed.
    let mut told = BTreeSet::new();
    for rule in rules(schema).filter(|rule| told.insert(*rule)) {
        write!(text, "\n- {rule}")?;
    }
    for part in ["spec", "status"] {
        let of = &schema["properties"][part];
        write!(text, "\n\n## {part}\n{}\n\n| field | type | what |\n|---|---|---|\n", words(of))?;
        fields(&mut text, part, of)?;
        for rule in rules(of) {
            write!(text, "\n- {rule}")?;
        }
        text.truncate(text.trim_end().len());
    }
    write!(text, "\n\n## Columns of kubectl get\n| column | what | shown |\n|---|---|---|\n")?;
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let (name, path) =
            (column["name"].as_str().unwrap_or_default(), column["jsonPath"].as_str().unwrap_or_default());
        let shown = if column["priority"].as_i64().unwrap_or(0) > 0 { "with `-o wide`" } else { "always" };
        let what = column["description"].as_str().map_or_else(|| format!("`{path}`"), str::to_owned);
        writeln!(text, "| {name} | {} | {shown} |", cell(&what))?;
    }
    Ok(Generated { name: format!("{}.md", kind.to_lowercase()), text })
}

/// A line for each field below a path, depth first.
fn fields(text: &mut String, path: &str, of: &Value) -> Result<()> {
    let required: Vec<&str> = of["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in of["properties"].as_object().into_iter().flatten() {
        let here = format!("{path}.{name}");
        let below = if field["type"] == "array" { &field["items"] } else { field };
        let foreign = OF_KUBERNETES.contains(&name.as_str());
        let mut what = vec![words(field)];
        if foreign {
            what.push("As Kubernetes has it.".to_owned());
        }
        what.extend(rules(field).map(|rule| format!("*{}.*", rule.trim_end_matches('.'))));
        let needed = if required.contains(&name.as_str()) { ", required" } else { "" };
        writeln!(text, "| `{here}` | {}{needed} | {} |", kind_of(field), cell(&what.join(" ")))?;
        if !foreign {
            let each = if field["type"] == "array" { format!("{here}[]") } else { here };
            fields(text, &each, below)?;
        }
    }
    Ok(())
}

fn words(of: &Value) -> String {
    of["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rules(of: &Value) -> impl Iterator<Item = &str> {
    of["x-kubernetes-validations"].as_array().into_iter().flatten().filter_map(|rule| rule["message"].as_str())
}

/// What may stand there: a type, its words, its bounds, its default.
fn kind_of(field: &Value) -> String {
    let mut said = match field["type"].as_str() {
        Some("array") => format!("list of {}", kind_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => "map of strings".to_owned(),
        Some(kind) => kind.to_owned(),
        None if field["x-kubernetes-int-or-string"] == true => "string or number".to_owned(),
        None => "anything".to_owned(),
    };
    let listed = field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let listed: Vec<String> = listed.map(|word| format!("`{word}`")).collect();
    if !listed.is_empty() {
        said = listed.join(", ");
    }
    let bound = |name: &str| field[name].as_f64().map(|bound| bound.to_string());
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => said += &format!(", {least} to {most}"),
        (Some(least), None) => said += &format!(", at least {least}"),
        (None, Some(most)) => said += &format!(", at most {most}"),
        (None, None) => {}
    }
    match &field["default"] {
        Value::Null | Value::Object(_) => said,
        Value::String(word) => format!("{said}, default `{word}`"),
        other => format!("{said}, default `{other}`"),
    }
}
