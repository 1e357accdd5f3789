//! Where the agent finds the credentials of a store of backups: a Secret that may be absent, so that it can be made,
//! changed and taken away without a new pod.
//!
//! Pods of clusters that began before there were backups have no such place until their spec names a store: that
//! replaces them once.

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Incarnation},
    backup,
};
use k8s_openapi::api::core::v1::{SecretVolumeSource, Volume, VolumeMount};
use kube::ResourceExt;

use super::{Blueprint, mount};

/// Name of the volume in the pod.
pub const VOLUME: &str = "store-credentials";

/// Whether pods of this cluster have the place.
#[must_use]
pub fn is_there(cluster: &EtcdCluster, incarnation: &Incarnation) -> bool {
    incarnation.has_store || cluster.spec.backup.is_some()
}

/// The Secret, if the pod has a place for it.
pub fn volume(plan: &Blueprint<'_>) -> Option<Volume> {
    let named = plan.cluster.spec.backup.as_ref().and_then(|backup| backup.secret_name.clone());
    let name = named.unwrap_or_else(|| backup::secret(&plan.cluster.name_any()));
    is_there(plan.cluster, plan.incarnation).then(|| secret(name))
}

/// Where the agent reads it.
pub fn read(plan: &Blueprint<'_>) -> Option<VolumeMount> {
    is_there(plan.cluster, plan.incarnation).then(mounted)
}

/// A store's credentials, as a volume.
pub fn secret(name: String) -> Volume {
    let secret = SecretVolumeSource { secret_name: Some(name), optional: Some(true), ..SecretVolumeSource::default() };
    Volume { name: VOLUME.into(), secret: Some(secret), ..Volume::default() }
}

/// Where they are read.
pub fn mounted() -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(VOLUME, backup::CREDENTIALS_DIR) }
}
