//! What is observed of one cluster, as plain data. Everything that decides reads this and no client.
//!
//! The picture is a row of seats, one an ordinal: an EtcdMember (what its agent says) and a pod (what kubelet says). A seat's
//! [`Voice`] is what may be believed: an agent is heard only for the pod that it runs in, and only while kubelet agrees.

use std::{collections::BTreeMap, sync::Arc};

use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberStatus, member::Peer},
    names,
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1 as core};
use kube::ResourceExt;

use crate::trouble::{self, Trouble};

/// One cluster as observed.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub set: Option<Set>,
    pub seats: BTreeMap<u32, Seat>,
}

/// What the StatefulSet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub resource_version: Option<String>,
    pub replicas: u32,
    /// Hash of the template that new pods get, or `None` while the StatefulSet's controller has not seen the template.
    pub newest: Option<String>,
    /// What its claims were made with: a StatefulSet never changes that.
    pub storage: Storage,
}

/// Size and class of a StatefulSet's claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    pub size: String,
    /// Empty for the default class.
    pub class: String,
}

/// One ordinal of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Seat {
    pub pod: Option<Pod>,
    pub member: Option<Arc<EtcdMember>>,
}

/// What kubelet and the scheduler say of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// Hash of the template that it was made from.
    pub revision: String,
    pub address: Option<String>,
    pub ready: bool,
    pub deleting: bool,
    /// Whether etcd's container runs: only then can the member take part in anything.
    pub etcd_runs: bool,
    pub trouble: Option<Trouble>,
}

/// What may be believed of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice<'a> {
    /// No pod, or one that is on its way out.
    Absent,
    /// Kubelet says that etcd's container does not run, and no agent says more.
    Down,
    /// There is a pod, and nobody who may speak for it does: silent, not dead.
    Unknown,
    /// The agent says that its member does not serve.
    NotReady(&'a EtcdMemberStatus),
    /// The agent says that its member serves, and kubelet agrees.
    Ready(&'a EtcdMemberStatus),
}

impl Facts {
    /// Sorts what was read of a cluster into seats. Objects of another cluster of the same name are left out.
    #[must_use]
    pub fn of(
        cluster: &str,
        uid: &str,
        set: Option<&StatefulSet>,
        members: impl IntoIterator<Item = Arc<EtcdMember>>,
        pods: impl IntoIterator<Item = Arc<core::Pod>>,
    ) -> Self {
        let mut facts = Self { set: set.map(Set::of), seats: BTreeMap::new() };
        for member in members.into_iter().filter(|m| m.spec.cluster_uid == uid) {
            if let Some(ordinal) = names::ordinal(cluster, &member.name_any()) {
                facts.seats.entry(ordinal).or_default().member = Some(member);
            }
        }
        for pod in pods.into_iter().filter(|p| p.labels().get(names::LABEL_CLUSTER_UID).is_some_and(|l| l == uid)) {
            if let Some(ordinal) = names::ordinal(cluster, &pod.name_any()) {
                facts.seats.entry(ordinal).or_default().pod = Some(Pod::of(&pod));
            }
        }
        facts
    }

    /// The seat of an ordinal; an empty one when nothing of it was seen.
    #[must_use]
    pub fn seat(&self, ordinal: u32) -> Seat {
        self.seats.get(&ordinal).cloned().unwrap_or_default()
    }

    /// The pods, by ordinal.
    pub fn pods(&self) -> impl Iterator<Item = (u32, &Pod)> {
        self.seats.iter().filter_map(|(ordinal, seat)| Some((*ordinal, seat.pod.as_ref()?)))
    }

    /// The addresses of the pods that stay.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<u32, String> {
        self.seats.iter().filter_map(|(ordinal, seat)| Some((*ordinal, seat.address()?))).collect()
    }

    /// The addresses that were published last: the longest list, where a write did not reach all members.
    #[must_use]
    pub fn published(&self) -> Vec<Peer> {
        let lists = self.seats.values().filter_map(|seat| Some(seat.member.as_ref()?.spec.peers.clone()));
        lists.max_by_key(Vec::len).unwrap_or_default()
    }
}

impl Seat {
    /// Where its pod is: kubelet's word, or before that the agent's own, which comes a second earlier.
    fn address(&self) -> Option<String> {
        let pod = self.pod.as_ref().filter(|p| !p.deleting)?;
        let status = self.member.as_ref().and_then(|m| m.status.as_ref());
        let own = status.filter(|s| s.pod_uid.as_deref() == Some(&pod.uid)).and_then(|s| s.address.clone());
        pod.address.clone().or(own)
    }

    /// What may be believed of this member now.
    #[must_use]
    pub fn voice(&self) -> Voice<'_> {
        let Some(pod) = self.pod.as_ref().filter(|p| !p.deleting) else { return Voice::Absent };
        let status = self.member.as_ref().and_then(|m| m.status.as_ref());
        match status.filter(|s| s.pod_uid.as_deref() == Some(&pod.uid)) {
            Some(status) if status.ready && pod.ready => Voice::Ready(status),
            Some(status) if !status.ready => Voice::NotReady(status),
            // A lost node's pod keeps what its kubelet said last: that it runs.
            Some(_) | None if !pod.ready && !pod.etcd_runs => Voice::Down,
            Some(_) | None => Voice::Unknown,
        }
    }
}

impl Set {
    fn of(set: &StatefulSet) -> Self {
        let spec = set.spec.as_ref();
        let status = set.status.as_ref();
        let seen =
            status.filter(|s| s.observed_generation.is_some() && s.observed_generation == set.metadata.generation);
        Self {
            resource_version: set.resource_version(),
            replicas: spec.and_then(|s| s.replicas).map_or(1, i32::unsigned_abs),
            newest: seen.and_then(|s| s.update_revision.clone()),
            storage: spec.map(Storage::of).unwrap_or_default(),
        }
    }
}

impl Storage {
    fn of(spec: &k8s_openapi::api::apps::v1::StatefulSetSpec) -> Self {
        let claim = spec.volume_claim_templates.iter().flatten().next().and_then(|c| c.spec.as_ref());
        let size = claim.and_then(|c| c.resources.as_ref()?.requests.as_ref()?.get("storage"));
        Self {
            size: size.map(|q| q.0.clone()).unwrap_or_default(),
            class: claim.and_then(|c| c.storage_class_name.clone()).unwrap_or_default(),
        }
    }
}

impl Pod {
    fn of(pod: &core::Pod) -> Self {
        let status = pod.status.as_ref();
        let condition = |kind: &str| status.and_then(|s| s.conditions.as_ref()?.iter().find(|c| c.type_ == kind));
        let containers = || status.into_iter().flat_map(|s| s.container_statuses.iter().flatten());
        let etcd = containers().find(|c| c.name == names::CONTAINER_ETCD);
        Self {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            revision: pod.labels().get("controller-revision-hash").cloned().unwrap_or_default(),
            address: status.and_then(|s| s.pod_ip.clone()).filter(|ip| !ip.is_empty()),
            ready: condition("Ready").is_some_and(|c| c.status == "True"),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            etcd_runs: etcd.and_then(|c| c.state.as_ref()?.running.as_ref()).is_some(),
            trouble: trouble::of(pod),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use etcd_operator_shared::api::{EtcdMemberSpec, member::Role};

    /// A pod as it is when all is well.
    pub fn pod(ordinal: u32, revision: &str) -> Pod {
        Pod {
            name: names::member("demo", ordinal),
            uid: format!("pod-{ordinal}"),
            revision: revision.into(),
            address: Some(format!("10.0.0.{ordinal}")),
            ready: true,
            deleting: false,
            etcd_runs: true,
            trouble: None,
        }
    }

    /// A status as the agent of [`pod`] writes it when all is well.
    pub fn status(ordinal: u32, role: Role) -> EtcdMemberStatus {
        EtcdMemberStatus {
            pod_uid: Some(format!("pod-{ordinal}")),
            ready: true,
            settled: true,
            role: Some(role),
            member_id: Some(format!("{ordinal:x}")),
            cluster_id: Some("c".into()),
            version: Some("v3.5.21".into()),
            ..EtcdMemberStatus::default()
        }
    }

    pub fn member(ordinal: u32, status: Option<EtcdMemberStatus>) -> EtcdMember {
        let spec = EtcdMemberSpec {
            cluster_name: "demo".into(),
            cluster_uid: "u".into(),
            incarnation: 1,
            token: String::new(),
            initial: true,
            initial_members: vec![],
            peers: vec![],
            size: 3,
            stopped: false,
        };
        EtcdMember { status, ..EtcdMember::new(&names::member("demo", ordinal), spec) }
    }

    pub fn seat(ordinal: u32, revision: &str, role: Role) -> Seat {
        Seat { pod: Some(pod(ordinal, revision)), member: Some(Arc::new(member(ordinal, Some(status(ordinal, role))))) }
    }

    /// A StatefulSet whose controller has seen everything.
    pub fn set(replicas: u32, newest: &str) -> Set {
        Set {
            resource_version: Some("1".into()),
            replicas,
            newest: Some(newest.into()),
            storage: Storage { size: "8Gi".into(), class: String::new() },
        }
    }

    /// Members 0 to `n`, all well; member 0 leads.
    pub fn healthy(n: u32) -> Facts {
        let role = |i| if i == 0 { Role::Leader } else { Role::Follower };
        Facts { set: Some(set(n, "a")), seats: (0..n).map(|i| (i, seat(i, "a", role(i)))).collect() }
    }

    #[test]
    fn the_word_of_a_former_pods_agent_is_not_believed() {
        let mut seat = seat(1, "a", Role::Follower);
        assert!(matches!(seat.voice(), Voice::Ready(_)));
        seat.pod.as_mut().unwrap().uid = "another".into();
        assert_eq!(seat.voice(), Voice::Unknown);
    }

    #[test]
    fn a_member_that_kubelet_contradicts_is_unknown_and_not_dead() {
        let mut seat = seat(1, "a", Role::Follower);
        seat.pod.as_mut().unwrap().ready = false;
        assert_eq!(seat.voice(), Voice::Unknown);
    }

    #[test]
    fn a_container_that_never_ran_is_down_and_not_unknown() {
        let mut seat = seat(1, "a", Role::Follower);
        let pod = seat.pod.as_mut().unwrap();
        (pod.ready, pod.etcd_runs) = (false, false);
        assert_eq!(seat.voice(), Voice::Down);
    }

    #[test]
    fn objects_of_a_former_cluster_of_the_same_name_are_not_seen() {
        let facts = Facts::of("demo", "new", None, [Arc::new(member(0, None))], []);
        assert!(facts.seats.is_empty());
    }
}
