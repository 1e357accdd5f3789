//! A pod as the StatefulSet's controller would make it, to ask whether it would be taken: it is never made.

use etcd_operator_shared::names;
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaimVolumeSource, Pod, Volume},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource, ResourceExt};

/// A pod of this StatefulSet. It has no name, since those of its pods are taken; the volume is that of the first.
#[must_use]
pub fn pod(set: &StatefulSet) -> Pod {
    let template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let (meta, mut spec) = (template.metadata.unwrap_or_default(), template.spec.unwrap_or_default());
    let claim_name = names::volume_claim(&names::member(&set.name_any(), 0));
    spec.volumes.get_or_insert_default().push(Volume {
        name: names::VOLUME_DATA.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
        ..Volume::default()
    });
    spec.subdomain = set.spec.as_ref().and_then(|spec| spec.service_name.clone());
    let metadata = ObjectMeta {
        generate_name: Some(format!("{}-", set.name_any())),
        namespace: set.namespace(),
        labels: meta.labels,
        annotations: meta.annotations,
        owner_references: Some(vec![owner(set)]),
        ..ObjectMeta::default()
    };
    Pod { metadata, spec: Some(spec), status: None }
}

/// Policies tell pods that belong to something from others. Nothing is blocked by it: that would take a right of its own.
fn owner(set: &StatefulSet) -> OwnerReference {
    OwnerReference {
        api_version: StatefulSet::api_version(&()).into_owned(),
        kind: StatefulSet::kind(&()).into_owned(),
        name: set.name_any(),
        uid: set.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
