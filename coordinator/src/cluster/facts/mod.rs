//! What is observed of one cluster, as plain data. Everything that decides reads this and no client.
//!
//! The picture is a row of slots, one an ordinal: an EtcdMember (what its agent says) and a pod (what kubelet says). A
//! slot's [`Readiness`] is what may be believed: an agent is heard only for the pod that it runs in, and only while
//! kubelet agrees.

pub mod agent;
pub mod archive;
pub mod certificates;
pub mod claim;
pub mod denial;
pub mod etcd;
pub mod findings;
pub mod ground;
pub mod member;
pub mod newest;
pub mod places;
mod pod;
pub mod pod_trouble;
pub mod proof;
pub mod rehearsal;
mod set;
pub mod shape;
pub mod swap;
pub mod trial;
mod version;

use std::{collections::BTreeMap, sync::Arc};

use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdMemberStatus,
        member::{Peer, Role},
    },
    auth::User,
    names,
};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::ownership::Owner;
use certificates::Known;
use findings::Finding;
use ground::Ground;
use places::Places;
use rehearsal::{Answer, Rehearsal};
use trial::{Place, Trial};

pub use claim::{Claim, ClaimSize};
pub use etcd::Etcd;
pub use member::Member;
pub use pod::{Pod, Stray};
pub use set::{Set, Storage};
pub use version::Version;

/// One cluster as observed.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Name of the cluster.
    pub cluster: String,
    pub source: Source,
    pub set: Option<Set>,
    pub slots: BTreeMap<u32, Slot>,
    /// The cluster's volume claims by ordinal.
    pub claims: BTreeMap<u32, Claim>,
    /// EtcdMembers of an earlier incarnation.
    pub former: Vec<Arc<Member>>,
    /// What lies where the cluster is to be; `None` until that was looked at.
    pub ground: Option<Ground>,
    /// Why pods or volumes are not made, as far as that was asked.
    pub findings: Vec<Finding>,
    /// What lies where further pods are to be; `None` until that was looked at.
    pub places: Option<Places>,
    /// Whether a pod of the newest template would be taken; `None` until that was asked.
    pub rehearsal: Option<Rehearsal>,
    /// Throw-away pods that try a template.
    pub trials: Vec<Trial>,
    /// Pods of ours that have lost a label of ours. Only a live look finds them.
    pub strays: Vec<Stray>,
    /// What is known of the cluster's authorities; `None` until they were looked at, which is only where that is
    /// needed.
    pub authorities: Option<Known>,
    /// Number of the cluster's list of revoked certificates, as far as this process has read it.
    pub revoked: Option<i64>,
    /// Its EtcdUsers that have a certificate; `None` where nobody asked for them.
    pub certified: Option<Vec<certificates::User>>,
    /// The cluster's EtcdUsers that are not on their way out, and what they may do; `None` where they are not known.
    pub users: Option<Vec<User>>,
    /// The cluster's EtcdBackups; `None` where they are not known.
    pub backups: Option<Vec<archive::Backup>>,
    /// The EtcdRestore that the cluster names, where there is one.
    pub restore: Option<archive::Restore>,
}

/// Who says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Source {
    /// Our caches, a moment late.
    #[default]
    Cache,
    /// The API server, just now.
    Live,
}

/// Whose facts are looked for: objects of another cluster of the same name are not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterKey {
    pub cluster: String,
    /// UID on labels.
    pub uid: String,
    /// UID of the EtcdCluster itself.
    pub controller: String,
    /// 0 before the first.
    pub incarnation: i64,
}

/// An object, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Of<T> {
    /// UID of the EtcdCluster.
    pub cluster: Option<String>,
    pub known: T,
}

/// One ordinal of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    pub pod: Option<Pod>,
    pub member: Option<Arc<Member>>,
}

/// What may be believed of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness<'a> {
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

impl ClusterKey {
    #[must_use]
    pub fn cluster(cluster: &EtcdCluster) -> Self {
        let incarnation = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref());
        let Owner { uid: controller, life } = Owner::of(cluster);
        Self {
            cluster: cluster.name_any(),
            uid: life,
            controller,
            incarnation: incarnation.map_or(0, |incarnation| incarnation.number),
        }
    }
}

impl Facts {
    /// Sorts what was read of a cluster into slots. What an earlier incarnation's members said counts no more; its pods
    /// do.
    #[must_use]
    pub fn of(
        key: &ClusterKey,
        set: Option<Arc<Of<Set>>>,
        members: impl IntoIterator<Item = Arc<Member>>,
        pods: impl IntoIterator<Item = Arc<Of<Pod>>>,
        claims: impl IntoIterator<Item = Claim>,
        now: Timestamp,
    ) -> Self {
        let ClusterKey { cluster, uid, controller, incarnation } = key;
        // An orphan of a former cluster, or one that this one controls by now.
        let is_ours = |set: &Arc<Of<Set>>| set.cluster.as_ref().is_some_and(|of| of == controller || of == uid);
        let set = set.filter(is_ours).map(|set| set.known.clone());
        let mut facts = Self { cluster: cluster.clone(), set, ..Self::default() };
        for member in members.into_iter().filter(|m| m.spec.cluster_uid == *uid) {
            if member.spec.incarnation != *incarnation {
                facts.former.push(member);
            } else if let Some(ordinal) = names::ordinal(cluster, &member.name) {
                facts.slots.entry(ordinal).or_default().member = Some(member);
            }
        }
        for pod in pods.into_iter().filter(|pod| pod.cluster.as_ref() == Some(uid)) {
            if let Some(trial) = Trial::of(&pod.known, now) {
                facts.trials.push(trial);
            } else if let Some(ordinal) = names::ordinal(cluster, &pod.known.name) {
                let pod = pod.known.clone();
                let agent = pod.agent.clone().at(now);
                facts.slots.entry(ordinal).or_default().pod = Some(Pod { agent, ..pod });
            }
        }
        let ordinal = |claim: &Claim| names::ordinal(&names::volume_claim(cluster), &claim.name);
        facts.claims = claims.into_iter().filter_map(|claim| Some((ordinal(&claim)?, claim))).collect();
        facts.compared()
    }

    /// The same facts as those of an incarnation that has just begun: whoever is there was a member of another.
    #[must_use]
    pub fn begun(mut self) -> Self {
        let members = self.slots.values_mut().filter_map(|slot| slot.member.take());
        self.former.extend(members);
        self.slots.retain(|_, slot| slot.pod.is_some());
        self
    }

    /// The same facts, where pods with these UIDs are what the newest template says although no shape is written on
    /// them.
    #[must_use]
    pub fn fitted(mut self, fitting: &[String]) -> Self {
        let Some(newest) = self.set.as_ref().and_then(|set| set.newest.clone()) else { return self };
        let pods = self.slots.values_mut().filter_map(|slot| slot.pod.as_mut());
        for pod in pods.filter(|pod| pod.unmarked && fitting.contains(&pod.uid)) {
            pod.shape.clone_from(&newest);
        }
        self
    }

    /// The same facts with EtcdMembers that were made since: the caches will know them later.
    #[must_use]
    pub fn with_members(mut self, made: impl IntoIterator<Item = (u32, Member)>) -> Self {
        for (ordinal, member) in made {
            self.slots.entry(ordinal).or_default().member = Some(Arc::new(member));
        }
        self
    }

    /// The slot of an ordinal; an empty one when nothing of it was seen.
    #[must_use]
    pub fn slot(&self, ordinal: u32) -> Slot {
        self.slots.get(&ordinal).cloned().unwrap_or_default()
    }

    /// Number of replicas that the StatefulSet has; 0 before it exists.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.set.as_ref().map_or(0, |set| set.replicas)
    }

    /// Whether an ordinal is beyond the replicas of a cluster that is not stopped.
    #[must_use]
    pub fn is_beyond(&self, ordinal: u32) -> bool {
        self.replicas() > 0 && ordinal >= self.replicas()
    }

    /// The size that the members were told last; `None` when there are none. The first of them is always told.
    #[must_use]
    pub fn told(&self) -> Option<u32> {
        let size = self.slots.values().find_map(|slot| Some(slot.member.as_ref()?.spec.size));
        size.map(|size| size.max(0).unsigned_abs())
    }

    /// Whether the members were told last that the cluster is stopped.
    #[must_use]
    pub fn told_stopped(&self) -> bool {
        self.slots.values().find_map(|slot| Some(slot.member.as_ref()?.spec.stopped)).unwrap_or_default()
    }

    /// The member that leads and whose agent says so, of the latest term that anybody has seen: one who led before and
    /// does not know yet is none. Its ordinal, and its EtcdMember.
    #[must_use]
    pub fn leader(&self) -> Option<(u32, &Member)> {
        let newest = self.slots.values().filter_map(|slot| slot.report()?.term).max();
        self.slots.iter().find_map(|(ordinal, slot)| {
            let (member, said) = (slot.member.as_deref()?, slot.report()?);
            (said.role == Some(Role::Leader) && said.term >= newest).then_some((*ordinal, member))
        })
    }

    /// Whether a quorum serves, as far as a leader that serves shows it.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.leader().is_some_and(|(ordinal, _)| matches!(self.slot(ordinal).readiness(), Readiness::Ready(_)))
    }

    /// Whether the volume of an ordinal is being deleted.
    #[must_use]
    pub fn is_leaving(&self, ordinal: u32) -> bool {
        self.claims.get(&ordinal).is_some_and(|claim| claim.deleting)
    }

    /// What the API server said of a pod of the newest template; `None`: it was not asked yet.
    #[must_use]
    pub fn rehearsed(&self) -> Option<&Answer> {
        let newest = self.set.as_ref()?.newest.as_ref()?;
        self.rehearsal.as_ref().filter(|rehearsal| rehearsal.shape == *newest).map(|rehearsal| &rehearsal.answer)
    }

    /// The trials of the newest template.
    pub fn tried(&self) -> impl Iterator<Item = &Trial> {
        let newest = self.set.as_ref().and_then(|set| set.newest.as_ref());
        self.trials.iter().filter(move |trial| newest == Some(&trial.shape))
    }

    /// The one of them that is held there.
    #[must_use]
    pub fn trial(&self, place: Place) -> Option<&Trial> {
        self.tried().find(|trial| trial.place == place)
    }

    /// Whether some pod is of another shape than the newest template.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        let newest = self.set.as_ref().and_then(|set| set.newest.as_ref());
        newest.is_some_and(|newest| self.pods().any(|(_, pod)| !pod.unmarked && pod.shape != *newest))
    }

    /// The pods, by ordinal.
    pub fn pods(&self) -> impl Iterator<Item = (u32, &Pod)> {
        self.slots.iter().filter_map(|(ordinal, slot)| Some((*ordinal, slot.pod.as_ref()?)))
    }

    /// Whether a replica has no pod that is known.
    #[must_use]
    pub fn lacks_a_pod(&self) -> bool {
        self.podless().next().is_some()
    }

    /// The replicas that have no pod that is known.
    pub fn podless(&self) -> impl Iterator<Item = u32> {
        (0..self.replicas()).filter(|ordinal| self.slots.get(ordinal).is_none_or(|slot| slot.pod.is_none()))
    }

    /// Number of the list of revoked certificates that every member was told which lets clients in by certificates;
    /// `None`: some of them knows of no list.
    #[must_use]
    pub fn told_revoked(&self) -> Option<i64> {
        let all = self.slots.values().filter_map(|slot| slot.member.as_ref()?.certificates.as_ref()?.answered.as_ref());
        all.filter(|answered| answered.client.is_some())
            .map(|answered| answered.revoked)
            .min()
            .unwrap_or(Some(i64::MAX))
    }

    /// The member that was told the latest list of revoked certificates, and the list's number.
    #[must_use]
    pub fn latest_revoked(&self) -> Option<(i64, &str)> {
        let told = |slot: &'_ Slot| slot.member.as_ref()?.certificates.as_ref()?.answered.as_ref()?.revoked;
        let all = self.slots.values().filter_map(|slot| Some((told(slot)?, slot.member.as_ref()?.name.as_str())));
        all.max()
    }

    /// The addresses of the pods that stay.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<u32, String> {
        self.slots.iter().filter_map(|(ordinal, slot)| Some((*ordinal, slot.address()?))).collect()
    }

    /// The addresses that were published last: the longest list, where a write did not reach all members.
    #[must_use]
    pub fn published(&self) -> Vec<Peer> {
        let lists = self.slots.values().filter_map(|slot| Some(slot.member.as_ref()?.spec.peers.clone()));
        lists.max_by_key(Vec::len).unwrap_or_default()
    }
}

impl Slot {
    /// What the agent of the very pod that is there has said.
    #[must_use]
    pub fn report(&self) -> Option<&EtcdMemberStatus> {
        let (pod, status) = (self.pod.as_ref()?, self.member.as_ref()?.status.as_ref()?);
        (status.pod_uid.as_deref() == Some(&pod.uid)).then_some(status)
    }

    /// Why what its agent says cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.member.as_ref()?.unreadable.as_deref()
    }

    /// Whether its member was told that it is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.spec.held)
    }

    /// Whether its agent has not been heard since the ServiceAccount was made anew: the API server refuses the tokens
    /// of the former one. Agents that are too old to say as whom they speak are taken to be heard.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        let told = self.member.as_ref().and_then(|member| member.spec.account.as_ref());
        let spoke = self.report().and_then(|said| said.account.as_ref());
        told.zip(spoke).is_some_and(|(told, spoke)| told != spoke)
    }

    /// Whether the member of the very pod that is there has left the cluster for good.
    #[must_use]
    pub fn has_left(&self) -> bool {
        let left = self.member.as_ref().and_then(|m| m.status.as_ref()?.left_pod_uid.as_deref());
        self.pod.as_ref().is_some_and(|pod| left == Some(&pod.uid))
    }

    /// Where its pod is: kubelet's word, or before that the agent's own, which comes a second earlier.
    fn address(&self) -> Option<String> {
        let pod = self.pod.as_ref().filter(|p| !p.deleting)?;
        pod.address.clone().or_else(|| self.report()?.address.clone())
    }

    /// What may be believed of this member now.
    #[must_use]
    pub fn readiness(&self) -> Readiness<'_> {
        let Some(pod) = self.pod.as_ref().filter(|p| !p.deleting) else { return Readiness::Absent };
        match self.report() {
            Some(status) if status.ready && pod.ready && !self.is_deaf() => Readiness::Ready(status),
            Some(status) if !status.ready => Readiness::NotReady(status),
            // A lost node's pod keeps what its kubelet said last: that it runs.
            Some(_) | None if !pod.ready && !pod.etcd_runs => Readiness::Down,
            Some(_) | None => Readiness::Unknown,
        }
    }
}

#[cfg(test)]
pub mod tests;
