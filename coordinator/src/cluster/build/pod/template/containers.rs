//! The containers of a template: sidecars and init containers are the user's own, in ours further volumes can be
//! mounted.

use etcd_operator_shared::names::{AGENT_DIR, CONTAINER_AGENT, CONTAINER_ETCD, TOKEN_DIR, VOLUME_DATA, VOLUME_DIR};
use k8s_openapi::api::core::v1::{Container, PodSpec, VolumeMount};

use super::{Losses, Mounts, Ours, Why};
use crate::cluster::build::pod::{agent, etcd};

/// Leaves the user's containers in the pod, and gives what is to be mounted in ours.
pub fn sort(pod: &mut PodSpec, ours: Ours, losses: &mut Losses) -> Mounts {
    let mut mounts = Mounts::default();
    for container in std::mem::take(&mut pod.containers) {
        match container.name.as_str() {
            CONTAINER_AGENT => {
                let taken = [VOLUME_DIR, AGENT_DIR, TOKEN_DIR, agent::BINARY];
                mounts.agent.extend(own(container, "agentResources", &taken, ours, losses));
            }
            CONTAINER_ETCD => {
                let taken = [VOLUME_DIR, AGENT_DIR, etcd::HOSTS];
                mounts.etcd.extend(own(container, "resources", &taken, ours, losses));
            }
            _ => pod.containers.push(guest(container, "containers", ours, losses)),
        }
    }
    let before = pod.init_containers.take();
    pod.init_containers = before.map(|all| all.into_iter().filter_map(|one| before_ours(one, ours, losses)).collect());
    mounts
}

/// All that one of our containers takes from the user: mounts. `resources`: the field of `spec.pod` that has its
/// resources.
fn own(
    mut container: Container,
    resources: &'static str,
    paths: &[&str],
    ours: Ours,
    losses: &mut Losses,
) -> Vec<VolumeMount> {
    let at = format!("spec.containers[{}]", container.name);
    let mounts = container.volume_mounts.take().unwrap_or_default();
    let said = serde_json::to_value(&container).unwrap_or_default();
    for field in said.as_object().into_iter().flat_map(serde_json::Map::keys).filter(|field| *field != "name") {
        let why = if field == "resources" { Why::Elsewhere(resources) } else { Why::Ours };
        losses.add(format_args!("{at}.{field}"), why);
    }
    let kept = mounts.into_iter().filter(|mount| {
        let why = match mount {
            _ if ours.has(&mount.name) => Why::Private,
            _ if paths.iter().any(|path| meet(path, &mount.mount_path))
                || ours.directories().any(|path| meet(path, &mount.mount_path)) =>
            {
                Why::Covers
            }
            _ => return true,
        };
        losses.add(format_args!("{at}.volumeMounts[{}]", mount.mount_path), why);
        false
    });
    kept.collect()
}

/// Whether one path is the other, or lies in it.
fn meet(ours: &str, theirs: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
    };
    let (ours, theirs) = (parts(ours), parts(theirs));
    ours.iter().zip(&theirs).all(|(one, other)| one == other)
}

/// A container of the user's: it may read etcd's data, and has no part in what agent and launcher share.
fn guest(mut container: Container, list: &str, ours: Ours, losses: &mut Losses) -> Container {
    let at = format!("spec.{list}[{}]", container.name);
    if let Some(mounts) = &mut container.volume_mounts {
        mounts.retain(|mount| {
            let private = mount.name != VOLUME_DATA && ours.has(&mount.name);
            if private {
                losses.add(format_args!("{at}.volumeMounts[{}]", mount.mount_path), Why::Private);
            }
            !private
        });
        for mount in mounts.iter_mut().filter(|mount| mount.name == VOLUME_DATA) {
            if mount.read_only != Some(true) {
                losses.add(format_args!("{at}.volumeMounts[{}].readOnly", mount.mount_path), Why::ReadOnly);
            }
            mount.read_only = Some(true);
        }
    }
    container
}

fn before_ours(container: Container, ours: Ours, losses: &mut Losses) -> Option<Container> {
    if [CONTAINER_AGENT, CONTAINER_ETCD].contains(&container.name.as_str()) {
        losses.add(format_args!("spec.initContainers[{}]", container.name), Why::Taken);
        return None;
    }
    Some(guest(container, "initContainers", ours, losses))
}
