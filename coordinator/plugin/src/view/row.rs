//! One member: what its agent, kubelet and the coordinator say of it, put together.
//!
//! The agent's word counts as long as it is of the pod that runs and kubelet hears that pod. The coordinator's line in
//! the cluster's status is what is left where the EtcdMembers or pods may not be read.

use std::collections::BTreeSet;

use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdMember, EtcdMemberStatus,
        cluster::MemberSummary,
        member::{MemberPhase, Role},
    },
    names::{self, CONTAINER_AGENT, CONTAINER_ETCD},
};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::{answer::Answer, pod_trouble};
use crate::apiserver::lists::{Known, Listed};

/// One member.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub name: String,
    /// Whether the cluster's size asks for it. One that is not wanted is on its way out.
    pub wanted: bool,
    /// Whether it serves.
    pub ready: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<MemberPhase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it sees every voter connected and itself caught up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caught_up: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_size_in_use: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What to know of it while it serves: notices and alarms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// All members that are there, wanted or remembered, by ordinal.
#[must_use]
pub fn of(cluster: &EtcdCluster, members: &Known<Listed<EtcdMember>>, pods: &Known<Vec<Pod>>) -> Vec<Row> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let summaries = cluster.status.as_ref().map(|status| status.members.as_slice()).unwrap_or_default();
    let objects = members.read().map(|listed| listed.items.as_slice()).unwrap_or_default();
    let size = u32::try_from(cluster.spec.size).unwrap_or_default();
    let named = summaries.iter().map(|one| one.name.as_str());
    let named = named.chain(objects.iter().filter_map(|one| one.metadata.name.as_deref()));
    let ordinals: BTreeSet<u32> = named.filter_map(|member| names::ordinal(name, member)).chain(0..size).collect();
    let found = ordinals.into_iter().map(|ordinal| {
        let member = names::member(name, ordinal);
        Sources {
            summary: summaries.iter().find(|one| one.name == member),
            said: objects
                .iter()
                .find(|one| one.metadata.name.as_ref() == Some(&member))
                .and_then(|one| one.status.as_ref()),
            pod: match pods {
                Known::Unread(_) => PodSeen::Unread,
                Known::Read(pods) => pods
                    .iter()
                    .find(|pod| pod.metadata.name.as_ref() == Some(&member))
                    .map_or(PodSeen::Absent, PodSeen::There),
            },
            wanted: ordinal < size,
            name: member,
        }
    });
    found.filter(Sources::is_of_interest).map(|sources| sources.row()).collect()
}

/// What each of the three says of one member.
struct Sources<'a> {
    name: String,
    wanted: bool,
    summary: Option<&'a MemberSummary>,
    said: Option<&'a EtcdMemberStatus>,
    pod: PodSeen<'a>,
}

#[derive(Clone, Copy)]
enum PodSeen<'a> {
    Unread,
    Absent,
    There(&'a Pod),
}

/// Whether it serves, and why not.
type Standing = (Answer, Option<String>, Option<String>);

impl Sources<'_> {
    /// Of a member that has left long ago there may be an object still; nobody looks for it.
    fn is_of_interest(&self) -> bool {
        let left = self.said.is_some_and(|said| said.phase == Some(MemberPhase::Left));
        self.wanted || matches!(self.pod, PodSeen::There(_)) || self.summary.is_some() && !left
    }

    fn row(&self) -> Row {
        let (ready, reason, message) = self.standing();
        let said = self.spoken();
        let role = said.and_then(|said| said.role).map(|role| word(role).to_owned());
        let pod = match self.pod {
            PodSeen::There(pod) => Some(pod),
            PodSeen::Absent | PodSeen::Unread => None,
        };
        let alarms = said.into_iter().flat_map(|said| &said.alarms).map(|alarm| format!("alarm {alarm}"));
        let notices = said.into_iter().flat_map(|said| &said.notices);
        let notices = notices.map(|notice| format!("{}: {}", notice.reason, notice.message));
        let silent = self.summary.is_some_and(|one| one.ready == Answer::Unknown.as_str()) && ready == Answer::True;
        let silent =
            silent.then(|| "Silent: kubelet finds it ready, and the coordinator does not hear its agent".to_owned());
        Row {
            name: self.name.clone(),
            wanted: self.wanted,
            ready,
            reason,
            message,
            // The role that a silent member had last says nothing of now.
            role: role.filter(|_| ready != Answer::Unknown).or_else(|| self.summary.map(|one| one.role.clone())),
            phase: said.and_then(|said| said.phase),
            // A member keeps its ID whether it runs or not.
            id: self.said.and_then(|said| said.member_id.clone()).or_else(|| self.summary?.id.clone()),
            version: said.and_then(|said| said.version.clone()),
            caught_up: said.map(|said| said.settled).filter(|_| ready == Answer::True),
            db_size: said.and_then(|said| said.db_size),
            db_size_in_use: said.and_then(|said| said.db_size_in_use),
            restarts: said.map(|said| said.restarts),
            node: pod.and_then(|pod| pod.spec.as_ref()?.node_name.clone()),
            address: said.and_then(|said| said.address.clone()),
            agent: said.and_then(|said| said.agent_version.clone()),
            notices: alarms.chain(notices).chain(silent).collect(),
        }
    }

    /// What its agent says, as far as it is of the pod that is there: what another pod's agent said last is history.
    fn spoken(&self) -> Option<&EtcdMemberStatus> {
        match self.pod {
            PodSeen::Unread => self.said,
            PodSeen::Absent => None,
            PodSeen::There(pod) => self.said.filter(|said| is_of(said, pod)),
        }
    }

    fn standing(&self) -> Standing {
        let (pod, said) = (self.pod, self.spoken());
        match (pod, said) {
            (PodSeen::Absent, _) => (Answer::False, Some("NoPod".into()), Some("it has no pod".into())),
            (PodSeen::Unread, said) => told(self.summary, said),
            (PodSeen::There(pod), Some(said)) if said.ready => heard(pod),
            // Scheduler and kubelet know more of a pod that does not come up than an agent in it.
            (PodSeen::There(pod), said) => match (pod_trouble::of(pod), said) {
                (Some(trouble), _) => (Answer::False, text(trouble.kind.as_str()), text(&trouble.words)),
                (None, Some(said)) => (Answer::False, text(&said.reason), text(&said.message)),
                (None, None) => self.unheard(),
            },
        }
    }

    fn unheard(&self) -> Standing {
        let reason = self.summary.and_then(|one| one.reason.clone()).unwrap_or_else(|| "NotHeard".into());
        (Answer::False, Some(reason), Some("its agent has not spoken in its present pod yet".into()))
    }
}

fn is_of(said: &EtcdMemberStatus, pod: &Pod) -> bool {
    said.pod_uid.is_some() && said.pod_uid == pod.metadata.uid
}

/// The word of an agent that says that its member serves, as long as kubelet hears its pod.
fn heard(pod: &Pod) -> Standing {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let probed =
        conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status.as_str());
    if probed == Some("True") {
        return (Answer::True, None, None);
    }
    if let Some(other) = other_to_blame(pod) {
        return (Answer::True, None, Some(format!("its pod is not ready because of container {other}")));
    }
    let words = "its agent said last that it serves, and kubelet finds its pod not ready";
    (Answer::Unknown, Some("Silent".into()), Some(words.into()))
}

/// A container of the user's own that is not ready, where ours are. Kubelet has said so, and not that its node is silent.
fn other_to_blame(pod: &Pod) -> Option<&str> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let (ours, others): (Vec<_>, Vec<_>) =
        statuses.iter().partition(|one| [CONTAINER_AGENT, CONTAINER_ETCD].contains(&one.name.as_str()));
    let blamed = others.into_iter().find(|one| !one.ready)?;
    (!ours.is_empty() && ours.iter().all(|one| one.ready)).then_some(blamed.name.as_str())
}

/// The coordinator's word, with the agent's sentence where both agree.
fn told(summary: Option<&MemberSummary>, said: Option<&EtcdMemberStatus>) -> Standing {
    let sentence = said.filter(|said| !said.ready).and_then(|said| text(&said.message));
    match (summary, said) {
        (Some(summary), _) => {
            (Answer::of(&summary.ready), summary.reason.clone(), sentence.filter(|_| summary.ready != "True"))
        }
        (None, Some(said)) if said.ready => (Answer::True, None, None),
        (None, Some(said)) => (Answer::False, text(&said.reason), sentence),
        (None, None) => (Answer::Unknown, Some("NotKnown".into()), Some("nothing is known of it yet".into())),
    }
}

fn text(words: &str) -> Option<String> {
    (!words.is_empty()).then(|| words.to_owned())
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Leader => "Leader",
        Role::Follower => "Follower",
        Role::Learner => "Learner",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::page::tests::{cluster, member, pod};

    fn row(members: Vec<EtcdMember>, pods: &Known<Vec<Pod>>) -> Row {
        let members = Known::Read(Listed { items: members, unreadable: vec![] });
        of(&cluster(1), &members, pods).remove(0)
    }

    #[test]
    fn an_agents_word_counts_while_kubelet_hears_its_pod() {
        let said = || vec![member("demo-0", true)];
        assert_eq!(row(said(), &Known::Read(vec![pod("demo-0", "True")])).ready, Answer::True);
        let silent = row(said(), &Known::Read(vec![pod("demo-0", "Unknown")]));
        assert_eq!((silent.ready, silent.reason.as_deref()), (Answer::Unknown, Some("Silent")));
        let gone = row(said(), &Known::Read(vec![]));
        assert_eq!((gone.ready, gone.reason.as_deref()), (Answer::False, Some("NoPod")));
    }

    #[test]
    fn a_container_of_the_users_own_makes_no_member_silent() {
        let of = |etcd: bool| {
            let mut pod = pod("demo-0", "False");
            let one = |name: &str, ready: bool| json!({"name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": 0, "state": {"running": {}}});
            let all = [one("agent", true), one("etcd", etcd), one("sidecar", false)];
            pod.status.as_mut().unwrap().container_statuses = serde_json::from_value(json!(all)).unwrap();
            row(vec![member("demo-0", true)], &Known::Read(vec![pod])).ready
        };
        assert_eq!((of(true), of(false)), (Answer::True, Answer::Unknown));
    }

    #[test]
    fn whom_the_coordinator_does_not_hear_serves_all_the_same_and_is_noticed() {
        let mut cluster = cluster(1);
        cluster.status.as_mut().unwrap().members[0].ready = "Unknown".into();
        let members = Known::Read(Listed { items: vec![member("demo-0", true)], unreadable: vec![] });
        let row = of(&cluster, &members, &Known::Read(vec![pod("demo-0", "True")])).remove(0);
        assert_eq!((row.ready, row.notices.len()), (Answer::True, 1));
    }

    #[test]
    fn why_a_pod_does_not_come_up_says_more_than_the_agent_in_it() {
        let mut stuck = pod("demo-0", "False");
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
        let etcd =
            json!({"name": "etcd", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": waiting});
        stuck.status = serde_json::from_value(json!({"containerStatuses": [etcd]})).unwrap();
        let row = row(vec![member("demo-0", false)], &Known::Read(vec![stuck]));
        assert_eq!(row.reason.as_deref(), Some("ImagePullFailed"));
    }

    #[test]
    fn what_the_agent_of_a_former_pod_said_is_not_believed() {
        let mut other = pod("demo-0", "True");
        other.metadata.uid = Some("another".into());
        let row = row(vec![member("demo-0", true)], &Known::Read(vec![other]));
        assert_eq!(row.ready, Answer::False);
    }

    #[test]
    fn who_may_read_neither_pods_nor_members_sees_what_the_coordinator_says() {
        let denied = || "not allowed".to_owned();
        let rows = of(&cluster(1), &Known::Unread(denied()), &Known::Unread(denied()));
        assert_eq!((rows[0].ready, rows[0].role.as_deref()), (Answer::True, Some("Leader")));
    }
}
