//! Pods: what is asked of one, and a watch that misses no moment in which one was not Ready.

use anyhow::Result;
use etcd_operator_shared::names::{ANNOTATION_FRAME, CONTAINER_AGENT, CONTAINER_ETCD, env};
use etcd_operator_shared::options::digest;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Whether the pod's condition Ready is True, and it is not on its way out.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Whether this container runs.
#[must_use]
pub fn runs(pod: &Pod, container: &str) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .filter(|one| one.name == container)
        .any(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// What a pod, or a template of pods, is made of, or has come to since: its frame, and the images of its etcd and its
/// agent.
#[must_use]
pub fn made_of(meta: Option<&ObjectMeta>, spec: Option<&PodSpec>) -> [Option<String>; 3] {
    let frame = meta.and_then(|meta| meta.annotations.as_ref()?.get(ANNOTATION_FRAME).cloned());
    let image = |name: &str| spec?.containers.iter().find(|one| one.name == name)?.image.clone();
    [frame, image(CONTAINER_ETCD), image(CONTAINER_AGENT)]
}

/// Digest of the options of etcd that a template of pods says.
#[must_use]
pub fn options(spec: Option<&PodSpec>) -> Option<String> {
    let agent = spec?.containers.iter().find(|one| one.name == CONTAINER_AGENT)?;
    let said = agent.env.as_ref()?.iter().find(|one| one.name == env::ETCD_OPTIONS)?;
    Some(digest(said.value.as_ref()?))
}

/// Restarts of all its containers.
#[must_use]
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|one| one.restart_count).sum()
}

/// Its address, once it has one.
#[must_use]
pub fn ip(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.pod_ip.clone()
}

/// Notes what happens to the readiness of a cluster's pods, until dropped.
#[derive(Debug)]
pub struct ReadyWatch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    ready: BTreeMap<String, bool>,
    /// The most pods that were not Ready at once.
    worst: usize,
    /// Names of pods, each time one stopped being Ready.
    lapses: Vec<String>,
}

impl ReadyWatch {
    /// Starts watching the pods that `selector` picks. All of them are Ready now.
    #[must_use]
    pub fn start(pods: Api<Pod>, selector: &str, names: impl Iterator<Item = String>) -> Self {
        let ready = names.map(|name| (name, true)).collect();
        let seen = Arc::new(Mutex::new(Seen { ready, ..Seen::default() }));
        let (noting, config) = (Arc::clone(&seen), watcher::Config::default().labels(selector));
        let task = tokio::spawn(async move {
            let events = watcher::watcher(pods, config);
            pin_mut!(events);
            // The watcher lists again after an error by itself.
            while let Some(event) = events.next().await {
                let mut seen = noting.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    Ok(Event::Apply(pod) | Event::InitApply(pod)) => seen.note(pod.name_any(), is_ready(&pod)),
                    Ok(Event::Delete(pod)) => seen.note(pod.name_any(), false),
                    Ok(Event::Init | Event::InitDone) | Err(_) => {}
                }
            }
        });
        Self { seen, task }
    }

    /// The most pods that were not Ready at once, so far.
    #[must_use]
    pub fn worst(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).worst
    }

    /// The pods that stopped being Ready, in order, so far.
    #[must_use]
    pub fn lapses(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).lapses.clone()
    }
}

impl Seen {
    fn note(&mut self, pod: String, ready: bool) {
        if self.ready.insert(pod.clone(), ready) == Some(true) && !ready {
            self.lapses.push(pod);
        }
        self.worst = self.worst.max(self.ready.values().filter(|ready| !**ready).count());
    }
}

impl Drop for ReadyWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lists pods by label.
///
/// # Errors
/// When the API server does not answer.
pub async fn list(pods: &Api<Pod>, selector: &str) -> Result<Vec<Pod>> {
    let mut found = pods.list(&kube::api::ListParams::default().labels(selector)).await?.items;
    found.sort_by_key(ResourceExt::name_any);
    Ok(found)
}
