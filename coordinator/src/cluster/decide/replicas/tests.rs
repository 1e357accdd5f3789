//! Claims about the next step, by example.

use std::sync::Arc;

use etcd_operator_shared::api::{cluster::End, member::Role};

use super::*;
use crate::cluster::{
    decide::{membership::Desired, tests::begun},
    facts::{
        Claim,
        rehearsal::{Answer, Rehearsal},
        tests::{claim, healthy, list, member, passed, status},
    },
};

/// `size` members, all well, all listed by the leader, who knows that `wanted` are.
fn settled(size: u32, wanted: u32) -> Facts {
    let mut facts = healthy(size);
    for (ordinal, slot) in &mut facts.slots {
        let member = Arc::make_mut(slot.member.as_mut().unwrap());
        member.version.generation = Some(2);
        Arc::make_mut(&mut member.spec).size = i32::try_from(wanted).unwrap();
        if *ordinal == 0 {
            let voters: Vec<u32> = (0..size).collect();
            member.status.as_mut().unwrap().membership = Some(list(2, &voters));
        }
    }
    facts
}

fn step(target: Target, facts: &Facts) -> Step {
    let size = if let Target::Run(size) = target { size } else { 3 };
    let desired = Desired { size, stopped: !target.runs(), ..Desired::default() };
    next(target, &Membership::of(&begun(3), true, Some(&desired), facts), facts, RAISE_AFTER)
}

fn leave(facts: &mut Facts, ordinal: u32) {
    let said = etcd_operator_shared::api::EtcdMemberStatus {
        left_pod_uid: Some(format!("pod-{ordinal}")),
        ready: false,
        ..status(ordinal, Role::Follower)
    };
    facts.slots.get_mut(&ordinal).unwrap().member = Some(Arc::new(member(ordinal, Some(said))));
}

/// The leader's list, anew.
fn lists(facts: &mut Facts, voters: &[u32]) {
    let leader = Arc::make_mut(facts.slots.get_mut(&0).unwrap().member.as_mut().unwrap());
    leader.status.as_mut().unwrap().membership = Some(list(2, voters));
}

fn waits(step: &Step) -> &str {
    if let Step::Wait(pause) = step { &pause.message } else { panic!("{step:?}") }
}

#[test]
fn a_founded_cluster_gets_as_many_pods_as_founders_whatever_the_size_is_by_now() {
    let facts = Facts { cluster: "demo".into(), ..Facts::default() };
    let membership = Membership::of(&begun(3), false, None, &facts);
    for size in [1, 3, 5] {
        assert_eq!(next(Target::Run(size), &membership, &facts, Duration::ZERO), Step::SetReplicas(3));
    }
}

#[test]
fn up_goes_to_the_wanted_size_at_once_while_a_quorum_serves() {
    assert_eq!(step(Target::Run(7), &settled(3, 7)), Step::SetReplicas(7));
    let mut facts = settled(3, 5);
    facts.slots.get_mut(&0).unwrap().pod.as_mut().unwrap().ready = false;
    assert!(waits(&step(Target::Run(5), &facts)).contains("once a quorum serves"));
}

#[test]
fn down_goes_as_far_as_members_have_left() {
    let mut facts = settled(5, 1);
    assert_eq!(waits(&step(Target::Run(1), &facts)), "waiting for demo-4 to leave");
    leave(&mut facts, 3);
    assert_eq!(waits(&step(Target::Run(1), &facts)), "waiting for demo-4 to leave");
    leave(&mut facts, 4);
    assert_eq!(step(Target::Run(1), &facts), Step::SetReplicas(3));
}

#[test]
fn a_silent_member_that_the_leader_removed_goes_too() {
    let mut facts = settled(5, 3);
    leave(&mut facts, 3);
    facts.slots.get_mut(&4).unwrap().pod.as_mut().unwrap().ready = false;
    assert_eq!(waits(&step(Target::Run(3), &facts)), "demo-4 is silent and waits to be removed by the leader");
    lists(&mut facts, &[0, 1, 2]);
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(3));
}

#[test]
fn a_stop_stops_all_and_a_wake_brings_back_the_members_before_any_scaling() {
    let mut facts = settled(3, 3);
    assert_eq!(step(Target::Stop, &facts), Step::SetReplicas(0));
    facts.set.as_mut().unwrap().replicas = 0;
    assert!(matches!(step(Target::Stop, &facts), Step::Wait(_)), "pods are still there");
    facts.slots.values_mut().for_each(|slot| slot.pod = None);
    assert_eq!(step(Target::Stop, &facts), Step::Nothing);
    for size in [1, 3, 5] {
        assert_eq!(step(Target::Run(size), &facts), Step::SetReplicas(3));
    }
}

#[test]
fn an_incarnation_ends_when_its_last_pod_is_gone() {
    let mut facts = settled(3, 3);
    let end = Target::End(End::Abandoned);
    assert_eq!(step(end, &facts), Step::SetReplicas(0));
    facts.set.as_mut().unwrap().replicas = 0;
    facts.slots.remove(&1);
    facts.slots.remove(&2);
    assert_eq!(waits(&step(end, &facts)), "waiting for demo-0 to go");
    facts.slots.get_mut(&0).unwrap().pod = None;
    assert_eq!(step(end, &facts), Step::End(End::Abandoned));
    assert!(step(end, &facts).is_final(&facts));
}

#[test]
fn a_member_whose_etcdmember_is_gone_wakes_with_the_others_if_it_has_a_volume_and_is_wanted() {
    let mut facts = settled(3, 3);
    facts.set.as_mut().unwrap().replicas = 0;
    facts.slots.values_mut().for_each(|slot| slot.pod = None);
    facts.slots.remove(&2);
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(2));
    facts.claims = (0..5).map(|ordinal| (ordinal, claim(ordinal))).collect();
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(3));
    assert_eq!(step(Target::Run(1), &facts), Step::SetReplicas(2), "a volume beyond may have been kept");
    facts.claims.insert(2, Claim { deleting: true, ..claim(2) });
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(2), "it is being deleted");
}

#[test]
fn without_any_etcdmember_the_volumes_tell_how_many_wake() {
    let mut facts = Facts { cluster: "demo".into(), set: healthy(0).set, ..Facts::default() };
    facts.claims = (0..5).map(|ordinal| (ordinal, claim(ordinal))).collect();
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(5));
    facts.claims.clear();
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(3));
}

#[test]
fn replicas_lowered_by_hand_are_put_back() {
    let mut facts = settled(3, 1);
    facts.set.as_mut().unwrap().replicas = 1;
    assert_eq!(step(Target::Run(1), &facts), Step::SetReplicas(3));
    facts.slots.values_mut().for_each(|slot| slot.pod = None);
    assert_eq!(step(Target::Run(1), &facts), Step::SetReplicas(3), "also when nobody can tell who is a member");
    let membership = Membership::of(&begun(3), true, None, &facts);
    let soon = next(Target::Run(1), &membership, &facts, Duration::from_secs(1));
    assert!(matches!(soon, Step::Wait(_)), "an election passes: {soon:?}");
}

#[test]
fn replicas_raised_by_hand_are_put_back_once_a_list_shows_that_no_member_is_lost() {
    let mut facts = settled(3, 3);
    facts.set.as_mut().unwrap().replicas = 5;
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(3));
}

#[test]
fn a_pod_that_has_left_and_is_wanted_again_makes_room_for_its_successor() {
    let mut facts = settled(3, 3);
    leave(&mut facts, 2);
    let Step::Replace(deletions) = step(Target::Run(3), &facts) else { panic!() };
    assert_eq!((deletions[0].uid.as_str(), deletions[0].why), ("pod-2", Why::WantedAgain));
    facts.slots.get_mut(&2).unwrap().pod.as_mut().unwrap().deleting = true;
    assert!(matches!(step(Target::Run(3), &facts), Step::Wait(_) | Step::Nothing));
}

#[test]
fn a_place_is_cleared_before_it_gets_a_pod_again() {
    let mut facts = settled(3, 3);
    leave(&mut facts, 2);
    lists(&mut facts, &[0, 1]);
    facts.slots.get_mut(&2).unwrap().pod = None;
    facts.set.as_mut().unwrap().replicas = 2;
    assert_eq!(waits(&step(Target::Run(3), &facts)), "the former demo-2 is being cleared away");
    facts.slots.remove(&2);
    facts.claims.insert(2, Claim { deleting: true, ..claim(2) });
    assert!(waits(&step(Target::Run(3), &facts)).contains("data-demo-2"));
    facts.claims.remove(&2);
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(3));
}

#[test]
fn missing_pods_and_silent_members_change_nothing() {
    let mut facts = settled(3, 3);
    facts.slots.get_mut(&1).unwrap().pod = None;
    facts.slots.get_mut(&2).unwrap().member = None;
    assert_eq!(step(Target::Run(3), &facts), Step::Nothing);
}

#[test]
fn nothing_rolls_while_a_member_joins_or_is_still_listed() {
    let mut facts = settled(3, 3);
    facts.set.as_mut().unwrap().newest = Some("b".into());
    facts.rehearsal = Some(Rehearsal { shape: "b".into(), answer: Answer::Taken });
    facts.trials = vec![passed("b")];
    assert!(matches!(step(Target::Run(3), &facts), Step::Replace(_)));
    lists(&mut facts, &[0, 1]);
    assert_eq!(waits(&step(Target::Run(3), &facts)), "waiting for demo-2 to join");
    lists(&mut facts, &[0, 1, 2, 3]);
    assert!(!matches!(step(Target::Run(3), &facts), Step::Replace(_)));
}

#[test]
fn a_stateful_set_that_is_made_again_takes_every_pod_back_that_is_there() {
    let mut facts = Facts { set: None, ..settled(3, 3) };
    assert_eq!(step(Target::Run(3), &facts), Step::SetReplicas(3));
    lists(&mut facts, &[0]);
    assert_eq!(step(Target::Run(1), &facts), Step::SetReplicas(3), "who may leave is decided with the pods there");
}
