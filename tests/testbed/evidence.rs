//! What to print when a test fails: pods, why they wait, events in order, and the last lines of every container.

use anyhow::Result;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, PersistentVolumeClaim, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt};
use std::fmt::Write;

const LOG_LINES: i64 = 40;
/// Wide enough for etcd's longest messages; its member lists are longer.
const LOG_WIDTH: usize = 400;

/// Gathers what can be had: a part that cannot is named, and never fails the rest.
pub async fn gather(client: Client, namespace: &str) -> String {
    let mut report = format!("evidence from namespace {namespace}\n");
    let parts = [
        ("pods", pods(&client, namespace).await),
        ("claims", claims(&client, namespace).await),
        ("events", events(&client, namespace).await),
        ("logs", logs(&client, namespace).await),
    ];
    for (name, part) in parts {
        let text = part.unwrap_or_else(|error| format!("cannot be had: {error:#}\n"));
        let _ = write!(report, "--- {name}\n{text}");
    }
    report
}

async fn pods(client: &Client, namespace: &str) -> Result<String> {
    let mut text = String::new();
    for pod in list::<Pod>(client, namespace).await? {
        let status = pod.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let ready = containers.iter().filter(|one| one.ready).count();
        let restarts: i32 = containers.iter().map(|one| one.restart_count).sum();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_else(|| "no node".to_owned());
        let leaving = if pod.metadata.deletion_timestamp.is_some() { " being deleted" } else { "" };
        let (phase, ip) = (status.phase.unwrap_or_default(), status.pod_ip.unwrap_or_default());
        writeln!(
            text,
            "{} {phase}{leaving} ready {ready}/{} restarts {restarts} {node} {ip}",
            pod.name_any(),
            containers.len()
        )?;
        for condition in status.conditions.unwrap_or_default().iter().filter(|one| one.status != "True") {
            let (reason, message) =
                (condition.reason.as_deref().unwrap_or(""), condition.message.as_deref().unwrap_or(""));
            writeln!(text, "    {} is {}: {reason} {message}", condition.type_, condition.status)?;
        }
        for one in status.init_container_statuses.iter().flatten().chain(&containers).filter(|one| !one.ready) {
            writeln!(text, "    {}: {}", one.name, state(one))?;
        }
    }
    Ok(text)
}

fn state(one: &ContainerStatus) -> String {
    let said = |what: &str, value: Option<serde_json::Result<String>>| {
        value.map(|json| format!("{what} {}", json.unwrap_or_default()))
    };
    let state = one.state.as_ref();
    let last = one.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    [
        said("waiting", state.and_then(|state| state.waiting.as_ref()).map(serde_json::to_string)),
        said("terminated", state.and_then(|state| state.terminated.as_ref()).map(serde_json::to_string)),
        said("last time", last.map(serde_json::to_string)),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

async fn claims(client: &Client, namespace: &str) -> Result<String> {
    let mut text = String::new();
    for claim in list::<PersistentVolumeClaim>(client, namespace).await? {
        let phase = claim.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
        writeln!(text, "{} {phase} {volume}", claim.name_any())?;
    }
    Ok(text)
}

async fn events(client: &Client, namespace: &str) -> Result<String> {
    let mut events = list::<Event>(client, namespace).await?;
    let time = |event: &Event| {
        let last = event
            .series
            .as_ref()
            .and_then(|series| series.last_observed_time.clone())
            .or_else(|| event.event_time.clone());
        last.map(|time| time.0).or_else(|| event.last_timestamp.clone().map(|time| time.0))
    };
    events.sort_by_key(time);
    let mut text = String::new();
    for event in events {
        let when = time(&event).map(|time| time.to_string()).unwrap_or_default();
        let about = event.involved_object.name.as_deref().unwrap_or("");
        let (reason, message) = (event.reason.as_deref().unwrap_or(""), event.message.as_deref().unwrap_or(""));
        writeln!(text, "{when} {about} {reason}: {message}")?;
    }
    Ok(text)
}

async fn logs(client: &Client, namespace: &str) -> Result<String> {
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let mut text = String::new();
    for pod in list::<Pod>(client, namespace).await? {
        let Some(spec) = &pod.spec else { continue };
        let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
        for container in containers {
            let ask = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(LOG_LINES),
                ..LogParams::default()
            };
            let log = api.logs(&pod.name_any(), &ask).await.unwrap_or_else(|error| format!("cannot be had: {error}\n"));
            writeln!(text, "{} {}:", pod.name_any(), container.name)?;
            for line in log.lines() {
                writeln!(text, "    {}", line.chars().take(LOG_WIDTH).collect::<String>())?;
            }
        }
    }
    Ok(text)
}

async fn list<K>(client: &Client, namespace: &str) -> Result<Vec<K>>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
    K::DynamicType: Default,
{
    Ok(Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?.items)
}
