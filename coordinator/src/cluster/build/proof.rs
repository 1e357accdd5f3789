//! Pods in which another etcd opens a snapshot.
//!
//! ```text
//!   proof     install ─▶ prove                  ends, and says what it found
//!   restore   install ─▶ prove ─▶ serve         says what it found, and hands the very bytes to the members that begin with them
//!   volume    install ─▶ prove                  opens what a member's volume holds, leaves it there as a snapshot, and says how far its log went
//! ```
//! The store's credentials are in no other pod but the members' own, and no pod here has an account.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    backup::{PORT, QUESTION, Question, SALVAGED_DIR},
    names::{self, env},
};
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, PersistentVolumeClaimVolumeSource, Pod, PodSpec, Probe, TCPSocketAction,
        Volume,
    },
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
    pod::{agent::literal, mount, mounts, store, template},
};
use crate::cluster::facts::proof::{LABEL, PROVE, SERVE};

/// Name of a member's own volume in a pod that has an empty one where members have theirs.
const CLAIMED: &str = "claimed";

/// A store that answers slowly is waited for: a snapshot of 8 GiB takes minutes. Then the pod is made anew.
const LONGEST: i64 = 6 * 3600;

/// What is opened, and for whom.
#[derive(Debug, Clone)]
pub struct Proof<'a> {
    pub name: String,
    /// The EtcdBackup or EtcdRestore.
    pub owner: OwnerReference,
    /// For whose sake, as the pod is found again.
    pub whose: String,
    pub what: What<'a>,
}

/// What is opened.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A backup in a store, with the Secret of its credentials.
    Stored { question: &'a Question, secret: &'a str },
    /// The volume of a member that is stopped: its data of this incarnation.
    Volume { member: &'a str, incarnation: i64 },
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
    let (prove, further) = match proof.what {
        What::Stored { question, secret } => {
            (opens(&etcd, PROVE, "prove", environment(question)), vec![store::secret(secret.to_owned())])
        }
        What::Volume { member, incarnation } => (salvages(plan, &etcd, member, incarnation), vec![claimed(member)]),
    };
    let mut before = vec![installs(agent)];
    let containers = match served {
        None => vec![prove],
        Some(served) => {
            before.push(prove);
            vec![serves(&etcd, served)]
        }
    };
    let spec = alone(spec, before, containers, further);
    let metadata = ObjectMeta {
        name: Some(proof.name),
        namespace: plan.cluster.namespace(),
        labels: Some(marks(plan, proof.whose)),
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
fn marks(plan: &Blueprint<'_>, whose: String) -> BTreeMap<String, String> {
    labels([
        ("app.kubernetes.io/name", "etcd".into()),
        ("app.kubernetes.io/instance", plan.name()),
        ("app.kubernetes.io/managed-by", names::MANAGER_COORDINATOR.into()),
        ("app.kubernetes.io/component", "proof".into()),
        (LABEL, whose),
    ])
}

fn environment(question: &Question) -> Vec<EnvVar> {
    vec![literal(QUESTION, serde_json::to_string(question).unwrap_or_default())]
}

/// Reads a member's volume: a copy of its data is what an etcd is tried on, and nothing of the data is changed.
fn salvages(plan: &Blueprint<'_>, etcd: &Container, member: &str, incarnation: i64) -> Container {
    let told = [
        (env::POD_NAME, member.to_owned()),
        (env::POD_NAMESPACE, plan.cluster.namespace().unwrap_or_default()),
        (env::CLUSTER_NAME, plan.name()),
        (env::CLUSTER_UID, plan.life()),
        (env::INCARNATION, incarnation.to_string()),
    ];
    let told = told.into_iter().map(|(name, value)| literal(name, value)).collect();
    let container = opens(etcd, PROVE, "salvage", told);
    let mut mounts = mounts();
    mounts.push(mount(CLAIMED, SALVAGED_DIR));
    Container { volume_mounts: Some(mounts), ..container }
}

/// A member's own volume.
fn claimed(member: &str) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: names::volume_claim(member), read_only: None };
    Volume { name: CLAIMED.into(), persistent_volume_claim: Some(source), ..Volume::default() }
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
