//! Handles that break the testbed: nodes, networks, volumes, processes, the control plane. Each fault is real, none
//! is simulated inside a program.
//!
//! A fault that would spoil the next test heals when its handle is dropped ([`network::Cut`], [`volume::Frozen`],
//! [`volume::Filled`]); the others have a verb that undoes them, and [`Faults::heal_all`] undoes what a killed test
//! left.

pub mod control_plane;
mod heal;
pub mod network;
pub mod node;
pub mod process;
pub mod volume;

use crate::layout::{Layout, Node};
use crate::machine::Testbed;
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt};

/// What can be broken; only a testbed has it, a cluster of somebody else does not.
#[derive(Clone)]
pub struct Faults {
    layout: Layout,
    client: Client,
}

impl Faults {
    #[must_use]
    pub fn new(testbed: &Testbed, client: Client) -> Self {
        Self { layout: testbed.layout().clone(), client }
    }

    /// The place of a pod on this machine.
    ///
    /// # Errors
    /// When there is no such pod or no node has it yet.
    pub(crate) async fn place(&self, namespace: &str, pod: &str) -> Result<Place> {
        let pod = Api::<Pod>::namespaced(self.client.clone(), namespace)
            .get(pod)
            .await
            .with_context(|| format!("find pod {namespace}/{pod}"))?;
        let name = format!("{namespace}/{}", pod.name_any());
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).and_then(Node::named);
        let node = node.with_context(|| format!("pod {name} has no node yet"))?;
        let uid = pod.uid().with_context(|| format!("pod {name} has no UID"))?;
        let statuses = pod
            .status
            .iter()
            .flat_map(|status| status.container_statuses.iter().chain(&status.init_container_statuses))
            .flatten();
        let containers = statuses.filter_map(|one| {
            let (_, id) = one.container_id.as_deref()?.split_once("://")?;
            Some((one.name.clone(), id.to_owned()))
        });
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        Ok(Place { name, node, uid, ip, containers: containers.collect() })
    }
}

/// Where a pod is: node, cgroup names and address.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) uid: String,
    pub(crate) ip: Option<String>,
    /// Container names with their IDs.
    pub(crate) containers: Vec<(String, String)>,
}
