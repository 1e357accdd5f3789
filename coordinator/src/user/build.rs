//! The Secret of a user.

use std::collections::BTreeMap;

use etcd_operator_shared::{api::EtcdUser, names};
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource, ResourceExt};

use super::decide::endpoints;

/// What it holds beside the endpoints, PEM.
pub struct Contents {
    pub authority: String,
    pub chain: String,
    pub key: String,
}

/// The Secret. It goes with its EtcdUser; without `blockOwnerDeletion`, which would take a right of its own.
#[must_use]
pub fn secret(user: &EtcdUser, name: &str, contents: Contents) -> Secret {
    let Contents { authority, chain, key } = contents;
    let data = [("ca.crt", authority), ("tls.crt", chain), ("tls.key", key), ("endpoints", endpoints(user))];
    let labels = [
        ("app.kubernetes.io/managed-by", names::MANAGER_COORDINATOR.to_owned()),
        (names::LABEL_CLUSTER, user.spec.cluster.clone()),
    ];
    let all = |pairs: [(&str, String); 2]| -> BTreeMap<String, String> {
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: user.namespace(),
            labels: Some(all(labels)),
            owner_references: Some(vec![OwnerReference {
                api_version: EtcdUser::api_version(&()).into_owned(),
                kind: EtcdUser::kind(&()).into_owned(),
                name: user.name_any(),
                uid: user.uid().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        type_: Some(names::SECRET_CLIENT.to_owned()),
        data: Some(data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).collect()),
        ..Secret::default()
    }
}
