//! A pod, as far as it is read.

use etcd_operator_shared::{names, options};
use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;

use super::{
    Etcd, Of,
    agent::Agent,
    etcd,
    pod_trouble::{self, Trouble},
    shape,
    swap::Container,
    trial::{self, Outcome},
};
use crate::ownership::Marks;

/// What kubelet and the scheduler say of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// UID of what controls it: that of the StatefulSet, if it is a member's.
    pub controller: Option<Box<str>>,
    /// Shape of the template that it was made from, or the newest where it has come to that since ([`super::newest`]).
    /// Empty if none is written on it, and no live look has found that it fits.
    pub shape: String,
    /// Whether no shape is written on it: it was made before shapes were.
    pub unmarked: bool,
    /// Frame of the template that it was made from, where one is written on it.
    pub frame: Option<String>,
    pub agent: Agent,
    pub etcd: Container,
    /// The etcd that it was made with, or has come to since, and the digest of the options that it was made with, where
    /// they are known.
    pub asked: Option<Etcd>,
    pub options: Option<String>,
    /// The node that it is on.
    pub node: Option<String>,
    pub address: Option<String>,
    pub ready: bool,
    pub deleting: bool,
    /// Whether etcd's container runs: only then can the member take part in anything.
    pub etcd_runs: bool,
    pub trouble: Option<Trouble>,
    /// What came of it, if it is no member's but a trial.
    pub trial: Option<Box<Outcome>>,
}

/// A pod of ours that no selector finds any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    pub name: String,
    pub uid: String,
    pub version: Option<String>,
    /// The incarnation that it was made for.
    pub incarnation: String,
}

impl Of<Pod> {
    /// Of the cluster that its label names.
    #[must_use]
    pub fn pod(pod: &core::Pod) -> Self {
        let label = |name: &str| pod.labels().get(name).cloned();
        Self { cluster: label(names::LABEL_CLUSTER_UID).or_else(|| label(trial::LABEL)), known: Pod::of(pod) }
    }
}

impl Stray {
    /// Reads a pod that has our name and that no selector of ours finds. Whose it is stands in its environment, which
    /// nobody can change. `cluster`: UID of the EtcdCluster.
    #[must_use]
    pub fn of(pod: &core::Pod, cluster: &str) -> Option<Self> {
        let agent = pod.spec.as_ref()?.containers.iter().find(|c| c.name == names::CONTAINER_AGENT)?;
        let value = |name: &str| agent.env.iter().flatten().find(|one| one.name == name)?.value.clone();
        let incarnation = value(names::env::INCARNATION)?;
        (value(names::env::CLUSTER_UID)? == cluster).then(|| Self {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            version: pod.resource_version(),
            incarnation,
        })
    }
}

impl Pod {
    fn of(pod: &core::Pod) -> Self {
        let status = pod.status.as_ref();
        let (written, etcd) = (shape::written(&pod.metadata), Container::of(pod));
        let condition = |kind: &str| status.and_then(|s| s.conditions.as_ref()?.iter().find(|c| c.type_ == kind));
        let containers = || status.into_iter().flat_map(|s| s.container_statuses.iter().flatten());
        let runs =
            containers().find(|c| c.name == names::CONTAINER_ETCD).and_then(|c| c.state.as_ref()?.running.as_ref());
        Self {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            controller: Marks::of(pod).controller.map(Into::into),
            shape: written.unwrap_or_default().to_owned(),
            unmarked: written.is_none(),
            frame: shape::frame(&pod.metadata).map(ToOwned::to_owned),
            agent: Agent::of(pod),
            asked: Etcd::of_pod(pod, etcd.swapped.as_ref()),
            options: pod.spec.as_ref().and_then(etcd::options).map(options::digest),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            address: status.and_then(|s| s.pod_ip.clone()).filter(|ip| !ip.is_empty()),
            ready: condition("Ready").is_some_and(|c| c.status == "True"),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            etcd_runs: runs.is_some(),
            etcd,
            trouble: pod_trouble::of(pod),
            trial: Outcome::of(pod).map(Box::new),
        }
    }
}
