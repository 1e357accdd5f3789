//! Claims about agents that are changed in pods that run.

use etcd_operator_shared::api::member::Role;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::cluster::facts::{
    agent::{Agent, Change},
    pod_trouble::{Reason, Trouble},
    tests::{agent, healthy},
};

/// All is well, and the template names another image.
fn outdated(size: u32) -> Facts {
    let mut facts = healthy(size);
    facts.set.as_mut().unwrap().agent = Some("agent:2".into());
    facts
}

fn of(facts: &mut Facts, ordinal: u32) -> &mut Pod {
    facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap()
}

/// What is written on a pod with the change of its agent.
fn change(container: Option<&str>, refused: Option<Refused>) -> Change {
    let (former, written) = ("agent:1".to_owned(), "mirror/agent:1".to_owned());
    Change { former, written, at: Timestamp::UNIX_EPOCH, container: container.map(ToOwned::to_owned), refused }
}

/// Its agent was changed, and works.
fn changed(facts: &mut Facts, ordinal: u32) {
    let change = change(Some("before"), None);
    of(facts, ordinal).agent = Agent {
        image: "agent:2".into(),
        written: "mirror/agent:2".into(),
        runs_for: SignedDuration::from_secs(10),
        change: Some(change),
        on_trial: true,
        ..agent()
    };
}

fn step_of(facts: &Facts, wish: AgentUpdate) -> Step {
    next(Step::Nothing, wish, &Membership::default(), facts)
}

fn step(facts: &Facts) -> Step {
    step_of(facts, AgentUpdate::Rolling)
}

/// Who gets which image, and why.
fn updates(step: &Step) -> Vec<(&str, &str, Update)> {
    match step {
        Step::Refresh(all) => all.iter().map(|one| (one.name.as_str(), one.image.as_str(), one.why)).collect(),
        Step::Look(_)
        | Step::Begin(_)
        | Step::MakeMembers
        | Step::SetReplicas(_)
        | Step::Replace(_)
        | Step::Swap(_)
        | Step::Turn(_)
        | Step::Move(_)
        | Step::Try(_)
        | Step::End(_)
        | Step::Wait(_)
        | Step::Nothing => vec![],
    }
}

fn words(step: Step) -> String {
    let Step::Wait(waiting) = step else { panic!("{step:?}") };
    waiting.message
}

#[test]
fn agents_are_changed_one_at_a_time_from_the_highest_and_the_leaders_last() {
    let mut facts = outdated(3);
    for (ordinal, why) in [(2, Update::Follower), (1, Update::Follower), (0, Update::LeaderLast)] {
        assert_eq!(updates(&step(&facts)), [(format!("demo-{ordinal}").as_str(), "agent:2", why)]);
        changed(&mut facts, ordinal);
        of(&mut facts, ordinal).agent.runs_for = SignedDuration::from_secs(3);
        assert_eq!(words(step(&facts)), format!("the new agent of demo-{ordinal} starts, etcd goes on"));
        changed(&mut facts, ordinal);
    }
    assert_eq!(step(&facts), Step::Nothing);
}

#[test]
fn only_who_asks_for_it_keeps_old_agents_that_run() {
    let mut facts = outdated(3);
    assert_eq!(step_of(&facts, AgentUpdate::OnRestart), Step::Nothing);
    of(&mut facts, 1).ready = false;
    assert_eq!(step_of(&facts, AgentUpdate::OnRestart), Step::Nothing);
    of(&mut facts, 1).agent.container = None;
    assert_eq!(updates(&step_of(&facts, AgentUpdate::OnRestart)), [("demo-1", "agent:2", Update::NotServing)]);
}

#[test]
fn an_only_member_gets_its_agent_in_its_pod() {
    assert_eq!(updates(&step(&outdated(1))), [("demo-0", "agent:2", Update::LeaderLast)]);
}

#[test]
fn nobody_who_serves_gets_another_agent_while_something_is_waited_for() {
    let facts = outdated(3);
    let waits = || Step::Wait(Waiting::new("MemberJoining", "waiting for demo-3 to join"));
    assert_eq!(next(waits(), AgentUpdate::Rolling, &Membership::default(), &facts), waits());
    let replaces = Step::SetReplicas(5);
    assert_eq!(next(replaces.clone(), AgentUpdate::Rolling, &Membership::default(), &facts), replaces);
}

#[test]
fn an_image_that_does_not_start_gives_way_to_the_former_and_nobody_else_gets_it() {
    let mut facts = outdated(3);
    changed(&mut facts, 2);
    let pod = of(&mut facts, 2);
    (pod.agent.container, pod.ready) = (None, false);
    pod.agent.trouble = Some(Trouble { reason: Reason::ImagePullFailed, message: "no such image".into() });
    pod.trouble = pod.agent.trouble.clone();
    assert_eq!(updates(&step(&facts)), [("demo-2", "agent:1", Update::PutBack("ImagePullFailed"))]);
    let Step::Refresh(back) = step(&facts) else { unreachable!() };
    assert_eq!(back[0].write, "mirror/agent:1", "the very image that worked");

    let refused = Refused { image: "agent:2".into(), reason: "ImagePullFailed".into(), until: Timestamp::MAX };
    let change = change(None, Some(refused));
    let pod = of(&mut facts, 2);
    (pod.ready, pod.trouble) = (true, None);
    pod.agent = Agent { change: Some(change), runs_for: SignedDuration::from_secs(10), ..agent() };
    assert_eq!(step(&facts), Step::Nothing, "the template is put back first");
    assert_eq!((image("agent:2", &facts), image("agent:3", &facts)), ("agent:1", "agent:3"));
    facts.set.as_mut().unwrap().agent = Some("agent:1".into());
    let said = words(step(&facts));
    assert!(said.contains("demo-2 did not work with image agent:2 (ImagePullFailed) and has agent:1 again"), "{said}");
    facts.set.as_mut().unwrap().agent = Some("agent:3".into());
    assert_eq!(updates(&step(&facts)), [("demo-2", "agent:3", Update::Follower)], "another is tried at once");
}

#[test]
fn an_image_that_is_named_again_is_put_back_by_itself() {
    let mut facts = outdated(3);
    changed(&mut facts, 2);
    let pod = of(&mut facts, 2);
    (pod.agent.container, pod.ready) = (None, false);
    facts.set.as_mut().unwrap().agent = Some("agent:1".into());
    assert_eq!(updates(&step(&facts)), [("demo-2", "agent:1", Update::NotServing)]);
}

proptest! {
    #[test]
    fn of_those_that_serve_one_is_changed_among_settled_ones_that_work(
        pods in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()), 1..8)
    ) {
        let mut facts = outdated(u32::try_from(pods.len()).unwrap());
        for (ordinal, (new, ready, settled, proven, leads)) in (0u32..).zip(pods) {
            let role = if leads { Role::Leader } else { Role::Follower };
            facts.slots.insert(ordinal, crate::cluster::facts::tests::slot(ordinal, "a", role));
            let member = facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap();
            std::sync::Arc::make_mut(member).status.as_mut().unwrap().settled = settled;
            if new {
                changed(&mut facts, ordinal);
            }
            let pod = of(&mut facts, ordinal);
            pod.ready = ready;
            if new && !proven {
                pod.agent.runs_for = SignedDuration::ZERO;
            }
        }
        let step = step(&facts);
        let chosen = updates(&step);
        let pod = |name: &str| facts.pods().map(|(_, pod)| pod).find(|pod| pod.name == name).unwrap();
        for (name, image, why) in &chosen {
            prop_assert!(pod(name).agent.image != *image);
            if *why != Update::NotServing {
                prop_assert_eq!(chosen.len(), 1);
                let well = |slot: &crate::cluster::facts::Slot| slot.pod.as_ref().unwrap().agent.is_proven()
                    && matches!(slot.readiness(), crate::cluster::facts::Readiness::Ready(said) if said.settled);
                prop_assert!(facts.slots.values().all(well));
            }
        }
    }
}
