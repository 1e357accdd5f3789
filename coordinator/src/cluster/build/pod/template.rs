//! What of the user's pod template is used: all of it but what the agent, etcd or the StatefulSet rest on.
//!
//! ```text
//!   template ──▶ admit ─┬─▶ rest, mounts, labels: laid under ours, every field as the user said it
//!                       └─▶ losses: what is not used, each with its path and the reason
//! ```
//! Ours wins, and nothing is dropped in silence.

mod containers;

use std::{collections::BTreeMap, fmt};

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Incarnation, PodTemplate},
    },
    backup, names,
    validate::Template,
};
use k8s_openapi::api::core::v1::{PodSpec, VolumeMount};

use super::{VOLUME_AGENT, agent, store, tls};

/// Where the template stands in the object.
const PATH: &str = "spec.pod.template";
/// Names of volumes that every pod has already.
const VOLUMES: [&str; 3] = [names::VOLUME_DATA, VOLUME_AGENT, agent::VOLUME_TOKEN];

/// What the operator has in the pods of one cluster: users of plain ones may well have a volume `tls` of their own.
#[derive(Debug, Clone, Copy)]
pub struct Ours {
    encrypted: bool,
    store: bool,
}
/// Labels and annotations that the operator sets.
const KEYS: [&str; 14] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/component",
    "kubectl.kubernetes.io/default-container",
    names::LABEL_CLUSTER,
    names::LABEL_CLUSTER_UID,
    names::LABEL_INCARNATION,
    names::ANNOTATION_SHAPE,
    names::ANNOTATION_FRAME,
    names::ANNOTATION_SWAP,
    names::ANNOTATION_ETCD_IMAGE,
    names::ANNOTATION_AGENT,
    names::ANNOTATION_AGENT_IMAGE,
];
/// etcd's own way out takes up to 8 s when a client watches, and a hand-over comes before it.
const LEAST_GRACE: i64 = 15;

/// What of a template is used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admitted {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The user's pod without our containers and volumes, and without every field that is ours alone.
    pub rest: PodSpec,
    pub mounts: Mounts,
    pub losses: Vec<Loss>,
}

/// The user's volumes in our containers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mounts {
    pub agent: Vec<VolumeMount>,
    pub etcd: Vec<VolumeMount>,
}

/// A part of a template that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub path: String,
    pub why: Why,
}

/// Why a part of a template is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The operator says it.
    Ours,
    /// A field of `spec.pod` says it, or is the place to say it.
    Elsewhere(&'static str),
    /// The name is that of something of the operator's.
    Taken,
    /// Members must not meet on one node, in one network or among one another's processes.
    Shared,
    /// No pod of a StatefulSet can have it.
    NotInSets,
    /// The volume is the agent's and the launcher's.
    Private,
    /// Something of the operator's is mounted there, below or above.
    Covers,
    /// Two writers would destroy the data.
    ReadOnly,
    /// A member would be killed before it has handed over and stopped.
    TooShort,
}

impl Ours {
    #[must_use]
    pub fn of(cluster: &EtcdCluster, incarnation: &Incarnation) -> Self {
        Self { encrypted: !incarnation.encrypted.is_off(), store: store::is_there(cluster, incarnation) }
    }

    /// Whether a volume of this name is the operator's.
    fn has(self, volume: &str) -> bool {
        let some = [(self.encrypted, tls::VOLUME), (self.store, store::VOLUME)];
        VOLUMES.contains(&volume) || some.into_iter().any(|(there, name)| there && volume == name)
    }

    /// What only some pods have, and where it is mounted.
    fn directories(self) -> impl Iterator<Item = &'static str> + use<> {
        let some = [(self.encrypted, names::TLS_DIR), (self.store, backup::CREDENTIALS_DIR)];
        some.into_iter().filter(|(there, _)| *there).map(|(_, path)| path)
    }
}

/// Sorts out what is used of a template; `pod`: the fields that win over it.
#[must_use]
pub fn admit(template: Option<&Template>, pod: &PodTemplate, ours: Ours) -> Admitted {
    let Some(Template { labels, annotations, spec }) = template else { return Admitted::default() };
    let (mut rest, mut losses) = (spec.clone(), Losses(vec![]));
    let labels = losses.keys("labels", labels, &pod.labels);
    let annotations = losses.keys("annotations", annotations, &pod.annotations);
    losses.ours(&mut rest);
    losses.said_elsewhere(&mut rest, pod);
    losses.volumes(&mut rest, ours);
    let mounts = containers::sort(&mut rest, ours, &mut losses);
    Admitted { labels, annotations, rest, mounts, losses: losses.0 }
}

/// What was not used so far.
struct Losses(Vec<Loss>);

impl Losses {
    /// `path`: below the template.
    fn add(&mut self, path: impl fmt::Display, why: Why) {
        self.0.push(Loss { path: format!("{PATH}.{path}"), why });
    }

    /// Takes a field of the pod away.
    fn take<T>(&mut self, name: &str, field: &mut Option<T>, why: Why) {
        if field.take().is_some() {
            self.add(format_args!("spec.{name}"), why);
        }
    }

    fn keys(
        &mut self,
        kind: &'static str,
        said: &BTreeMap<String, String>,
        winner: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut kept = said.clone();
        kept.retain(|key, value| {
            let why = match winner.get(key) {
                _ if KEYS.contains(&key.as_str()) => Why::Ours,
                Some(other) if other != value => Why::Elsewhere(kind),
                Some(_) | None => return true,
            };
            self.add(format_args!("metadata.{kind}[{key}]"), why);
            false
        });
        kept
    }

    /// The fields that are ours, or nobody's.
    fn ours(&mut self, pod: &mut PodSpec) {
        self.take("serviceAccountName", &mut pod.service_account_name, Why::Ours);
        self.take("serviceAccount", &mut pod.service_account, Why::Ours);
        self.take("automountServiceAccountToken", &mut pod.automount_service_account_token, Why::Ours);
        self.take("enableServiceLinks", &mut pod.enable_service_links, Why::Ours);
        self.take("hostNetwork", &mut pod.host_network, Why::Shared);
        self.take("hostPID", &mut pod.host_pid, Why::Shared);
        self.take("hostIPC", &mut pod.host_ipc, Why::Shared);
        self.take("shareProcessNamespace", &mut pod.share_process_namespace, Why::Shared);
        self.take("nodeName", &mut pod.node_name, Why::Shared);
        self.take("hostname", &mut pod.hostname, Why::NotInSets);
        self.take("subdomain", &mut pod.subdomain, Why::NotInSets);
        self.take("activeDeadlineSeconds", &mut pod.active_deadline_seconds, Why::NotInSets);
        self.take("ephemeralContainers", &mut pod.ephemeral_containers, Why::NotInSets);
        if pod.restart_policy.as_deref() != Some("Always") {
            self.take("restartPolicy", &mut pod.restart_policy, Why::NotInSets);
        }
        if pod.termination_grace_period_seconds.is_some_and(|seconds| seconds < LEAST_GRACE) {
            self.take("terminationGracePeriodSeconds", &mut pod.termination_grace_period_seconds, Why::TooShort);
        }
    }

    /// The fields that `spec.pod` has too, where it uses them.
    fn said_elsewhere(&mut self, rest: &mut PodSpec, pod: &PodTemplate) {
        use Why::Elsewhere;
        if pod.affinity.is_some() {
            self.take("affinity", &mut rest.affinity, Elsewhere("affinity"));
        }
        if !pod.topology_spread_constraints.is_empty() {
            let constraints = &mut rest.topology_spread_constraints;
            self.take("topologySpreadConstraints", constraints, Elsewhere("topologySpreadConstraints"));
        }
        if !pod.tolerations.is_empty() {
            self.take("tolerations", &mut rest.tolerations, Elsewhere("tolerations"));
        }
        if !pod.node_selector.is_empty() {
            self.take("nodeSelector", &mut rest.node_selector, Elsewhere("nodeSelector"));
        }
        if !pod.priority_class_name.is_empty() {
            self.take("priorityClassName", &mut rest.priority_class_name, Elsewhere("priorityClassName"));
        }
        if !pod.image_pull_secrets.is_empty() {
            self.take("imagePullSecrets", &mut rest.image_pull_secrets, Elsewhere("imagePullSecrets"));
        }
        if pod.security_context.is_some() {
            self.take("securityContext", &mut rest.security_context, Elsewhere("securityContext"));
        }
    }

    fn volumes(&mut self, rest: &mut PodSpec, ours: Ours) {
        let Some(volumes) = &mut rest.volumes else { return };
        volumes.retain(|volume| {
            let taken = ours.has(&volume.name);
            if taken {
                self.add(format_args!("spec.volumes[{}]", volume.name), Why::Taken);
            }
            !taken
        });
    }
}

impl Why {
    fn sentence(self) -> String {
        match self {
            Self::Ours => "the operator sets it itself".into(),
            Self::Elsewhere(field) => format!("its place is spec.pod.{field}"),
            Self::Taken => "the name is the operator's own".into(),
            Self::Shared => "members must not share a node's network, names or processes".into(),
            Self::NotInSets => "a StatefulSet's pods cannot have it".into(),
            Self::Private => "the volume is the operator's own".into(),
            Self::Covers => "the operator mounts something there".into(),
            Self::ReadOnly => "etcd's data is mounted read-only".into(),
            Self::TooShort => format!("a member needs {LEAST_GRACE} s to hand over and stop"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not used: {}", self.path, self.why.sentence())
    }
}

#[cfg(test)]
mod tests;
