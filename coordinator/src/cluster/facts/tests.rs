//! A healthy cluster as facts, for all tests; and claims about what is believed.

use super::{agent::Agent, trial::Outcome, *};
use etcd_operator_shared::api::{
    EtcdMember, EtcdMemberSpec,
    member::{MemberEntry, Membership},
};

/// A pod as it is when all is well.
pub fn pod(ordinal: u32, shape: &str) -> Pod {
    Pod {
        name: names::member("demo", ordinal),
        uid: format!("pod-{ordinal}"),
        controller: Some("set".into()),
        shape: shape.into(),
        unmarked: false,
        frame: None,
        agent: agent(),
        etcd: swap::Container { image: "etcd:1".into(), id: Some(format!("etcd-{ordinal}")), swapped: None },
        asked: None,
        options: None,
        node: Some(format!("node-{ordinal}")),
        address: Some(format!("10.0.0.{ordinal}")),
        ready: true,
        deleting: false,
        etcd_runs: true,
        trouble: None,
        trial: None,
    }
}

/// A trial that this template has passed.
pub fn passed(shape: &str) -> Trial {
    let (name, uid) = (format!("demo-rehearsal-{shape}"), format!("trial-{shape}"));
    let (place, image) = (Place::Anywhere, String::new());
    Trial { name, uid, shape: shape.into(), place, image, outcome: Outcome::Passed, deleting: false }
}

/// An agent that runs with the image that its pod was made with.
pub fn agent() -> Agent {
    let runs_for = jiff::SignedDuration::from_secs(3600);
    Agent {
        image: "agent:1".into(),
        written: "agent:1".into(),
        container: Some("agent".into()),
        runs_for,
        ..Agent::default()
    }
}

/// A volume claim as it is when all is well.
pub fn claim(ordinal: u32) -> Claim {
    let name = names::volume_claim(&names::member("demo", ordinal));
    Claim { name, uid: format!("claim-{ordinal}"), bound: true, ..Claim::default() }
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

pub fn member(ordinal: u32, status: Option<EtcdMemberStatus>) -> Member {
    let spec = EtcdMemberSpec {
        cluster_name: "demo".into(),
        cluster_uid: "u".into(),
        incarnation: 1,
        token: String::new(),
        initial: true,
        initial_members: vec![],
        peers: vec![],
        account: None,
        size: 3,
        stopped: false,
        paused: false,
        held: false,
        downgrade: None,
        certificates: None,
        auth: None,
        options: None,
        reload: None,
        backups: None,
        maintenance: None,
        restore: None,
        retiring: false,
    };
    Member::of(&EtcdMember { status, ..EtcdMember::new(&names::member("demo", ordinal), spec) })
}

pub fn slot(ordinal: u32, shape: &str, role: Role) -> Slot {
    Slot { pod: Some(pod(ordinal, shape)), member: Some(Arc::new(member(ordinal, Some(status(ordinal, role))))) }
}

/// A list of voters as the leader's agent tells it.
pub fn list(generation: i64, voters: &[u32]) -> Membership {
    let entry = |ordinal: &u32| MemberEntry {
        id: format!("{ordinal:x}"),
        name: names::member("demo", *ordinal),
        learner: false,
        started: true,
        connected: true,
    };
    Membership { generation, members: voters.iter().map(entry).collect() }
}

/// A StatefulSet whose controller has seen everything.
pub fn set(replicas: u32, newest: &str) -> Set {
    Set {
        version: Version { uid: Some("set".into()), generation: Some(1), resource: Some("1".into()) },
        replicas,
        deleting: false,
        newest: Some(newest.into()),
        frame: None,
        agent: Some("agent:1".into()),
        etcd: None,
        options: None,
        storage: Storage { size: "8Gi".into(), class: None },
    }
}

/// Members 0 to `n`, all well; member 0 leads.
pub fn healthy(n: u32) -> Facts {
    let role = |i| if i == 0 { Role::Leader } else { Role::Follower };
    Facts {
        cluster: "demo".into(),
        set: Some(set(n, "a")),
        slots: (0..n).map(|i| (i, slot(i, "a", role(i)))).collect(),
        ..Facts::default()
    }
}

#[test]
fn the_word_of_a_former_pods_agent_is_not_believed() {
    let mut slot = slot(1, "a", Role::Follower);
    assert!(matches!(slot.readiness(), Readiness::Ready(_)));
    slot.pod.as_mut().unwrap().uid = "another".into();
    assert_eq!(slot.readiness(), Readiness::Unknown);
}

#[test]
fn a_member_that_kubelet_contradicts_is_unknown_and_not_dead() {
    let mut slot = slot(1, "a", Role::Follower);
    slot.pod.as_mut().unwrap().ready = false;
    assert_eq!(slot.readiness(), Readiness::Unknown);
}

#[test]
fn an_agent_that_speaks_as_a_former_account_is_not_heard_and_one_that_does_not_say_is() {
    let mut slot = slot(1, "a", Role::Follower);
    let mut speaks = |told: Option<&str>, said: Option<&str>| {
        let member = Arc::make_mut(slot.member.as_mut().unwrap());
        Arc::make_mut(&mut member.spec).account = told.map(Into::into);
        member.status.as_mut().unwrap().account = said.map(Into::into);
        slot.readiness() == Readiness::Unknown
    };
    assert!(speaks(Some("new"), Some("former")));
    for (told, said) in [(Some("new"), Some("new")), (Some("new"), None), (None, Some("former")), (None, None)] {
        assert!(!speaks(told, said), "{told:?} {said:?}");
    }
}

#[test]
fn a_container_that_never_ran_is_down_and_not_unknown() {
    let mut slot = slot(1, "a", Role::Follower);
    let pod = slot.pod.as_mut().unwrap();
    (pod.ready, pod.etcd_runs) = (false, false);
    assert_eq!(slot.readiness(), Readiness::Down);
}

#[test]
fn objects_of_a_former_cluster_of_the_same_name_are_not_seen() {
    let key = ClusterKey { cluster: "demo".into(), uid: "new".into(), controller: "new".into(), incarnation: 1 };
    let facts = Facts::of(&key, None, [Arc::new(member(0, None))], [], [], Timestamp::UNIX_EPOCH);
    assert!(facts.slots.is_empty() && facts.former.is_empty());
}

#[test]
fn what_members_of_an_earlier_incarnation_said_counts_no_more() {
    let key = ClusterKey { cluster: "demo".into(), uid: "u".into(), controller: "u".into(), incarnation: 2 };
    let facts = Facts::of(&key, None, [Arc::new(member(0, None))], [], [], Timestamp::UNIX_EPOCH);
    assert_eq!((facts.slots.len(), facts.former.len()), (0, 1));
}

#[test]
fn of_two_who_say_that_they_lead_the_later_term_does() {
    let mut facts = healthy(3);
    let mut said = status(2, Role::Leader);
    said.term = Some(9);
    facts.slots.get_mut(&2).unwrap().member = Some(Arc::new(member(2, Some(said))));
    assert_eq!(facts.leader().map(|(ordinal, _)| ordinal), Some(2));
}

#[test]
fn who_led_in_an_earlier_term_than_others_have_seen_is_no_leader() {
    let mut facts = healthy(3);
    let mut said = status(2, Role::Follower);
    said.term = Some(9);
    facts.slots.get_mut(&2).unwrap().member = Some(Arc::new(member(2, Some(said))));
    assert!(facts.leader().is_none());
}

#[test]
fn a_status_alone_makes_no_other_spec() {
    let read = set(3, "a").version;
    assert!(Version { resource: Some("9".into()), ..read.clone() }.is_same_spec(&read));
    assert!(!Version { generation: Some(2), ..read.clone() }.is_same_spec(&read));
    assert!(!Version { uid: Some("another".into()), ..read.clone() }.is_same_spec(&read));
}
