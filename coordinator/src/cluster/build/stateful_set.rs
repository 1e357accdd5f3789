//! The StatefulSet. It only makes pods and claims: which pod is replaced, and when, is
//! [`crate::cluster::decide::rollout`]'s to say.

use etcd_operator_shared::{api::cluster::Medium, names};
use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
    },
};
use kube::ResourceExt;

use super::{Blueprint, ServerVersion, pod};
use crate::cluster::facts::{Storage, shape};

/// `persistentVolumeClaimRetentionPolicy` is on by default from 1.27.
const RETENTION_POLICY: ServerVersion = ServerVersion(27);

#[must_use]
pub fn stateful_set(plan: &Blueprint<'_>, replicas: u32) -> StatefulSet {
    let name = plan.name();
    StatefulSet {
        metadata: plan.metadata(names::stateful_set(&name)),
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::try_from(replicas).unwrap_or(i32::MAX)),
            service_name: Some(names::peer_service(&name)),
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy { type_: Some("OnDelete".into()), rolling_update: None }),
            revision_history_limit: Some(3),
            selector: LabelSelector { match_labels: Some(plan.selector()), ..LabelSelector::default() },
            template: pod::template(plan),
            volume_claim_templates: Some(vec![claim(plan)]),
            persistent_volume_claim_retention_policy: (plan.server >= RETENTION_POLICY).then(keep),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// Where `kubectl rollout restart` writes when. A wish for new pods and nothing else: it is kept, and the roll obeys.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Our StatefulSet over the one that is there. Labels, annotations and further owners that others have put on it are
/// theirs. Its spec is not: what they have added there is dropped.
#[must_use]
pub fn over(mut there: StatefulSet, ours: StatefulSet) -> StatefulSet {
    there.labels_mut().extend(ours.metadata.labels.unwrap_or_default());
    there.annotations_mut().extend(ours.metadata.annotations.unwrap_or_default());
    let mut owners = ours.metadata.owner_references.unwrap_or_default();
    let further = std::mem::take(there.owner_references_mut()).into_iter();
    let further = further.filter(|one| one.controller != Some(true) && owners.iter().all(|ours| ours.uid != one.uid));
    owners.extend(further.collect::<Vec<_>>());
    *there.owner_references_mut() = owners;
    (there.metadata.managed_fields, there.status) = (None, None);
    let (was, mut spec) = (there.spec.take().unwrap_or_default(), ours.spec.unwrap_or_default());
    let restarted = was.template.metadata.and_then(|meta| meta.annotations?.remove(RESTARTED));
    if let (Some(at), Some(meta)) = (restarted, &mut spec.template.metadata) {
        meta.annotations.get_or_insert_default().insert(RESTARTED.into(), at);
        shape::stamp(&mut spec.template);
    }
    there.spec = Some(StatefulSetSpec {
        // Fixed when it was made: the API server refuses any other.
        selector: was.selector,
        service_name: was.service_name,
        pod_management_policy: was.pod_management_policy,
        volume_claim_templates: was.volume_claim_templates,
        ..spec
    });
    there
}

/// A stop is a scale to zero, so `whenScaled: Delete` would delete every volume at a stop. Claims are the
/// coordinator's.
fn keep() -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Some("Retain".into()),
        when_scaled: Some("Retain".into()),
    }
}

fn claim(plan: &Blueprint<'_>) -> PersistentVolumeClaim {
    match plan.cluster.spec.storage.medium {
        Medium::PersistentVolume => {}
    }
    let wanted = &plan.wanted.storage;
    // A StatefulSet refuses any change of this template, so one that exists keeps what it was made with.
    let fresh = || Storage { size: wanted.size.clone(), class: wanted.class.clone() };
    let Storage { size, class } = plan.storage.clone().unwrap_or_else(fresh);
    let requests = [("storage".to_owned(), Quantity(size))].into();
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::VOLUME_DATA.into()),
            labels: Some(plan.selector()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: class,
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
