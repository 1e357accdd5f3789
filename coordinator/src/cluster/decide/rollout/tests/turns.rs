//! Claims about an etcd that gets other options in its pod.

use etcd_operator_shared::{api::member::ToldOptions, options::digest};

use super::*;
use crate::cluster::facts::Etcd;

/// A roll to other options and nothing else, with agents that go on with them.
fn other_options(size: u32) -> Facts {
    let mut facts = healthy(size);
    roll(&mut facts);
    let etcd = Some(Etcd { version: "v3.5.21".parse().unwrap(), image: "etcd:1".into() });
    let set = facts.set.as_mut().unwrap();
    (set.frame, set.etcd, set.options) = (Some("f".into()), etcd.clone(), Some("y".into()));
    for ordinal in 0..size {
        let pod = of(&mut facts, ordinal);
        (pod.frame, pod.asked, pod.options) = (Some("f".into()), etcd.clone(), Some(digest("x")));
        runs(&mut facts, ordinal, "x");
    }
    facts
}

fn of(facts: &mut Facts, ordinal: u32) -> &mut Pod {
    facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap()
}

/// What the agent of a slot says of etcd's options.
fn runs(facts: &mut Facts, ordinal: u32, options: &str) {
    let member = facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap();
    Arc::make_mut(member).status.as_mut().unwrap().options = Some(digest(options));
}

/// As the API server has it after a turn.
fn told(facts: &mut Facts, ordinal: u32) {
    let uid = of(facts, ordinal).uid.clone();
    of(facts, ordinal).shape = "b".into();
    let member = facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap();
    let options = Some(ToldOptions { pod: uid, said: "y".into() });
    Arc::make_mut(&mut Arc::make_mut(member).spec).options = options;
}

fn turn(step: &Step) -> Option<(&str, &str, Why)> {
    let Step::Turn(turn) = step else { return None };
    Some((&turn.name, &turn.options, turn.why))
}

#[test]
fn options_come_to_one_member_after_the_other_and_to_the_leader_last() {
    let mut facts = other_options(3);
    for (ordinal, why) in [(2, Why::Follower), (1, Why::Follower), (0, Why::LeaderLast)] {
        let name = format!("demo-{ordinal}");
        assert_eq!(turn(&step(&facts)), Some((name.as_str(), "y", why)));
        told(&mut facts, ordinal);
        let waits = format!("etcd of {name} restarts with its new options in its pod");
        assert_eq!(step(&facts), Step::Wait(Waiting::new("EtcdUpdating", waits)), "it serves with the former");
        runs(&mut facts, ordinal, "y");
    }
    assert_eq!(step(&facts), Step::Nothing);
}

#[test]
fn where_the_agent_does_not_say_its_options_or_more_differs_the_pod_is_replaced() {
    let replaced = |change: fn(&mut Facts)| {
        let mut facts = other_options(3);
        change(&mut facts);
        assert_eq!(deletions(&step(&facts)), ["demo-2"]);
    };
    replaced(|facts| says(facts, 2, |said| said.options = None));
    replaced(|facts| of(facts, 2).frame = Some("g".into()));
    replaced(|facts| of(facts, 2).frame = None);
    replaced(|facts| of(facts, 2).asked.as_mut().unwrap().image = "etcd:0".into());
    replaced(|facts| facts.set.as_mut().unwrap().frame = None);
}

#[test]
fn options_that_one_member_has_refused_are_given_to_no_other() {
    let mut facts = other_options(3);
    told(&mut facts, 2);
    of(&mut facts, 2).shape = "a".into();
    let member = facts.slots.get_mut(&2).unwrap().member.as_mut().unwrap();
    Arc::make_mut(member).status.as_mut().unwrap().refused_options = Some(digest("y"));
    assert!(matches!(step(&facts), Step::Wait(waiting) if waiting.reason == "OptionsRefused"));
    facts.set.as_mut().unwrap().options = Some("z".into());
    assert_eq!(turn(&step(&facts)), Some(("demo-2", "z", Why::Follower)), "others are tried at once");
}
