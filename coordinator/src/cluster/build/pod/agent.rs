//! The agent's container.

use etcd_operator_shared::{ids, names};
use k8s_openapi::{
    api::core::v1::{
        ConfigMapProjection, Container, ContainerPort, DownwardAPIProjection, DownwardAPIVolumeFile, EnvVar,
        EnvVarSource, ExecAction, HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler, ObjectFieldSelector, Probe,
        ProjectedVolumeSource, ResourceRequirements, ServiceAccountTokenProjection, Volume, VolumeMount,
        VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use super::{Blueprint, mount, mounts, named, store, tls};

/// The program in the agent's image.
pub const BINARY: &str = "/etcd-agent";
pub const VOLUME_TOKEN: &str = "token";
/// Kubelet renews a token at four fifths of its time. This number of seconds, which Kubernetes' own admission gives, is
/// the one at which the API server takes it for a year: an hour's token would be refused after a longer outage.
const LONG: i64 = 3607;
/// The least that the API server gives: renewed within ten minutes when the ServiceAccount was made anew.
const SHORT: i64 = 600;

/// The container, with what of the user's volumes is mounted in it.
pub fn container(plan: &Blueprint<'_>, further: Vec<VolumeMount>) -> Container {
    let exec = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut mounts = mounts();
    mounts.push(VolumeMount { read_only: Some(true), ..mount(VOLUME_TOKEN, names::TOKEN_DIR) });
    mounts.extend(tls::written(plan.incarnation.encrypted));
    mounts.extend(store::read(plan));
    mounts.extend(further);
    Container {
        image: Some(plan.agent_image.to_owned()),
        image_pull_policy: Some("IfNotPresent".into()),
        command: Some(exec(&[BINARY, "run"])),
        lifecycle: Some(Lifecycle {
            post_start: Some(LifecycleHandler {
                exec: Some(ExecAction { command: Some(exec(&[BINARY, "install"])) }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        env: Some(environment(plan)),
        ports: Some(vec![ContainerPort {
            name: Some("agent".into()),
            container_port: names::PORT_AGENT.into(),
            ..ContainerPort::default()
        }]),
        // On this container only: a dead agent must not make kubelet kill etcd.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(3),
            failure_threshold: Some(6),
            ..http("/livez")
        }),
        resources: Some(resources(plan.cluster.spec.pod.agent_resources.as_ref())),
        volume_mounts: Some(mounts),
        ..named(names::CONTAINER_AGENT)
    }
}

/// The service account's tokens, for this container alone: etcd's needs none.
pub fn token() -> Volume {
    let token = |path: &str, seconds| VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: path.into(),
            expiration_seconds: Some(seconds),
            audience: None,
        }),
        ..VolumeProjection::default()
    };
    let authority = ConfigMapProjection {
        name: "kube-root-ca.crt".into(),
        items: Some(vec![KeyToPath { key: "ca.crt".into(), path: "ca.crt".into(), mode: None }]),
        optional: None,
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".into(),
        field_ref: Some(field("metadata.namespace")),
        ..DownwardAPIVolumeFile::default()
    };
    let sources = vec![
        token(names::TOKEN_LONG, LONG),
        token(names::TOKEN_SHORT, SHORT),
        VolumeProjection { config_map: Some(authority), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..VolumeProjection::default()
        },
    ];
    Volume {
        name: VOLUME_TOKEN.into(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), default_mode: None }),
        ..Volume::default()
    }
}

/// A probe that the agent answers, on its numeric port: a name would be looked up in the probed container's ports.
pub fn http(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::Int(names::PORT_AGENT.into()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

/// A change of any of these rolls through the members: that of version or options in their pods, any other by new
/// pods.
fn environment(plan: &Blueprint<'_>) -> Vec<EnvVar> {
    use etcd_operator_shared::names::env;
    let mut all = vec![
        from_field(env::POD_NAME, "metadata.name"),
        from_field(env::POD_NAMESPACE, "metadata.namespace"),
        from_field(env::POD_UID, "metadata.uid"),
        from_field(env::POD_IP, "status.podIP"),
        literal(env::CLUSTER_NAME, plan.name()),
        literal(env::CLUSTER_UID, plan.life()),
        literal(env::INCARNATION, plan.incarnation.number.to_string()),
        literal(env::CLUSTER_ID, cluster_id(plan)),
        literal(env::ETCD_VERSION, plan.wanted.version.to_string()),
        literal(env::ETCD_OPTIONS, plan.options().said()),
    ];
    all.extend(tls::told(plan.incarnation.encrypted));
    all
}

/// The ID that etcd itself will reckon from the initial members' URLs and the token.
fn cluster_id(plan: &Blueprint<'_>) -> String {
    let namespace = plan.cluster.metadata.namespace.as_deref().unwrap_or_default();
    let members = plan.incarnation.initial_members.iter();
    let scheme = names::Scheme::of(plan.incarnation.encrypted.peer);
    let urls: Vec<String> = members.map(|member| names::peer_url(scheme, member, &plan.name(), namespace)).collect();
    ids::cluster(urls.iter().map(String::as_str), &plan.incarnation.token)
}

pub fn literal(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value), value_from: None }
}

fn from_field(name: &str, path: &str) -> EnvVar {
    let source = EnvVarSource { field_ref: Some(field(path)), ..EnvVarSource::default() };
    EnvVar { name: name.into(), value: None, value_from: Some(source) }
}

fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { field_path: path.into(), api_version: None }
}

/// No limit of CPU: an agent that is throttled cannot help a member in trouble. One of memory, which it never meets
/// (measured: 10 MiB, and what strangers can make it hold is bounded), so that a fault of its own ends the agent and
/// not the pod. A resource that the user names is the user's alone: half of it would not fit the other half.
fn resources(wanted: Option<&ResourceRequirements>) -> ResourceRequirements {
    let mut all = wanted.cloned().unwrap_or_default();
    let named = |name: &str| [&all.requests, &all.limits].into_iter().flatten().any(|some| some.contains_key(name));
    let ours = |pairs: &[(&str, &str)]| -> Vec<(String, Quantity)> {
        let open = pairs.iter().filter(|(name, _)| !named(name));
        open.map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned()))).collect()
    };
    let (requests, limits) = (ours(&[("cpu", "10m"), ("memory", "32Mi")]), ours(&[("memory", "128Mi")]));
    for (into, from) in [(&mut all.requests, requests), (&mut all.limits, limits)] {
        if !from.is_empty() {
            into.get_or_insert_default().extend(from);
        }
    }
    all
}
