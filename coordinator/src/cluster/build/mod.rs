//! From what is wanted to Kubernetes objects: pure, a kind a file.
//!
//! Everything here is created, and from then on applied server-side, with force, under one field manager: a field that
//! is named here is ours, a field that is not is somebody else's. The StatefulSet's spec is ours as a whole: what
//! others add to it would act in the members' pods. Defaults are left to the API server, and fields that old servers do
//! not know are named only where [`ServerVersion`] says that they do (an unknown field makes the whole apply fail).

pub mod access;
mod alone;
pub mod authority;
pub mod budget;
pub mod member;
mod options;
pub mod pod;
pub mod proof;
pub mod rehearsal;
pub mod services;
pub mod stateful_set;
pub mod trial;

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Incarnation, PodUser},
    },
    names, quota,
    validate::Wanted,
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource, ResourceExt};

use crate::{
    cluster::{decide::membership::Desired, facts::Storage},
    ownership::Owner,
};
use options::Options;

/// All that the objects of one cluster are made from.
#[derive(Debug, Clone)]
pub struct Blueprint<'a> {
    pub cluster: &'a EtcdCluster,
    pub wanted: &'a Wanted,
    pub incarnation: &'a Incarnation,
    pub agent_image: &'a str,
    /// As whom pods run whose cluster does not say.
    pub pod_user: PodUser,
    pub server: ServerVersion,
    /// UID of the agents' ServiceAccount, where it is known.
    pub account: Option<String>,
    /// What every member is told.
    pub desired: &'a Desired,
    /// Number of members that have a vote.
    pub voters: u32,
    /// Whether one more is on its way to a vote.
    pub learner: bool,
    /// What the claims of a StatefulSet that exists were made with; `None` before it exists.
    pub storage: Option<Storage>,
    /// The authority of clients, PEM, where it is known: it is looked at only where that is needed.
    pub authority: Option<&'a str>,
}

/// Minor version of the API server, such as 34 for 1.34.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion(pub u32);

/// Everything that is independent of the number of replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    pub peer_service: Service,
    pub client_service: Service,
    pub config_map: ConfigMap,
    /// Where traffic with clients is encrypted, and the authority is known.
    pub authority: Option<ConfigMap>,
    pub budget: PodDisruptionBudget,
    pub account: ServiceAccount,
    pub role: Role,
    pub binding: RoleBinding,
}

impl Blueprint<'_> {
    /// Everything but the StatefulSet: these do not depend on one another.
    #[must_use]
    pub fn objects(&self) -> Objects {
        Objects {
            peer_service: services::peer(self),
            client_service: services::client(self),
            config_map: self.config_map(),
            authority: self.authority(),
            budget: budget::budget(self),
            account: access::account(self),
            role: access::role(self),
            binding: access::binding(self),
        }
    }

    /// The StatefulSet; it comes last.
    #[must_use]
    pub fn stateful_set(&self, replicas: u32) -> StatefulSet {
        stateful_set::stateful_set(self, replicas)
    }

    #[must_use]
    pub fn name(&self) -> String {
        self.cluster.name_any()
    }

    /// The cluster, as its objects name it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::of(self.cluster)
    }

    /// UID that its objects are labelled with, and that its agents know.
    #[must_use]
    pub fn life(&self) -> String {
        self.owner().life
    }

    /// Labels of every object.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        marks(self.cluster)
    }

    /// What tells this cluster's pods from all others, also from those of a former cluster of the same name.
    #[must_use]
    pub fn selector(&self) -> BTreeMap<String, String> {
        labels([(names::LABEL_CLUSTER, self.name()), (names::LABEL_CLUSTER_UID, self.life())])
    }

    /// The options of etcd as they come into force.
    fn options(&self) -> Options<'_> {
        Options::of(&self.cluster.spec.etcd, quota::in_force(self.cluster, Some(self.incarnation)))
    }

    fn authority(&self) -> Option<ConfigMap> {
        let known = self.authority.filter(|_| self.incarnation.encrypted.client)?;
        Some(authority::config_map(self.cluster, known))
    }

    fn metadata(&self, name: String) -> ObjectMeta {
        metadata(self.cluster, name)
    }

    /// The options of etcd, for people to read: nothing else does.
    fn config_map(&self) -> ConfigMap {
        let options = serde_yaml::to_string(&self.options()).unwrap_or_default();
        ConfigMap {
            metadata: self.metadata(names::config_map(&self.name())),
            data: Some(labels([("etcd.yaml", options)])),
            ..ConfigMap::default()
        }
    }
}

/// The EtcdCluster as controlling owner.
#[must_use]
pub fn owner(cluster: &EtcdCluster) -> OwnerReference {
    OwnerReference {
        api_version: EtcdCluster::api_version(&()).into_owned(),
        kind: EtcdCluster::kind(&()).into_owned(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Labels of every object of a cluster. The UID tells whose it is where somebody takes the owner reference away.
fn marks(cluster: &EtcdCluster) -> BTreeMap<String, String> {
    labels([
        ("app.kubernetes.io/name", "etcd".into()),
        ("app.kubernetes.io/instance", cluster.name_any()),
        ("app.kubernetes.io/managed-by", names::MANAGER_COORDINATOR.into()),
        (names::LABEL_CLUSTER, cluster.name_any()),
        (names::LABEL_CLUSTER_UID, Owner::of(cluster).life),
    ])
}

fn metadata(cluster: &EtcdCluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: cluster.namespace(),
        labels: Some(marks(cluster)),
        owner_references: Some(vec![owner(cluster)]),
        ..ObjectMeta::default()
    }
}

fn labels<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
pub mod tests;
