//! Throw-away pods of a cluster's etcd: they may go wherever a member may, and take no member's place, volume or name.

use etcd_operator_shared::names;
use k8s_openapi::api::core::v1::{Affinity, Container, EmptyDirVolumeSource, PodSpec, Volume, VolumeMount};

use super::pod::{VOLUME_AGENT, agent::BINARY};

/// The containers of a member's pod.
pub struct Parts {
    pub agent: Container,
    pub etcd: Container,
}

impl Parts {
    /// `None` of a template that is none of ours.
    pub fn of(spec: &PodSpec) -> Option<Self> {
        let container = |name: &str| spec.containers.iter().find(|one| one.name == name).cloned();
        Some(Self { agent: container(names::CONTAINER_AGENT)?, etcd: container(names::CONTAINER_ETCD)? })
    }
}

/// A pod with these containers alone, of the template's volumes those that they mount, and an empty one where members
/// have theirs.
pub fn alone(spec: PodSpec, before: Vec<Container>, containers: Vec<Container>, further: Vec<Volume>) -> PodSpec {
    let all = containers.iter().chain(&before).flat_map(|one| one.volume_mounts.iter().flatten());
    let mounted: Vec<&str> = all.map(|mount| mount.name.as_str()).collect();
    let is_further = |volume: &Volume| further.iter().any(|one| one.name == volume.name);
    let used = |volume: &Volume| mounted.contains(&volume.name.as_str()) && !is_further(volume);
    let mut volumes: Vec<Volume> = spec.volumes.into_iter().flatten().filter(used).collect();
    volumes.push(Volume {
        name: names::VOLUME_DATA.into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    });
    volumes.extend(further);
    let affinity = spec.affinity.and_then(|affinity| affinity.node_affinity);
    PodSpec {
        containers,
        init_containers: Some(before),
        volumes: Some(volumes),
        affinity: affinity.map(|node_affinity| Affinity { node_affinity: Some(node_affinity), ..Affinity::default() }),
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(1),
        topology_spread_constraints: None,
        priority_class_name: None,
        priority: None,
        preemption_policy: None,
        ..spec
    }
}

/// Puts the agent's binary, and a hosts file, where etcd's container has them.
pub fn installs(agent: Container) -> Container {
    Container {
        name: "install".into(),
        image: agent.image,
        image_pull_policy: agent.image_pull_policy,
        command: Some(vec![BINARY.into(), "install".into()]),
        resources: agent.resources,
        security_context: agent.security_context,
        volume_mounts: Some(vec![VolumeMount {
            name: VOLUME_AGENT.into(),
            mount_path: names::AGENT_DIR.into(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}
