//! The pod template: agent and etcd side by side.
//!
//! ```text
//!   agent  (first: its postStart hook puts binary and hosts file into the emptyDir, then kubelet goes on to etcd)
//!     │ /agent   emptyDir: binary, socket, hosts
//!   etcd   /agent/etcd-agent launch, parent of the image's own etcd
//!     │ /var/lib/etcd   the member's volume
//!     │ /tls    in memory, where traffic is encrypted: what etcd serves with
//! ```
//! Nothing about membership stands here: flags that are frozen in a template go stale.
//!
//! The user's own template is laid under this one: [`template`] says what of it is used.

pub(super) mod agent;
mod etcd;
mod placement;
mod security;
pub(super) mod store;
pub mod template;
pub(super) mod tls;

use std::collections::BTreeMap;

use etcd_operator_shared::names;
use k8s_openapi::{
    api::core::v1::{Container, EmptyDirVolumeSource, PodSpec, PodTemplateSpec, Volume, VolumeMount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Blueprint, labels};
use crate::cluster::facts::shape;
use template::{Admitted, Mounts, Ours};

/// Handing over leadership takes 0.2 s, etcd's own way out up to 8 s when a client watches.
const GRACE_SECONDS: i64 = 60;
/// The emptyDir that both containers share.
pub(super) const VOLUME_AGENT: &str = "agent";
/// Names the emptyDirs for whose sake the cluster autoscaler need not keep a node.
const EVICTABLE: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

#[must_use]
pub fn template(plan: &Blueprint<'_>) -> PodTemplateSpec {
    let Admitted { labels, annotations, rest, mounts, losses: _ } = template::admit(
        plan.wanted.template.as_deref(),
        &plan.cluster.spec.pod,
        Ours::of(plan.cluster, plan.incarnation),
    );
    let metadata = metadata(plan, labels, annotations);
    let mut template = PodTemplateSpec { metadata: Some(metadata), spec: Some(spec(plan, rest, mounts)) };
    shape::stamp(&mut template);
    template
}

/// Ours, over the `rest` of what the user's template says: a field that is named here is ours alone.
fn spec(plan: &Blueprint<'_>, rest: PodSpec, mounts: Mounts) -> PodSpec {
    let mut containers = vec![agent::container(plan, mounts.agent), etcd::container(plan, mounts.etcd)];
    containers.extend(rest.containers);
    let mut volumes = vec![shared_directory(), agent::token()];
    volumes.extend(tls::volume(plan.incarnation.encrypted));
    volumes.extend(store::volume(plan));
    volumes.extend(rest.volumes.into_iter().flatten());
    let rest = PodSpec { containers, volumes: Some(volumes), ..rest };
    PodSpec {
        service_account_name: Some(names::agent_account(&plan.name())),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: rest.termination_grace_period_seconds.or(Some(GRACE_SECONDS)),
        security_context: Some(security::pod(plan, rest.security_context.clone())),
        image_pull_secrets: list(&plan.cluster.spec.pod.image_pull_secrets).or(rest.image_pull_secrets.clone()),
        ..placement::place(plan, rest)
    }
}

/// The user's labels and annotations first: ours win. Those of `spec.pod` win over those of the template.
fn metadata(
    plan: &Blueprint<'_>,
    mut all: BTreeMap<String, String>,
    mut notes: BTreeMap<String, String>,
) -> ObjectMeta {
    let wanted = &plan.cluster.spec.pod;
    all.extend(wanted.labels.clone());
    all.extend(plan.labels());
    all.extend(plan.selector());
    all.extend(labels([
        ("app.kubernetes.io/component", "member".into()),
        (names::LABEL_INCARNATION, plan.incarnation.number.to_string()),
    ]));
    notes.extend(wanted.annotations.clone());
    notes.extend(labels([("kubectl.kubernetes.io/default-container", names::CONTAINER_ETCD.into())]));
    // The emptyDirs hold nothing that a new pod does not make anew; the budget still guards the quorum. A user who
    // lists volumes here means them all.
    let ours = std::iter::once(VOLUME_AGENT).chain((!plan.incarnation.encrypted.is_off()).then_some(tls::VOLUME));
    notes.entry(EVICTABLE.into()).or_insert_with(|| ours.collect::<Vec<_>>().join(","));
    ObjectMeta { labels: Some(all), annotations: Some(notes), ..ObjectMeta::default() }
}

fn shared_directory() -> Volume {
    Volume { name: VOLUME_AGENT.into(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// Where both containers see the member's volume and the shared directory.
pub(super) fn mounts() -> Vec<VolumeMount> {
    vec![mount(names::VOLUME_DATA, names::VOLUME_DIR), mount(VOLUME_AGENT, names::AGENT_DIR)]
}

pub(super) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.into(), mount_path: path.into(), ..VolumeMount::default() }
}

fn named(name: &str) -> Container {
    Container { name: name.into(), security_context: Some(security::container()), ..Container::default() }
}

fn list<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

fn map(pairs: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.clone())
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
