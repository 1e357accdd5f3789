//! Which etcd pods are made with.

use etcd_operator_shared::{
    api::cluster,
    names::{
        ANNOTATION_ETCD_IMAGE, CONTAINER_AGENT,
        env::{ETCD_OPTIONS, ETCD_VERSION},
    },
    version::Version,
};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};
use kube::ResourceExt;

use super::swap::{self, Swapped};

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
        let spec = template.spec.as_ref()?;
        Some(Self { version: said(spec, ETCD_VERSION)?.parse().ok()?, image: swap::image(spec)?.to_owned() })
    }

    /// What a pod was made with, or has come to since, as it was asked for.
    #[must_use]
    pub fn of_pod(pod: &Pod, swapped: Option<&Swapped>) -> Option<Self> {
        if let Some(Swapped { version, image, .. }) = swapped {
            return Some(Self { version: version.parse().ok()?, image: image.clone() });
        }
        let spec = pod.spec.as_ref()?;
        let noted = pod.annotations().get(ANNOTATION_ETCD_IMAGE).map(String::as_str);
        let image = noted.or_else(|| swap::image(spec))?.to_owned();
        Some(Self { version: said(spec, ETCD_VERSION)?.parse().ok()?, image })
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

/// The options of etcd that a pod, or a template of pods, says to its agent.
#[must_use]
pub fn options(spec: &PodSpec) -> Option<&str> {
    said(spec, ETCD_OPTIONS)
}

fn said<'a>(spec: &'a PodSpec, variable: &str) -> Option<&'a str> {
    let agent = spec.containers.iter().find(|one| one.name == CONTAINER_AGENT)?;
    agent.env.iter().flatten().find(|one| one.name == variable)?.value.as_deref()
}
