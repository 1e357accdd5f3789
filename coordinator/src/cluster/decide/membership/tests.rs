//! Claims about who is still a member, by example.

use std::sync::Arc;

use etcd_operator_shared::api::member::Role;

use super::*;
use crate::cluster::{
    decide::tests::begun,
    facts::tests::{healthy, list, member, status},
};

fn incarnation() -> Incarnation {
    begun(3)
}

/// A cluster of three whose leader's list names these, read after the members knew `size`.
fn listed(size: u32, voters: &[u32]) -> Facts {
    let mut facts = healthy(3);
    for (ordinal, slot) in &mut facts.slots {
        let member = Arc::make_mut(slot.member.as_mut().unwrap());
        Arc::make_mut(&mut member.spec).size = i32::try_from(size).unwrap();
        member.version.generation = Some(4);
        if *ordinal == 0 {
            member.status.as_mut().unwrap().membership = Some(list(4, voters));
        }
    }
    facts
}

fn desired(size: u32) -> Desired {
    Desired { size, ..Desired::default() }
}

fn standing(facts: &Facts, size: u32, ordinal: u32) -> Option<Standing> {
    Membership::of(&incarnation(), true, Some(&desired(size)), facts).standings.get(&ordinal).copied()
}

fn silence(facts: &mut Facts, ordinal: u32) {
    facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap().ready = false;
}

fn leave(facts: &mut Facts, ordinal: u32, pod: &str) {
    let said = etcd_operator_shared::api::EtcdMemberStatus {
        left_pod_uid: Some(pod.into()),
        ready: false,
        ..status(ordinal, Role::Follower)
    };
    facts.slots.get_mut(&ordinal).unwrap().member = Some(Arc::new(member(ordinal, Some(said))));
}

#[test]
fn an_initial_member_counts_until_the_cluster_has_formed() {
    let facts = Facts { cluster: "demo".into(), ..Facts::default() };
    let of = |formed| Membership::of(&incarnation(), formed, None, &facts);
    assert_eq!((of(false).floor(), of(false).least()), (3, 3));
    assert_eq!((of(true).floor(), of(true).least()), (0, 0));
}

#[test]
fn one_that_says_it_has_left_is_gone_with_that_pod_only() {
    let mut facts = healthy(3);
    leave(&mut facts, 2, "pod-2");
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Gone(Proof::Left)));
    leave(&mut facts, 2, "a former pod");
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Member), "its successor may be one");
    facts.slots.get_mut(&2).unwrap().pod = None;
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Member), "a successor may have come and gone without a desired");
    facts.set.as_mut().unwrap().replicas = 2;
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Gone(Proof::Left)));
    facts.set.as_mut().unwrap().replicas = 0;
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Member), "a stop is not the fall that its Left brought about");
}

#[test]
fn a_list_that_names_one_who_has_left_leaves_a_doubt() {
    let mut facts = listed(1, &[0, 2]);
    leave(&mut facts, 2, "a former pod");
    facts.slots.get_mut(&2).unwrap().pod = None;
    facts.set.as_mut().unwrap().replicas = 2;
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Doubtful));
}

#[test]
fn silence_is_no_proof_without_a_fresh_list() {
    let mut facts = healthy(3);
    silence(&mut facts, 2);
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Member));
    facts.slots.get_mut(&2).unwrap().pod = None;
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Member));
}

#[test]
fn absence_from_a_fresh_list_is_proof_for_the_silent_and_not_for_those_who_speak() {
    let mut facts = listed(1, &[0, 1]);
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Doubtful));
    silence(&mut facts, 2);
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Gone(Proof::Absent)));
    assert_eq!(standing(&facts, 1, 1), Some(Standing::Member));
}

#[test]
fn a_list_from_before_the_wish_proves_nothing() {
    let mut facts = listed(3, &[0, 1]);
    silence(&mut facts, 2);
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Doubtful), "the members have not been told yet");
    let mut facts = listed(1, &[0, 1]);
    silence(&mut facts, 2);
    let leader = Arc::make_mut(facts.slots.get_mut(&0).unwrap().member.as_mut().unwrap());
    leader.version.generation = Some(5);
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Doubtful), "the leader has not heard yet");
}

#[test]
fn the_list_of_a_former_pods_agent_is_none() {
    let mut facts = listed(1, &[0, 1]);
    silence(&mut facts, 2);
    facts.slots.get_mut(&0).unwrap().pod.as_mut().unwrap().uid = "another".into();
    assert_eq!(standing(&facts, 1, 2), Some(Standing::Member));
}

#[test]
fn a_member_without_an_object_counts_when_it_is_listed() {
    let mut facts = listed(3, &[0, 1, 2, 4]);
    facts.set.as_mut().unwrap().replicas = 3;
    let membership = Membership::of(&incarnation(), true, Some(&desired(3)), &facts);
    assert_eq!((membership.floor(), membership.least()), (5, 5));
}

#[test]
fn voters_are_those_on_the_list_or_else_all_who_may_be_members() {
    let of = |facts: &Facts| Membership::of(&incarnation(), true, Some(&desired(3)), facts).electorate(facts);
    assert_eq!(of(&listed(3, &[0, 1])).len(), 2);
    assert_eq!(of(&healthy(3)).len(), 3);
}

#[test]
fn without_a_list_only_those_count_that_may_have_a_vote() {
    let mut facts = healthy(3);
    let says = |facts: &mut Facts, ordinal: u32, change: fn(&mut etcd_operator_shared::api::EtcdMemberStatus)| {
        let mut said = status(ordinal, Role::Follower);
        (said.ready, said.role) = (false, None);
        change(&mut said);
        facts.slots.get_mut(&ordinal).unwrap().member = Some(Arc::new(member(ordinal, Some(said))));
    };
    says(&mut facts, 0, |_| {});
    says(&mut facts, 1, |s| (s.member_id, s.phase) = (None, Some(MemberPhase::Held)));
    says(&mut facts, 2, |s| (s.member_id, s.phase) = (None, Some(MemberPhase::Joining)));
    let voters = |facts: &Facts| Membership::of(&incarnation(), true, None, facts).electorate(facts);
    assert_eq!(voters(&facts), BTreeSet::from([0, 1]), "one that waits to join has no vote");
    says(&mut facts, 2, |s| s.role = Some(Role::Learner));
    assert_eq!(voters(&facts), BTreeSet::from([0, 1]));
    says(&mut facts, 2, |_| {});
    assert_eq!(voters(&facts).len(), 3);
}
