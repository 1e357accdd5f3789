//! The authority that clients are to believe, for people and applications. No member reads it: many may change ConfigMaps.

use etcd_operator_shared::{api::EtcdCluster, names};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::{labels, metadata};

/// `pem`: the authority's certificate.
#[must_use]
pub fn config_map(cluster: &EtcdCluster, pem: &str) -> ConfigMap {
    ConfigMap {
        metadata: metadata(cluster, names::ca_config_map(&cluster.name_any())),
        data: Some(labels([("ca.crt", pem.to_owned())])),
        ..ConfigMap::default()
    }
}
