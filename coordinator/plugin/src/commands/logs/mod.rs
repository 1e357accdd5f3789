//! `logs`: what all members' containers print, merged by the time at which kubelet noted it.

mod follow;
mod merge;
mod source;

use std::time::Duration;

use etcd_operator_shared::names::{CONTAINER_AGENT, CONTAINER_ETCD};
use k8s_openapi::api::core::v1::Pod;

use crate::{
    apiserver::{cluster, connection::Connection, lists::Known},
    args::Logs,
    failure::Failure,
    terminal::{self, Reader},
    verdict::Verdict,
};
use merge::Merged;
use source::Source;

/// Which lines of which containers.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub container: Option<String>,
    pub since: Option<Duration>,
    pub tail: Option<u32>,
}

pub async fn run(to: &Connection, asked: &Logs) -> Result<Verdict, Failure> {
    cluster::get(to, &asked.name).await?;
    let wanted = Wanted { container: asked.container.clone(), since: asked.since, tail: asked.tail };
    if asked.follow {
        return follow::follow(to, &asked.name, &wanted).await;
    }
    let mut sources = vec![];
    for (pod, container) in containers(&pods(to, &asked.name).await?, &wanted)? {
        match Source::open(to, &pod, &container, &wanted, source::Reach::Past).await {
            Ok(source) => sources.push(source),
            // One that has not started has said nothing yet.
            Err(failure) => terminal::remark(&failure.to_string()),
        }
    }
    let mut merged = Merged::of(sources).await;
    while let Some(line) = merged.next().await {
        if terminal::print(&line.print()) == Reader::Gone {
            break;
        }
    }
    Ok(Verdict::Good)
}

async fn pods(to: &Connection, name: &str) -> Result<Vec<Pod>, Failure> {
    match cluster::pods(to, name).await {
        Known::Read(pods) => Ok(pods),
        Known::Unread(why) => Err(Failure::Failed(why)),
    }
}

/// Pods and containers by name. One that nobody has is a mistake.
fn containers(pods: &[Pod], wanted: &Wanted) -> Result<Vec<(String, String)>, Failure> {
    let all = pods.iter().flat_map(|pod| {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        containers.map(move |container| (name.clone(), container.name.clone()))
    });
    let all: Vec<(String, String)> = all.collect();
    let is_wanted = |container: &str| match wanted.container.as_deref() {
        Some(named) => container == named,
        None => [CONTAINER_AGENT, CONTAINER_ETCD].contains(&container),
    };
    let mut found: Vec<(String, String)> = all.iter().filter(|(_, container)| is_wanted(container)).cloned().collect();
    found.sort();
    match &wanted.container {
        Some(named) if found.is_empty() && !all.is_empty() => {
            let mut there: Vec<&str> = all.iter().map(|(_, container)| container.as_str()).collect();
            there.sort_unstable();
            there.dedup();
            Err(Failure::NotFound(format!("no pod has a container {named}: there are {}", there.join(", "))))
        }
        Some(_) | None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> Vec<Pod> {
        let containers = json!([{"name": "etcd"}, {"name": "agent"}, {"name": "sidecar"}]);
        let pod = |name: &str| {
            serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"containers": containers}})).unwrap()
        };
        vec![pod("demo-1"), pod("demo-0")]
    }

    fn named(container: Option<&str>) -> Result<Vec<String>, Failure> {
        let wanted = Wanted { container: container.map(ToOwned::to_owned), since: None, tail: None };
        let found = containers(&pods(), &wanted)?;
        Ok(found.into_iter().map(|(pod, container)| format!("{pod}/{container}")).collect())
    }

    #[test]
    fn etcd_and_agent_are_meant_unless_another_is_named() {
        assert_eq!(named(None).unwrap(), ["demo-0/agent", "demo-0/etcd", "demo-1/agent", "demo-1/etcd"]);
        assert_eq!(named(Some("sidecar")).unwrap(), ["demo-0/sidecar", "demo-1/sidecar"]);
        let failure = named(Some("nginx")).unwrap_err();
        assert!(failure.to_string().ends_with("agent, etcd, sidecar"), "{failure}");
    }
}
