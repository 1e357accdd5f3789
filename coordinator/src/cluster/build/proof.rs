//! Pods in which another etcd opens a snapshot.
//!
//! ```text
//!   proof     install ─▶ prove                  ends, and says what it found
//!   restore   install ─▶ prove ─▶ serve         says what it found, and hands the very bytes to the members that begin with them
//! ```
//! The store's credentials are in no other pod but the members' own, and no pod here has an account.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    backup::{PORT, QUESTION, Question},
    names::{self, env},
};
use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, EnvVar, Pod, PodSpec, Probe, TCPSocketAction},
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use kube::ResourceExt;

use super::{
    Blueprint,
    alone::{Parts, alone, installs},
    labels,
    pod::{agent::literal, mounts, store, template},
};
use crate::cluster::facts::proof::{LABEL, PROVE, SERVE};

/// A store that answers slowly is waited for: a snapshot of 8 GiB takes minutes. Then the pod is made anew.
const LONGEST: i64 = 6 * 3600;

/// What is opened, and for whom.
#[derive(Debug, Clone)]
pub struct Proof<'a> {
    pub name: String,
    /// The EtcdBackup or EtcdRestore.
    pub owner: OwnerReference,
    pub question: &'a Question,
    /// Secret with the store's credentials.
    pub secret: String,
}

/// Who is served the bytes.
#[derive(Debug, Clone)]
pub struct Served<'a> {
    /// Authority of the members, PEM, where their traffic is encrypted: only who has a certificate of it is served.
    pub peers: Option<&'a str>,
}

/// A pod that opens a snapshot, and then serves it where that is wanted. `None` where the template is none of ours.
#[must_use]
pub fn pod(plan: &Blueprint<'_>, proof: Proof<'_>, served: Option<&Served<'_>>) -> Option<Pod> {
    let template = template(plan);
    let spec = template.spec?;
    let Parts { agent, etcd } = Parts::of(&spec)?;
    let prove = opens(&etcd, PROVE, "prove", environment(proof.question));
    let mut before = vec![installs(agent)];
    let containers = match served {
        None => vec![prove],
        Some(served) => {
            before.push(prove);
            vec![serves(&etcd, served)]
        }
    };
    let spec = alone(spec, before, containers, vec![store::secret(proof.secret)]);
    let metadata = ObjectMeta {
        name: Some(proof.name),
        namespace: plan.cluster.namespace(),
        labels: Some(marks(plan, &proof.owner)),
        owner_references: Some(vec![proof.owner]),
        ..ObjectMeta::default()
    };
    let spec = PodSpec {
        active_deadline_seconds: served.is_none().then_some(LONGEST),
        // The members' own may not exist yet.
        service_account_name: None,
        ..spec
    };
    Some(Pod { metadata, spec: Some(spec), status: None })
}

/// Not those of the cluster's own pods: no Service, no budget and no StatefulSet selects it.
fn marks(plan: &Blueprint<'_>, owner: &OwnerReference) -> BTreeMap<String, String> {
    labels([
        ("app.kubernetes.io/name", "etcd".into()),
        ("app.kubernetes.io/instance", plan.name()),
        ("app.kubernetes.io/managed-by", names::MANAGER_COORDINATOR.into()),
        ("app.kubernetes.io/component", "proof".into()),
        (LABEL, owner.uid.clone()),
    ])
}

fn environment(question: &Question) -> Vec<EnvVar> {
    vec![literal(QUESTION, serde_json::to_string(question).unwrap_or_default())]
}

/// One of the agent's commands, in etcd's image.
fn opens(etcd: &Container, name: &str, command: &str, told: Vec<EnvVar>) -> Container {
    let words = [names::AGENT_BINARY, "snapshot", command];
    let mut mounts = mounts();
    mounts.push(store::mounted());
    Container {
        name: name.into(),
        image: etcd.image.clone(),
        image_pull_policy: etcd.image_pull_policy.clone(),
        command: Some(words.map(str::to_owned).to_vec()),
        env: Some(told),
        resources: etcd.resources.clone(),
        security_context: etcd.security_context.clone(),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn serves(etcd: &Container, served: &Served<'_>) -> Container {
    let told = served.peers.map(|authority| {
        vec![literal(env::PEER_TLS, "true".into()), literal(env::PEER_AUTHORITY, authority.to_owned())]
    });
    let socket = TCPSocketAction { port: IntOrString::Int(PORT.into()), host: None };
    Container {
        ports: Some(vec![ContainerPort {
            name: Some("snapshot".into()),
            container_port: PORT.into(),
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(Probe { tcp_socket: Some(socket), period_seconds: Some(1), ..Probe::default() }),
        ..opens(etcd, SERVE, "serve", told.unwrap_or_default())
    }
}
