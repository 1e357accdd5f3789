//! Claims about rolling, by example and against an oracle that knows only who serves.

mod swaps;
mod turns;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::cluster::facts::tests::{healthy, member, passed, set, slot, status};
use crate::cluster::facts::{rehearsal::Rehearsal, swap::Container, trial::Trial};

fn roll(facts: &mut Facts) {
    facts.set = Some(set(u32::try_from(facts.slots.len()).unwrap(), "b"));
    facts.rehearsal = Some(Rehearsal { shape: "b".into(), answer: Answer::Taken });
    facts.trials = vec![passed("b")];
}

fn deletions(step: &Step) -> Vec<&str> {
    match step {
        Step::Replace(deletions) => deletions.iter().map(|v| v.name.as_str()).collect(),
        Step::Look(_)
        | Step::Begin(_)
        | Step::MakeMembers
        | Step::SetReplicas(_)
        | Step::Swap(_)
        | Step::Turn(_)
        | Step::Move(_)
        | Step::Refresh(_)
        | Step::Try(_)
        | Step::End(_)
        | Step::Wait(_)
        | Step::Nothing => vec![],
    }
}

fn step(facts: &Facts) -> Step {
    next(facts.set.as_ref().unwrap(), facts.replicas(), &Membership::default(), facts, None)
}

/// Changes what the agent of a slot says.
fn says(facts: &mut Facts, ordinal: u32, change: impl FnOnce(&mut etcd_operator_shared::api::EtcdMemberStatus)) {
    let mut status = status(ordinal, Role::Follower);
    change(&mut status);
    facts.slots.get_mut(&ordinal).unwrap().member = Some(Arc::new(member(ordinal, Some(status))));
}

#[test]
fn followers_go_first_from_the_highest_and_the_leader_last() {
    let mut facts = healthy(3);
    roll(&mut facts);
    assert_eq!(deletions(&step(&facts)), ["demo-2"]);
    for ordinal in [2, 1] {
        facts.slots.insert(ordinal, slot(ordinal, "b", Role::Follower));
    }
    assert_eq!(deletions(&step(&facts)), ["demo-0"]);
    facts.slots.insert(0, slot(0, "b", Role::Leader));
    assert_eq!(step(&facts), Step::Nothing);
}

#[test]
fn nothing_is_replaced_before_the_controller_has_seen_the_template() {
    let mut facts = healthy(3);
    roll(&mut facts);
    facts.set.as_mut().unwrap().newest = None;
    assert!(matches!(step(&facts), Step::Wait(_)));
}

#[test]
fn pods_that_cannot_serve_go_all_at_once() {
    let mut facts = healthy(3);
    roll(&mut facts);
    for ordinal in [1, 2] {
        let pod = facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap();
        (pod.ready, pod.etcd_runs) = (false, false);
    }
    assert_eq!(deletions(&step(&facts)), ["demo-1", "demo-2"]);
}

#[test]
fn members_that_refuse_their_flags_go_all_at_once() {
    let mut facts = healthy(3);
    roll(&mut facts);
    for ordinal in 0..3 {
        facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap().ready = false;
        says(&mut facts, ordinal, |s| (s.ready, s.phase) = (false, Some(MemberPhase::Failing)));
    }
    assert_eq!(deletions(&step(&facts)).len(), 3);
}

#[test]
fn a_silent_member_is_waited_for() {
    let mut facts = healthy(3);
    roll(&mut facts);
    facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().ready = false;
    assert_eq!(step(&facts), Step::Wait(Waiting::new("RollWaits", "the roll waits for demo-1")));
}

#[test]
fn one_that_starts_for_ever_is_replaced_alone() {
    let mut facts = healthy(3);
    roll(&mut facts);
    facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().ready = false;
    says(&mut facts, 1, |s| (s.ready, s.phase) = (false, Some(MemberPhase::Starting)));
    assert_eq!(deletions(&step(&facts)), ["demo-1"]);
}

#[test]
fn a_pod_whose_agent_crashes_is_replaced_alone() {
    use crate::cluster::facts::pod_trouble::{Reason, Trouble};
    let mut facts = healthy(3);
    roll(&mut facts);
    let pod = facts.slots.get_mut(&2).unwrap().pod.as_mut().unwrap();
    pod.ready = false;
    pod.trouble = Some(Trouble { reason: Reason::CrashLoop, message: String::new() });
    assert_eq!(deletions(&step(&facts)), ["demo-2"]);
}

#[test]
fn a_roll_waits_for_the_pod_that_it_deleted() {
    let mut facts = healthy(3);
    roll(&mut facts);
    facts.slots.get_mut(&2).unwrap().pod.as_mut().unwrap().deleting = true;
    assert!(matches!(step(&facts), Step::Wait(_)));
    facts.slots.get_mut(&2).unwrap().pod = None;
    assert!(matches!(step(&facts), Step::Wait(_)));
}

#[test]
fn no_serving_pod_goes_while_the_membership_changes_and_broken_ones_do() {
    let mut facts = healthy(3);
    roll(&mut facts);
    let pause = || Some(Waiting::new("MemberJoining", "waiting for demo-3 to join"));
    let step = |facts: &Facts| next(facts.set.as_ref().unwrap(), 3, &Membership::default(), facts, pause());
    assert_eq!(step(&facts), Step::Wait(pause().unwrap()));
    let pod = facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap();
    (pod.ready, pod.etcd_runs) = (false, false);
    assert_eq!(deletions(&step(&facts)), ["demo-1"]);
}

#[test]
fn one_without_a_vote_that_cannot_join_with_its_old_template_goes_at_once() {
    let mut facts = healthy(3);
    roll(&mut facts);
    for ordinal in [1, 2] {
        facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap().ready = false;
        says(&mut facts, ordinal, |s| (s.ready, s.phase) = (false, Some(MemberPhase::Joining)));
    }
    let list = Some(crate::cluster::facts::tests::list(1, &[0]).members);
    let membership = Membership { list, ..Membership::default() };
    assert_eq!(deletions(&next(facts.set.as_ref().unwrap(), 3, &membership, &facts, None)), ["demo-1", "demo-2"]);
}

#[test]
fn no_pod_in_which_etcd_runs_goes_before_its_successor_would_be_taken() {
    let mut facts = healthy(3);
    roll(&mut facts);
    let answered = |facts: &mut Facts, shape: &str, answer| {
        facts.rehearsal = Some(Rehearsal { shape: shape.into(), answer });
        step(facts)
    };
    facts.rehearsal = None;
    assert_eq!(step(&facts), Step::Look(Look::Template));
    assert_eq!(answered(&mut facts, "a", Answer::Taken), Step::Look(Look::Template), "that was another template");
    assert!(matches!(answered(&mut facts, "b", Answer::Refused("no".into())), Step::Wait(_)));
    assert_eq!(deletions(&answered(&mut facts, "b", Answer::Unclear)), ["demo-2"]);
    facts.rehearsal = None;
    let pod = facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap();
    (pod.ready, pod.etcd_runs) = (false, false);
    assert_eq!(deletions(&step(&facts)), ["demo-1"], "nothing is lost by one that does not run");
}

#[test]
fn pods_without_a_shape_are_held_against_the_template_by_a_live_look() {
    let mut facts = healthy(3);
    roll(&mut facts);
    for ordinal in 0..3 {
        let pod = facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap();
        (pod.shape, pod.unmarked) = (String::new(), true);
    }
    assert_eq!(step(&facts), Step::Look(Look::Live));
    facts.source = Source::Live;
    let fitting = ["pod-0", "pod-2"].map(ToOwned::to_owned);
    assert_eq!(deletions(&step(&facts.clone().fitted(&fitting))), ["demo-1"], "the one that is not what it says");
}

#[test]
fn where_etcd_does_not_run_another_agent_is_reason_enough() {
    let mut facts = healthy(3);
    facts.set.as_mut().unwrap().agent = Some("agent:2".into());
    assert_eq!(step(&facts), Step::Nothing);
    let pod = facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap();
    (pod.ready, pod.etcd_runs) = (false, false);
    assert_eq!(deletions(&step(&facts)), ["demo-1"]);
}

fn any_seat() -> impl Strategy<Value = Slot> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let phase = prop::option::of(prop::sample::select(vec![
        MemberPhase::Waiting,
        MemberPhase::Starting,
        MemberPhase::Running,
        MemberPhase::Held,
        MemberPhase::Failing,
    ]));
    let role = prop::option::of(prop::sample::select(vec![Role::Leader, Role::Follower, Role::Learner]));
    (prop::bool::weighted(0.8), flags, prop::bool::weighted(0.7), phase, role).prop_map(
        |(present, (new, ready, deleting, runs, own, settled), serving, phase, role)| {
            let mut slot = slot(0, if new { "b" } else { "a" }, Role::Follower);
            let pod = slot.pod.as_mut().unwrap();
            (pod.ready, pod.deleting, pod.etcd_runs) = (ready || serving, deleting && !serving, runs || serving);
            let mut said = status(0, Role::Follower);
            (said.ready, said.settled, said.phase, said.role) = (serving, settled || serving, phase, role);
            if !own && !serving {
                said.pod_uid = Some("former".into());
            }
            slot.member = Some(Arc::new(member(0, Some(said))));
            if !present {
                slot.pod = None;
            }
            slot
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_serving_pod_goes_alone_among_serving_and_settled_members(slots in prop::collection::vec(any_seat(), 1..8)) {
        let mut facts = Facts { slots: (0u32..).zip(slots).collect(), ..Facts::default() };
        for (ordinal, slot) in &mut facts.slots {
            if let Some(pod) = &mut slot.pod {
                pod.name = ordinal.to_string();
            }
        }
        roll(&mut facts);
        let step = step(&facts);
        let chosen: Vec<u32> = deletions(&step).iter().map(|name| name.parse().unwrap()).collect();
        let serves = |slot: &Slot| matches!(slot.readiness(), Readiness::Ready(_));
        let settled = |slot: &Slot| matches!(slot.readiness(), Readiness::Ready(s) if s.settled);
        let leads = |slot: &Slot| matches!(slot.readiness(), Readiness::Ready(s) if s.role == Some(Role::Leader));
        let old = |slot: &Slot| slot.pod.as_ref().is_some_and(|p| p.shape != "b");
        for ordinal in &chosen {
            let deletion = &facts.slots[ordinal];
            prop_assert!(old(deletion), "only old pods are replaced");
            if serves(deletion) {
                prop_assert_eq!(chosen.len(), 1);
                prop_assert!(facts.slots.values().all(settled));
                if leads(deletion) {
                    prop_assert!(facts.slots.values().all(|s| !old(s) || leads(s)));
                }
            }
        }
        if facts.slots.values().all(|s| !old(s)) {
            prop_assert_eq!(step, Step::Nothing);
        }
    }
}
