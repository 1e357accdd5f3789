//! The pod template: agent and etcd side by side.
//!
//! ```text
//!   agent  (first: its postStart hook puts binary and hosts file into the emptyDir, then kubelet goes on to etcd)
//!     │ /agent   emptyDir: binary, socket, hosts
//!   etcd   /agent/etcd-agent launch, parent of the image's own etcd
//!     │ /var/lib/etcd   the member's volume
//! ```
//! Nothing about membership stands here: flags that are frozen in a template go stale.

mod agent;
mod etcd;

use std::collections::BTreeMap;

use etcd_operator_shared::names;
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, EmptyDirVolumeSource, PodAffinityTerm, PodAntiAffinity, PodSecurityContext,
        PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext, Volume, VolumeMount, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use super::{Blueprint, labels};

/// Nobody in particular: neither image has a user of its own that matters.
const USER: i64 = 65532;
/// Handing over leadership takes 0.2 s, etcd's own way out up to 8 s when a client watches.
const GRACE_SECONDS: i64 = 60;
/// The emptyDir that both containers share.
const VOLUME_AGENT: &str = "agent";

#[must_use]
pub fn template(plan: &Blueprint<'_>) -> PodTemplateSpec {
    let wanted = &plan.cluster.spec.pod;
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    PodTemplateSpec {
        metadata: Some(metadata(plan)),
        spec: Some(PodSpec {
            containers: vec![agent::container(plan), etcd::container(plan)],
            volumes: Some(vec![shared_directory(), agent::token()]),
            service_account_name: Some(names::agent_account(&plan.name())),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            security_context: Some(pod_security()),
            affinity: Some(wanted.affinity.clone().unwrap_or_else(|| spread(plan))),
            topology_spread_constraints: list(&wanted.topology_spread_constraints),
            tolerations: list(&wanted.tolerations),
            node_selector: map(&wanted.node_selector),
            priority_class_name: text(&wanted.priority_class_name),
            image_pull_secrets: list(&wanted.image_pull_secrets),
            ..PodSpec::default()
        }),
    }
}

/// The user's labels and annotations first: ours win.
fn metadata(plan: &Blueprint<'_>) -> ObjectMeta {
    let wanted = &plan.cluster.spec.pod;
    let mut all = wanted.labels.clone();
    all.extend(plan.labels());
    all.extend(plan.selector());
    all.extend(labels([
        ("app.kubernetes.io/component", "member".into()),
        (names::LABEL_INCARNATION, plan.incarnation.number.to_string()),
    ]));
    let mut notes = wanted.annotations.clone();
    notes.extend(labels([("kubectl.kubernetes.io/default-container", names::CONTAINER_ETCD.into())]));
    ObjectMeta { labels: Some(all), annotations: Some(notes), ..ObjectMeta::default() }
}

/// Members prefer other nodes, and among these other zones.
fn spread(plan: &Blueprint<'_>) -> Affinity {
    let prefer = |weight: i32, topology: &str| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            topology_key: topology.into(),
            label_selector: Some(LabelSelector { match_labels: Some(plan.selector()), ..LabelSelector::default() }),
            ..PodAffinityTerm::default()
        },
    };
    let terms = vec![prefer(100, "kubernetes.io/hostname"), prefer(50, "topology.kubernetes.io/zone")];
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(terms),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// What both containers are denied.
fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        ..SecurityContext::default()
    }
}

fn shared_directory() -> Volume {
    Volume { name: VOLUME_AGENT.into(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// Where both containers see the member's volume and the shared directory.
fn mounts() -> Vec<VolumeMount> {
    vec![mount(names::VOLUME_DATA, names::VOLUME_DIR), mount(VOLUME_AGENT, names::AGENT_DIR)]
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.into(), mount_path: path.into(), ..VolumeMount::default() }
}

fn named(name: &str) -> Container {
    Container { name: name.into(), security_context: Some(container_security()), ..Container::default() }
}

fn list<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

fn map(pairs: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.clone())
}
