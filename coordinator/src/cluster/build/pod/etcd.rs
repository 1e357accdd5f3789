//! etcd's container: the user's image unmodified, with the launcher as etcd's parent.

use etcd_operator_shared::names;
use k8s_openapi::api::core::v1::{Container, ContainerPort, Probe, VolumeMount};

use super::{Blueprint, VOLUME_AGENT, agent::http, mount, mounts, named, tls};

/// Where the container's hosts file is.
pub const HOSTS: &str = "/etc/hosts";

/// The container, with what of the user's volumes is mounted in it.
pub fn container(plan: &Blueprint<'_>, further: Vec<VolumeMount>) -> Container {
    let mut mounts = mounts();
    // The agent's hook made this file before kubelet makes this container, and keeps the peers' addresses in it.
    mounts.push(VolumeMount { sub_path: Some(names::HOSTS_FILE.into()), ..mount(VOLUME_AGENT, HOSTS) });
    mounts.extend(tls::read(plan.incarnation.encrypted));
    mounts.extend(further);
    Container {
        image: Some(plan.wanted.image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        command: Some(vec![names::AGENT_BINARY.into(), "launch".into()]),
        env: tls::etcdctl(plan.incarnation.encrypted),
        ports: Some(vec![
            port("client", names::PORT_CLIENT),
            port("peer", names::PORT_PEER),
            port("metrics", names::PORT_METRICS),
        ]),
        resources: plan.cluster.spec.pod.resources.clone(),
        // Held open by the agent while the member starts, so Ready shows at once; hence the long timeout.
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            timeout_seconds: Some(5),
            failure_threshold: Some(3),
            ..http("/readyz")
        }),
        volume_mounts: Some(mounts),
        ..named(names::CONTAINER_ETCD)
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort { name: Some(name.into()), container_port: number.into(), ..ContainerPort::default() }
}
