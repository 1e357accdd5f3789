//! One EtcdCluster and what belongs to it.

use std::{collections::BTreeSet, fmt::Debug};

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdCluster, EtcdMember},
    names,
};
use futures::future::join_all;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Event, Node, PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};
use kube::{Api, Resource, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{
    connection::{Connection, read},
    lists::{self, Known, Listed, Scope},
};
use crate::failure::Failure;

/// The EtcdCluster.
///
/// # Errors
/// With a sentence.
pub async fn get(from: &Connection, name: &str) -> Result<EtcdCluster, Failure> {
    read(&format!("EtcdCluster {name} in namespace {}", from.namespace), from.api::<EtcdCluster>().get(name)).await
}

/// Its EtcdMembers.
pub async fn members(from: &Connection, cluster: &str) -> Known<Listed<EtcdMember>> {
    lists::own(from, Scope::Namespace, Some(&selector(cluster))).await.into()
}

/// Its members' pods, without the throw-away ones of rolls and proofs.
pub async fn pods(from: &Connection, cluster: &str) -> Known<Vec<Pod>> {
    all(from, cluster, "pods").await
}

/// The claims of its members' volumes.
pub async fn claims(from: &Connection, cluster: &str) -> Known<Vec<PersistentVolumeClaim>> {
    all(from, cluster, "PersistentVolumeClaims").await
}

async fn all<K>(from: &Connection, cluster: &str, what: &str) -> Known<Vec<K>>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    K::DynamicType: Default,
{
    let params = ListParams::default().labels(&selector(cluster));
    lists::pages(&from.api::<K>(), params, what).await.into()
}

/// The EtcdBackups of one cluster. They have no label, so all of the namespace are read.
pub async fn backups(from: &Connection, cluster: &str) -> Known<Vec<EtcdBackup>> {
    let listed = lists::own::<EtcdBackup>(from, Scope::Namespace, None).await;
    listed.map(|all| all.items.into_iter().filter(|one| one.spec.cluster == cluster).collect()).into()
}

/// Warnings of the namespace.
pub async fn warnings(from: &Connection) -> Known<Vec<Event>> {
    lists::pages(&from.api::<Event>(), ListParams::default().fields("type=Warning"), "events").await.into()
}

/// The nodes of these names; those that are not there are left out.
pub async fn nodes(from: &Connection, names: &BTreeSet<String>) -> Known<Vec<Node>> {
    let api = Api::<Node>::all(from.client.clone());
    let each = join_all(names.iter().map(|name| read("nodes", api.get_opt(name)))).await;
    let found: Result<Vec<Option<Node>>, Failure> = each.into_iter().collect();
    found.map(|nodes| nodes.into_iter().flatten().collect()).into()
}

/// All StorageClasses.
pub async fn classes(from: &Connection) -> Known<Vec<StorageClass>> {
    let api = Api::<StorageClass>::all(from.client.clone());
    lists::pages(&api, ListParams::default(), "StorageClasses").await.into()
}

/// The Lease of the installation that acts on the cluster, where one does: `None` is a Lease that is gone.
pub async fn lease(from: &Connection, cluster: &EtcdCluster) -> Option<Known<Option<Lease>>> {
    let (namespace, name) = names::lease_of(cluster.status.as_ref()?.operator.as_deref()?)?;
    let api = Api::<Lease>::namespaced(from.client.clone(), namespace);
    Some(read(&format!("Lease {name} in namespace {namespace}"), api.get_opt(name)).await.into())
}

/// Members' own objects carry the cluster's UID, too; throw-away pods do not.
fn selector(cluster: &str) -> String {
    format!("{}={cluster},{}", names::LABEL_CLUSTER, names::LABEL_CLUSTER_UID)
}
