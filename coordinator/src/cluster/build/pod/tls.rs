//! What pods have of encryption: a directory in memory, and who is told what of it. Pods of a cluster that is plain have none of it.
//!
//! The agent puts there what etcd serves with, out of what stands on the volume. A private key is on no disk of the node's own.

use etcd_operator_shared::{
    api::cluster::Encrypted,
    names::{self, env},
};
use k8s_openapi::{
    api::core::v1::{EmptyDirVolumeSource, EnvVar, Volume, VolumeMount},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{agent::literal, mount};

/// Name of the directory in the pod.
pub const VOLUME: &str = "tls";
/// Keys, chains and authorities take some kilobytes.
const LIMIT: &str = "1Mi";

/// The directory, if the pod has one.
pub fn volume(encrypted: Encrypted) -> Option<Volume> {
    let directory = EmptyDirVolumeSource { medium: Some("Memory".into()), size_limit: Some(Quantity(LIMIT.into())) };
    let volume = Volume { name: VOLUME.into(), empty_dir: Some(directory), ..Volume::default() };
    (!encrypted.is_off()).then_some(volume)
}

/// Where the agent writes it.
pub fn written(encrypted: Encrypted) -> Option<VolumeMount> {
    (!encrypted.is_off()).then(|| mount(VOLUME, names::TLS_DIR))
}

/// Where etcd reads it.
pub fn read(encrypted: Encrypted) -> Option<VolumeMount> {
    written(encrypted).map(|mount| VolumeMount { read_only: Some(true), ..mount })
}

/// What the agent is told.
pub fn told(Encrypted { peer, client }: Encrypted) -> impl Iterator<Item = EnvVar> {
    let both = [(peer, env::PEER_TLS), (client, env::CLIENT_TLS)];
    both.into_iter().filter(|(on, _)| *on).map(|(_, name)| literal(name, "true".into()))
}

/// So that etcdctl needs no flags in the container. Only these three: with an endpoint in the environment the flag of that name would be
/// an error, and the version of the API makes etcdctl warn from 3.6 on.
pub fn etcdctl(encrypted: Encrypted) -> Option<Vec<EnvVar>> {
    let file = |name: &str, file: &str| literal(name, format!("{}/{file}", names::TLS_DIR));
    encrypted.client.then(|| {
        vec![
            file("ETCDCTL_CACERT", names::TLS_CLIENT_CA),
            file("ETCDCTL_CERT", names::TLS_ROOT),
            file("ETCDCTL_KEY", names::TLS_ROOT),
        ]
    })
}
