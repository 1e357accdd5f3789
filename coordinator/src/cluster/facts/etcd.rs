//! Which etcd pods are made with.

use etcd_operator_shared::{
    api::cluster,
    names::{CONTAINER_AGENT, CONTAINER_ETCD, env::ETCD_VERSION},
    version::Version,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;

/// An etcd: its version, and the whole reference of its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    pub version: Version,
    pub image: String,
}

impl Etcd {
    /// What a template says.
    #[must_use]
    pub fn of(template: &PodTemplateSpec) -> Option<Self> {
        let containers = &template.spec.as_ref()?.containers;
        let container = |name: &str| containers.iter().find(|one| one.name == name);
        let said = container(CONTAINER_AGENT)?.env.iter().flatten().find(|one| one.name == ETCD_VERSION)?;
        Some(Self { version: said.value.as_ref()?.parse().ok()?, image: container(CONTAINER_ETCD)?.image.clone()? })
    }

    /// As a status tells it.
    #[must_use]
    pub fn read(told: &cluster::Etcd) -> Option<Self> {
        Some(Self { version: told.version.parse().ok()?, image: told.image.clone() })
    }

    #[must_use]
    pub fn told(&self) -> cluster::Etcd {
        cluster::Etcd { version: self.version.to_string(), image: self.image.clone() }
    }
}
