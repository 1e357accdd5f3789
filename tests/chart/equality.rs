//! Claim: without values the chart installs what `manifests/operator.yaml` and the kinds do, and its options are the optional manifests.

use crate::render::{NAMESPACE, Objects, file, objects, rendered};
use crate::values::MONITORS;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use testbed::helm::CHART;

/// What tells Helm's releases apart, and that it keeps the kinds.
const HELMS: [&str; 5] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
    "helm.sh/resource-policy",
];

#[tokio::test]
async fn without_values_it_is_the_operator_and_the_kinds() -> Result<()> {
    same(&["manifests/operator.yaml", "manifests/crds/etcd.etcd.io.yaml"], &[]).await
}

#[tokio::test]
async fn its_options_are_the_optional_manifests() -> Result<()> {
    let files =
        ["operator", "priority", "protection", "crds/etcd.etcd.io"].map(|name| format!("manifests/{name}.yaml"));
    same(&files, &["--set", "leasePriority.enabled=true,protection.enabled=true"]).await
}

#[tokio::test]
async fn its_monitors_and_alerts_are_those_of_the_manifests() -> Result<()> {
    let files = ["operator", "crds/etcd.etcd.io", "monitoring/podmonitors", "monitoring/rules"];
    let set = "monitoring.podMonitor.enabled=true,monitoring.rules.enabled=true";
    same(&files.map(|name| format!("manifests/{name}.yaml")), &[&MONITORS[..], &["--set", set]].concat()).await
}

#[test]
fn the_chart_has_the_very_files_of_alerts_and_dashboard() -> Result<()> {
    for name in ["rules.yaml", "dashboard.json"] {
        let (theirs, ours) = (
            file(&format!("manifests/charts/etcd-operator/monitoring/{name}"))?,
            file(&format!("manifests/monitoring/{name}"))?,
        );
        ensure!(theirs == ours, "make crds copies manifests/monitoring/{name} into the chart");
    }
    Ok(())
}

#[tokio::test]
async fn its_dashboard_is_the_file_whole() -> Result<()> {
    let objects = rendered(&["--set", "monitoring.dashboard.enabled=true"]).await?;
    let dashboard = &objects[&["ConfigMap", NAMESPACE, "etcd-dashboard"].map(str::to_owned)]["data"]["etcd.json"];
    ensure!(*dashboard == file("manifests/monitoring/dashboard.json")?, "it is {dashboard}");
    Ok(())
}

#[tokio::test]
async fn the_kinds_are_kept_and_nothing_else_is() -> Result<()> {
    for ([kind, _, name], object) in rendered(&[]).await? {
        let policy = object.pointer("/metadata/annotations/helm.sh~1resource-policy").and_then(Value::as_str);
        let wanted = (kind == "CustomResourceDefinition").then_some("keep");
        ensure!(policy == wanted, "{kind} {name} has {policy:?}");
    }
    Ok(())
}

#[test]
fn chart_and_operator_are_one_release() -> Result<()> {
    let chart: Value = serde_yaml::from_str(&std::fs::read_to_string(format!("{CHART}/Chart.yaml"))?)?;
    for field in ["version", "appVersion"] {
        ensure!(chart[field] == env!("CARGO_PKG_VERSION"), "{field} is {}", chart[field]);
    }
    Ok(())
}

async fn same(files: &[impl AsRef<str>], args: &[&str]) -> Result<()> {
    let texts: Vec<String> = files.iter().map(|path| file(path.as_ref())).collect::<Result<_>>()?;
    let mut wanted = objects(&texts.join("\n---\n"))?;
    // A release stands in its namespace, so that it cannot make it: helm install --create-namespace does.
    let namespace = ["Namespace", "", NAMESPACE].map(str::to_owned);
    wanted.remove(&namespace).context("operator.yaml makes its namespace")?;
    let found: Objects = rendered(args).await?.into_iter().map(|(key, object)| (key, without_helms(object))).collect();
    ensure!(
        found.keys().eq(wanted.keys()),
        "the chart has {:#?}\nand the manifests {:#?}",
        found.keys(),
        wanted.keys()
    );
    for (key, wanted) in &wanted {
        let found = &found[key];
        ensure!(found == wanted, "{key:?} is\n{found:#}\nand should be\n{wanted:#}");
    }
    Ok(())
}

fn without_helms(mut object: Value) -> Value {
    for of in ["labels", "annotations"] {
        let Some(words) = object["metadata"].get_mut(of).and_then(Value::as_object_mut) else { continue };
        words.retain(|name, _| !HELMS.contains(&name.as_str()));
        if words.is_empty() {
            object["metadata"].as_object_mut().map(|metadata: &mut Map<_, _>| metadata.remove(of));
        }
    }
    object
}
