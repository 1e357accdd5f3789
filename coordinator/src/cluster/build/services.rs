//! The two Services: a headless one for the members' names, another one for applications.

use etcd_operator_shared::{
    api::cluster::{IpFamilyPolicy, ServiceType, TrafficPolicy},
    names,
};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::Blueprint;

/// Gives each pod its name. The only headless one: two would give a pod two reverse names, and peers' TLS a coin to
/// toss. Its ports are named as etcd's own discovery asks for them: `_etcd-client._tcp` and `_etcd-server._tcp`.
#[must_use]
pub fn peer(plan: &Blueprint<'_>) -> Service {
    let ports = vec![port("etcd-client", names::PORT_CLIENT, None), port("etcd-server", names::PORT_PEER, None)];
    Service {
        metadata: plan.metadata(names::peer_service(&plan.name())),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some(plan.selector()),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// What applications use. It selects one incarnation: a next incarnation of the data never answers in the name of the
/// last.
#[must_use]
pub fn client(plan: &Blueprint<'_>) -> Service {
    let wanted = &plan.cluster.spec.service;
    let mut metadata = plan.metadata(names::client_service(&plan.name()));
    let mut labels = wanted.labels.clone().unwrap_or_default();
    labels.extend(plan.labels());
    metadata.labels = Some(labels);
    metadata.annotations = (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone());
    let mut selector = plan.selector();
    selector.insert(names::LABEL_INCARNATION.into(), plan.incarnation.number.to_string());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_name(wanted.r#type).into()),
            selector: Some(selector),
            ports: Some(vec![port("client", names::PORT_CLIENT, wanted.node_port)]),
            load_balancer_class: wanted.load_balancer_class.clone(),
            load_balancer_source_ranges: wanted.load_balancer_source_ranges.clone(),
            external_traffic_policy: wanted.external_traffic_policy.map(traffic).map(str::to_owned),
            ip_family_policy: wanted.ip_family_policy.map(families).map(str::to_owned),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn type_name(kind: ServiceType) -> &'static str {
    match kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}

fn traffic(policy: TrafficPolicy) -> &'static str {
    match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    }
}

fn families(policy: IpFamilyPolicy) -> &'static str {
    match policy {
        IpFamilyPolicy::SingleStack => "SingleStack",
        IpFamilyPolicy::PreferDualStack => "PreferDualStack",
        IpFamilyPolicy::RequireDualStack => "RequireDualStack",
    }
}

fn port(name: &str, number: u16, node_port: Option<i32>) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: number.into(),
        target_port: Some(IntOrString::Int(number.into())),
        protocol: Some("TCP".into()),
        node_port,
        ..ServicePort::default()
    }
}
