//! Claims about what a cluster says of itself.

mod told;

use std::sync::Arc;

use etcd_operator_shared::api::{
    EtcdMemberStatus,
    cluster::{Incarnation, Phase},
    member::{MemberPhase, Notice, Role},
};
use serde_json::json;

use super::*;
use crate::cluster::{
    decide::{membership::Membership, refusal::Refusal, step::Waiting},
    facts::{
        pod_trouble::{Reason, Trouble},
        tests::{healthy, member, status},
    },
};

fn cluster(size: i32) -> EtcdCluster {
    let mut cluster =
        EtcdCluster::new("demo", serde_json::from_value(json!({"version": "v3.5.21", "size": size})).unwrap());
    cluster.metadata.generation = Some(4);
    cluster
}

/// The cluster as it was founded: with three members.
fn founded(cluster: &EtcdCluster) -> EtcdCluster {
    let mut cluster = cluster.clone();
    let incarnation = Incarnation {
        number: 1,
        token: "t".into(),
        initial_members: crate::cluster::decide::incarnation::initial_members("demo", 3),
        data_uid: None,
        restored: None,
        has_store: false,
        members_created: true,
        quota_backend: None,
        encrypted: Default::default(),
        ended: None,
        next: None,
    };
    cluster.status.get_or_insert_default().incarnation = Some(incarnation);
    cluster
}

/// What befell it beside the facts.
#[derive(Clone, Copy, Default)]
struct Besides<'a> {
    refusal: Option<&'a Refusal>,
    denials: &'a [Denial],
    lacking: Duration,
}

fn stepped(cluster: &EtcdCluster, facts: &Facts, refusal: Option<&Refusal>, step: &Step) -> EtcdClusterStatus {
    besides(cluster, facts, step, Besides { refusal, ..Besides::default() })
}

fn besides(cluster: &EtcdCluster, facts: &Facts, step: &Step, besides: Besides<'_>) -> EtcdClusterStatus {
    let Besides { refusal, denials, lacking } = besides;
    let cluster = if facts.set.is_some() { founded(cluster) } else { cluster.clone() };
    let status = cluster.status.as_ref();
    let incarnation = status.and_then(|s| s.incarnation.as_ref());
    let formed = status.is_some_and(|s| s.cluster_id.is_some());
    let membership =
        incarnation.map(|incarnation| Membership::of(incarnation, formed, None, facts)).unwrap_or_default();
    let size = cluster.spec.size.unsigned_abs();
    let (step, refusal) = (step.clone(), refusal.cloned());
    let decision = Decision { step, refusal, membership, size, care: None, paused: None, again: None };
    let input = Input { cluster: &cluster, facts, decision: &decision, denials, lacking };
    of(input, Timestamp::from_second(100).unwrap())
}

fn told(cluster: &EtcdCluster, facts: &Facts, refusal: Option<&Refusal>) -> EtcdClusterStatus {
    stepped(cluster, facts, refusal, &Step::Nothing)
}

/// Status, reason and message of one condition.
fn condition<'a>(status: &'a EtcdClusterStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = status.conditions.iter().find(|c| c.type_ == kind).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn says(facts: &mut Facts, ordinal: u32, change: impl FnOnce(&mut EtcdMemberStatus)) {
    let mut said = status(ordinal, Role::Follower);
    change(&mut said);
    facts.slots.get_mut(&ordinal).unwrap().member = Some(Arc::new(member(ordinal, Some(said))));
}

fn unready(facts: &mut Facts, ordinal: u32, trouble: Option<Trouble>) {
    let pod = facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap();
    (pod.ready, pod.trouble) = (false, trouble);
}

#[test]
fn a_healthy_cluster_is_running_and_names_its_leader() {
    let status = told(&cluster(3), &healthy(3), None);
    assert_eq!((status.phase, status.ready.as_deref()), (Some(Phase::Running), Some("3/3")));
    assert_eq!((status.leader.as_deref(), status.version.as_deref()), (Some("demo-0"), Some("v3.5.21")));
    assert_eq!(condition(&status, "Ready"), ("True", "AllMembersServe", "3 of 3 members serve, demo-0 leads"));
    assert_eq!(condition(&status, "Stalled").0, "False");
    assert_eq!(status.observed_generation, Some(4));
}

#[test]
fn the_same_facts_later_give_the_same_status() {
    let mut cluster = cluster(3);
    cluster.status = Some(told(&cluster, &healthy(3), None));
    cluster
        .status
        .as_mut()
        .unwrap()
        .conditions
        .iter_mut()
        .for_each(|c| c.last_transition_time.0 += jiff::SignedDuration::from_secs(9));
    assert_eq!(Some(told(&cluster, &healthy(3), None)), cluster.status);
}

#[test]
fn a_failed_pull_is_named_with_pod_and_image() {
    let mut facts = healthy(3);
    let message = "pod demo-1 cannot pull image x:v1".to_owned();
    unready(&mut facts, 1, Some(Trouble { reason: Reason::ImagePullFailed, message }));
    let status = told(&cluster(3), &facts, None);
    assert_eq!(condition(&status, "Ready").1, "ImagePullFailed");
    assert!(condition(&status, "Ready").2.contains("demo-1"));
    assert_eq!(condition(&status, "Available").0, "True");
    assert_eq!(status.members[1].reason.as_deref(), Some("ImagePullFailed"));
}

#[test]
fn a_held_member_waits_for_a_person() {
    let mut facts = healthy(3);
    unready(&mut facts, 2, None);
    says(&mut facts, 2, |s| {
        (s.ready, s.phase, s.message) = (false, Some(MemberPhase::Held), "the volume is an older copy".into());
    });
    let status = told(&cluster(3), &facts, None);
    let held = "member demo-2 is held: the volume is an older copy";
    assert_eq!(condition(&status, "Stalled"), ("True", "MemberHeld", held));
    assert_eq!(condition(&status, "Reconciling").0, "False");
}

#[test]
fn silence_is_unknown_and_not_a_failure() {
    let mut facts = healthy(3);
    unready(&mut facts, 1, None);
    unready(&mut facts, 2, None);
    let status = told(&cluster(3), &facts, None);
    assert_eq!(condition(&status, "Available").0, "Unknown");
    assert_eq!((status.members[1].ready.as_str(), status.members[1].role.as_str()), ("Unknown", "Unknown"));
}

#[test]
fn a_refusal_before_founding_stalls_the_cluster() {
    let refusal = Refusal::StorageClassNotFound("fast".into());
    let status = told(&cluster(3), &Facts::default(), Some(&refusal));
    assert_eq!(status.phase, Some(Phase::Stalled));
    assert_eq!(condition(&status, "Ready").1, "StorageClassNotFound");
    assert_eq!(condition(&status, "Stalled").0, "True");
}

#[test]
fn a_refusal_on_a_running_cluster_leaves_it_ready() {
    let refusal = Refusal::NoSuchIncarnation { asked: 2, present: 1 };
    let status = told(&cluster(3), &healthy(3), Some(&refusal));
    assert_eq!(status.phase, Some(Phase::Running));
    assert_eq!(condition(&status, "Ready").0, "True");
    assert_eq!(condition(&status, "Stalled").1, "NoSuchIncarnation");
}

#[test]
fn a_cluster_is_stopped_when_its_last_pod_is_gone_and_created_again_when_it_wakes() {
    let mut facts = healthy(3);
    let mut stopped = cluster(0);
    assert_eq!(told(&stopped, &facts, None).phase, Some(Phase::Scaling));
    facts.slots.values_mut().for_each(|slot| slot.pod = None);
    let status = told(&stopped, &facts, None);
    assert_eq!((status.phase, status.ready.as_deref()), (Some(Phase::Stopped), Some("0/0")));
    stopped.status = Some(status);
    stopped.spec.size = 3;
    facts.set.as_mut().unwrap().replicas = 0;
    assert_eq!(told(&stopped, &facts, None).phase, Some(Phase::Creating));
}

#[test]
fn a_running_cluster_that_loses_members_is_degraded_and_then_unavailable() {
    let mut cluster = cluster(3);
    let mut facts = healthy(3);
    cluster.status = Some(told(&cluster, &facts, None));
    facts.slots.get_mut(&2).unwrap().pod = None;
    assert_eq!(told(&cluster, &facts, None).phase, Some(Phase::Degraded));
    facts.slots.get_mut(&1).unwrap().pod = None;
    assert_eq!(told(&cluster, &facts, None).phase, Some(Phase::Unavailable));
}

#[test]
fn a_roll_is_an_upgrade_until_every_pod_is_new() {
    let mut cluster = cluster(3);
    let mut facts = healthy(3);
    facts.set.as_mut().unwrap().newest = Some("b".into());
    let status = told(&cluster, &facts, None);
    assert_eq!((status.phase, condition(&status, "Ready").0), (Some(Phase::Upgrading), "True"));
    cluster.status = Some(status);
    facts.slots.get_mut(&2).unwrap().pod = None;
    assert_eq!(told(&cluster, &facts, None).phase, Some(Phase::Upgrading));
}

#[test]
fn an_alarm_is_not_ready() {
    let mut facts = healthy(3);
    says(&mut facts, 1, |s| s.alarms = vec!["NOSPACE".into()]);
    assert_eq!(condition(&told(&cluster(3), &facts, None), "Ready").1, "AlarmRaised");
}

#[test]
fn full_databases_in_which_nobody_can_make_room_wait_for_a_person() {
    let mut facts = healthy(3);
    let notice = Notice { reason: Notice::SPACE_EXHAUSTED.into(), message: "delete keys".into() };
    says(&mut facts, 1, |s| (s.alarms, s.notices) = (vec!["NOSPACE".into()], vec![notice]));
    let status = told(&cluster(3), &facts, None);
    assert_eq!(condition(&status, "Ready"), ("False", "SpaceExhausted", "member demo-1: delete keys"));
    assert_eq!(condition(&status, "Stalled").0, "True");
    assert_eq!(status.phase, Some(Phase::Running), "it serves what is there");
}

#[test]
fn a_full_disk_is_named_with_its_member_while_all_serve() {
    let mut facts = healthy(3);
    let notice = |reason: &str| Notice { reason: reason.into(), message: "the volume is full".into() };
    says(&mut facts, 1, |s| s.notices = vec![notice("DiskFull")]);
    let status = told(&cluster(3), &facts, None);
    assert_eq!(condition(&status, "Ready"), ("False", "DiskFull", "member demo-1: the volume is full"));
    assert_eq!(condition(&status, "Available").0, "True", "it serves all the same");
}

#[test]
fn what_harms_nobody_is_said_beside_being_ready() {
    let mut facts = healthy(3);
    let notice = Notice { reason: "AuthenticationOn".into(), message: "etcd's authentication is on".into() };
    says(&mut facts, 1, |s| s.notices = vec![notice]);
    let status = told(&cluster(3), &facts, None);
    let (ready, reason, message) = condition(&status, "Ready");
    assert_eq!((ready, reason), ("True", "AllMembersServe"));
    assert!(message.contains("member demo-1: etcd's authentication is on"), "{message}");
}

#[test]
fn members_without_a_leader_do_not_serve() {
    let mut facts = healthy(3);
    says(&mut facts, 0, |_| {});
    let status = told(&cluster(3), &facts, None);
    assert_eq!(condition(&status, "Available"), ("False", "NoLeader", "3 of 3 members serve"));
}

#[test]
fn a_cluster_that_grows_is_scaling_and_says_for_whom_it_waits() {
    let mut cluster = cluster(5);
    cluster.status = Some(told(&self::cluster(3), &healthy(3), None));
    let raised = stepped(&cluster, &healthy(3), None, &Step::SetReplicas(5));
    assert_eq!((raised.phase, raised.ready.as_deref()), (Some(Phase::Scaling), Some("3/5")));
    assert_eq!(condition(&raised, "Reconciling"), ("True", "SettingReplicas", "starting demo-3, demo-4"));
    assert_eq!(condition(&raised, "Available").0, "True");
    cluster.status = Some(raised);
    let mut facts = healthy(3);
    facts.set.as_mut().unwrap().replicas = 5;
    let waits = Step::Wait(Waiting::new("MemberJoining", "waiting for demo-3 to join"));
    let status = stepped(&cluster, &facts, None, &waits);
    assert_eq!(status.phase, Some(Phase::Scaling));
    assert_eq!(condition(&status, "Reconciling").1, "MemberJoining");
}

#[test]
fn a_single_voter_serves_while_others_are_still_to_join() {
    let mut facts = healthy(1);
    facts.set.as_mut().unwrap().replicas = 3;
    let member = Arc::make_mut(facts.slots.get_mut(&0).unwrap().member.as_mut().unwrap());
    member.status.as_mut().unwrap().membership = Some(crate::cluster::facts::tests::list(1, &[0]));
    let status = told(&cluster(3), &facts, None);
    assert_eq!((condition(&status, "Available").0, status.ready.as_deref()), ("True", Some("1/3")));
}

#[test]
fn a_lost_quorum_names_each_member_and_what_a_person_can_do() {
    let mut facts = healthy(3);
    for ordinal in 0..3 {
        unready(&mut facts, ordinal, None);
        says(&mut facts, ordinal, |s| (s.ready, s.phase) = (false, Some(MemberPhase::Running)));
    }
    for (ordinal, reason) in [(1, "DataLost"), (2, "VolumeLost")] {
        says(&mut facts, ordinal, |s| {
            (s.ready, s.phase, s.reason) = (false, Some(MemberPhase::Held), reason.into());
            s.message = format!("words of {ordinal}");
        });
    }
    let status = told(&cluster(3), &facts, None);
    assert_eq!((status.phase, condition(&status, "Available").1), (Some(Phase::Stalled), "NoQuorum"));
    let (stalled, reason, message) = condition(&status, "Stalled");
    assert_eq!((stalled, reason), ("True", "QuorumLost"));
    for part in ["demo-1 (DataLost: words of 1)", "demo-2 (VolumeLost: words of 2)", "demo-0", "abandonIncarnation: 1"]
    {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(condition(&status, "Ready").1, "QuorumLost");
}

#[test]
fn one_that_was_promoted_a_moment_ago_costs_no_quorum() {
    let mut facts = healthy(2);
    facts.set.as_mut().unwrap().replicas = 3;
    unready(&mut facts, 1, None);
    says(&mut facts, 1, |s| (s.ready, s.phase) = (false, Some(MemberPhase::Joining)));
    let member = Arc::make_mut(facts.slots.get_mut(&0).unwrap().member.as_mut().unwrap());
    member.status.as_mut().unwrap().membership = Some(crate::cluster::facts::tests::list(1, &[0, 1]));
    let mut cluster = cluster(3);
    cluster.status = Some(EtcdClusterStatus {
        phase: Some(Phase::Scaling),
        cluster_id: Some("c".into()),
        ..EtcdClusterStatus::default()
    });
    let status = told(&cluster, &facts, None);
    assert_eq!((status.phase, condition(&status, "Available").0), (Some(Phase::Scaling), "True"));
}

#[test]
fn an_id_is_a_learners_until_it_is_heard_to_vote_and_outlives_its_disk() {
    let mut cluster = cluster(3);
    let mut facts = healthy(3);
    let mut role = |cluster: &mut EtcdCluster, change: fn(&mut EtcdMemberStatus)| {
        unready(&mut facts, 2, None);
        says(&mut facts, 2, change);
        cluster.status = Some(told(cluster, &facts, None));
        let member = cluster.status.as_ref().unwrap().members[2].clone();
        (member.role, member.id.unwrap_or_default())
    };
    let waits = |s: &mut EtcdMemberStatus| (s.ready, s.role, s.member_id) = (false, None, None);
    assert_eq!(role(&mut cluster, waits), ("Unknown".into(), String::new()));
    let added = |s: &mut EtcdMemberStatus| (s.ready, s.role, s.member_id) = (false, None, Some("b".into()));
    assert_eq!(role(&mut cluster, added), ("Learner".into(), "b".into()));
    assert_eq!(role(&mut cluster, waits), ("Learner".into(), "b".into()));
    assert_eq!(role(&mut cluster, |s| (s.ready, s.member_id) = (false, Some("b".into()))).0, "Follower");
    assert_eq!(role(&mut cluster, added).0, "Unknown", "it has had a vote");
}

#[test]
fn one_lost_disk_heals_by_itself_and_stalls_nothing() {
    let mut facts = healthy(3);
    unready(&mut facts, 2, None);
    says(&mut facts, 2, |s| (s.ready, s.phase, s.reason) = (false, Some(MemberPhase::Held), "DataLost".into()));
    let status = told(&cluster(3), &facts, None);
    assert_eq!((condition(&status, "Stalled").0, condition(&status, "Available").0), ("False", "True"));
    assert_eq!(condition(&status, "Ready").1, "DataLost");
}

#[test]
fn the_later_term_leads() {
    let mut facts = healthy(3);
    says(&mut facts, 0, |s| (s.role, s.term) = (Some(Role::Leader), Some(7)));
    says(&mut facts, 2, |s| (s.role, s.term) = (Some(Role::Leader), Some(9)));
    assert_eq!(told(&cluster(3), &facts, None).leader.as_deref(), Some("demo-2"));
}

#[test]
fn database_sizes_are_rounded_so_that_status_is_quiet() {
    assert_eq!([size(1), size(20 << 20), size((20 << 20) + 1), size(11 << 30)], ["1Mi", "20Mi", "21Mi", "11Gi"]);
}
