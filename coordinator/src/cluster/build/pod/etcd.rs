//! etcd's container: the user's image unmodified, with the launcher as etcd's parent.

use etcd_operator_shared::names;
use k8s_openapi::api::core::v1::{Container, ContainerPort, Probe, VolumeMount};

use super::{Blueprint, VOLUME_AGENT, agent::http, mount, mounts, named};

pub fn container(plan: &Blueprint<'_>) -> Container {
    let spec = &plan.cluster.spec;
    let mut mounts = mounts();
    // The agent's hook made this file before kubelet makes this container, and keeps the peers' addresses in it.
    mounts.push(VolumeMount { sub_path: Some(names::HOSTS_FILE.into()), ..mount(VOLUME_AGENT, "/etc/hosts") });
    Container {
        image: Some(format!("{}:{}", spec.repository, plan.wanted.version)),
        image_pull_policy: Some("IfNotPresent".into()),
        command: Some(vec![names::AGENT_BINARY.into(), "launch".into()]),
        ports: Some(vec![
            port("client", names::PORT_CLIENT),
            port("peer", names::PORT_PEER),
            port("metrics", names::PORT_METRICS),
        ]),
        resources: spec.pod.resources.clone(),
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
