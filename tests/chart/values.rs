//! Claim: each value of the chart does what its comment says, and there is no value that does nothing.

use crate::render::{Objects, look, rendered};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use testbed::helm::CHART;

/// For `helm template`, which knows no cluster.
const MONITORS: [&str; 2] = ["--api-versions", "monitoring.coreos.com/v1/PodMonitor"];
/// Pod and container of the coordinator, as JSON pointers.
const POD: &str = "/spec/template/spec";
const CONTAINER: &str = "/spec/template/spec/containers/0";
/// Where Kubernetes' own structures begin, of which values.yaml names a part.
const KUBERNETES: [&str; 2] = ["/resources", "/affinity"];
/// What Helm puts into the values of charts within charts.
const GLOBAL: &str = "global";

/// A value set, and what is seen of it.
struct Case {
    /// JSON pointer into the values.
    value: &'static str,
    set: Value,
    /// What else has to be set.
    beside: Value,
    kind: &'static str,
    name: &'static str,
    pointer: String,
    /// Null: it is not there.
    shows: Value,
}

impl Case {
    fn beside(mut self, beside: Value) -> Self {
        self.beside = beside;
        self
    }
}

fn case(value: &'static str, set: Value, object: &'static str, pointer: impl Into<String>, shows: Value) -> Case {
    let (kind, name) = object.split_once(' ').unwrap_or((object, ""));
    Case { value, set, beside: json!({}), kind, name, pointer: pointer.into(), shows }
}

/// One that is seen in the coordinator's pods.
fn pod(value: &'static str, set: Value, pointer: &str, shows: Value) -> Case {
    case(value, set, "Deployment etcd-coordinator", format!("{POD}{pointer}"), shows)
}

/// One that is seen on the coordinator's command line, at this place.
fn argument(value: &'static str, set: Value, at: usize, shows: &str) -> Case {
    case(value, set, "Deployment etcd-coordinator", format!("{CONTAINER}/args/{at}"), json!(shows))
}

/// One that takes an object away.
fn without(value: &'static str, object: &'static str) -> Case {
    case(value, json!(false), object, "/kind", Value::Null)
}

fn cases() -> Vec<Case> {
    let monitor = json!({"podMonitor": {"enabled": true}});
    let class = json!({"priorityClass": {"create": true, "name": "ops"}});
    let words = json!({"example.com/a": "b"});
    vec![
        pod("/images/coordinator", json!("r:5/c@sha256:1"), "/containers/0/image", json!("r:5/c@sha256:1")),
        argument("/images/agent", json!("r:5/a:1"), 0, "--agent-image=r:5/a:1"),
        pod("/images/pullPolicy", json!("Always"), "/containers/0/imagePullPolicy", json!("Always")),
        pod("/images/pullSecrets", json!([{"name": "s"}]), "/imagePullSecrets", json!([{"name": "s"}])),
        without("/crds/install", "CustomResourceDefinition etcdclusters.etcd.etcd.io"),
        argument("/namespaces", json!(["a", "1"]), 3, "--namespace=1"),
        case("/replicas", json!(1), "Deployment etcd-coordinator", "/spec/replicas", json!(1)),
        argument("/log/format", json!("text"), 1, "--log-format=text"),
        argument("/log/filter", json!("warn,a=debug"), 2, "--log-filter=warn,a=debug"),
        argument("/maxRolling", json!(0), 2, "--max-rolling=0"),
        argument("/podUser", json!("platform"), 2, "--pod-user=platform"),
        argument("/listen", json!("0.0.0.0:81"), 2, "--listen=0.0.0.0:81"),
        pod("/listen", json!("0.0.0.0:81"), "/containers/0/ports/0/containerPort", json!(81)),
        without("/serviceAccount/create", "ServiceAccount etcd-coordinator"),
        pod("/serviceAccount/name", json!("7"), "/serviceAccountName", json!("7")),
        case("/serviceAccount/name", json!("7"), "ClusterRoleBinding etcd-coordinator", "/subjects/0/name", json!("7")),
        case("/serviceAccount/name", json!("7"), "RoleBinding etcd-coordinator-election", "/subjects/0/name", json!("7")),
        case("/serviceAccount/annotations", words.clone(), "ServiceAccount etcd-coordinator", "/metadata/annotations", words.clone()),
        without("/rbac/create", "ClusterRole etcd-coordinator"),
        without("/rbac/users", "ClusterRole etcd-coordinator-users"),
        without("/rbac/people", "ClusterRole etcd-admin"),
        pod("/resources/requests/cpu", json!("1"), "/containers/0/resources/requests/cpu", json!("1")),
        pod("/resources/requests/memory", json!("1Gi"), "/containers/0/resources/requests/memory", json!("1Gi")),
        pod("/nodeSelector/kubernetes.io~1os", json!("plan9"), "/nodeSelector/kubernetes.io~1os", json!("plan9")),
        pod("/tolerations", json!([{"operator": "Exists"}]), "/tolerations", json!([{"operator": "Exists"}])),
        pod("/affinity", json!({"nodeAffinity": {}}), "/affinity", json!({"nodeAffinity": {}})),
        pod("/topologySpreadConstraints", json!([{"maxSkew": 1}]), "/topologySpreadConstraints", json!([{"maxSkew": 1}])),
        pod("/priorityClass/name", json!("ops"), "/priorityClassName", json!("ops")),
        case("/priorityClass/create", json!(true), "PriorityClass ops", "/value", json!(1_000_000)).beside(class.clone()),
        case("/priorityClass/value", json!(-5), "PriorityClass ops", "/value", json!(-5)).beside(class),
        without("/podDisruptionBudget/create", "PodDisruptionBudget etcd-coordinator"),
        case("/podAnnotations", words.clone(), "Deployment etcd-coordinator", "/spec/template/metadata/annotations", words),
        case("/podLabels", json!({"a": "b"}), "Deployment etcd-coordinator", "/spec/template/metadata/labels/a", json!("b")),
        case("/podMonitor/enabled", json!(true), "PodMonitor etcd-coordinator", "/spec/podMetricsEndpoints/0/port", json!("http")),
        case("/podMonitor/interval", json!("30s"), "PodMonitor etcd-coordinator", "/spec/podMetricsEndpoints/0/interval", json!("30s"))
            .beside(monitor.clone()),
        case("/podMonitor/labels", json!({"a": "b"}), "PodMonitor etcd-coordinator", "/metadata/labels/a", json!("b"))
            .beside(monitor),
        case("/leasePriority/enabled", json!(true), "FlowSchema etcd-coordinator-lease", "/kind", json!("FlowSchema")),
        case(
            "/protection/enabled",
            json!(true),
            "ValidatingAdmissionPolicyBinding etcd-operator-scale",
            "/spec/validationActions/0",
            json!("Deny"),
        ),
    ]
}

#[tokio::test]
async fn each_value_does_what_it_says() -> Result<()> {
    let plain = rendered(&MONITORS).await?;
    for case in cases() {
        let mut values = case.beside.clone();
        put(&mut values, case.value, case.set.clone())?;
        let set = with(&values).await?;
        let found = look(&set, case.kind, case.name, &case.pointer);
        ensure!(*found == case.shows, "{values} shows {found} at {} of {} {}", case.pointer, case.kind, case.name);
        let before = look(&plain, case.kind, case.name, &case.pointer);
        ensure!(*before != case.shows, "{} shows {before} without {values}", case.pointer);
    }
    Ok(())
}

#[test]
fn each_value_is_tried() -> Result<()> {
    let mut listed = BTreeSet::new();
    leaves(&default_values()?, "", &mut listed);
    let tried: BTreeSet<String> = cases().iter().map(|case| case.value.to_owned()).collect();
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
    let objects = with(&json!({"namespaces": ["a", "b"], "rbac": {"people": false}, "crds": {"install": false}})).await?;
    for ([kind, namespace, name], object) in &objects {
        ensure!(!namespace.is_empty(), "{kind} {name} is outside of namespaces");
        ensure!(kind != "Role" || !object["rules"].to_string().contains("storageclasses"), "{name} gives what it cannot");
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
        ensure!(!namespace.is_empty() || name.ends_with("-etcd-operator-system"), "{kind} {name} may be another release's");
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
    let at = into.as_object_mut().context("it leads through objects")?.entry(first.replace("~1", "/")).or_insert(json!({}));
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
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{pointer}/{}", name.replace('/', "~1")), into));
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
