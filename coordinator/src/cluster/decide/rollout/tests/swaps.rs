//! Claims about an etcd that is changed in its pod.

use etcd_operator_shared::options::digest;
use jiff::Timestamp;

use super::*;
use crate::cluster::facts::{Etcd, swap::Swapped, trial::Outcome};

/// A roll to another etcd and nothing else, with agents that go on with it.
fn other_etcd(size: u32) -> Facts {
    let mut facts = healthy(size);
    roll(&mut facts);
    let set = facts.set.as_mut().unwrap();
    set.frame = Some("f".into());
    set.etcd = etcd("v3.5.35", "etcd:2");
    set.options = Some("x".into());
    for ordinal in 0..size {
        let pod = of(&mut facts, ordinal);
        (pod.frame, pod.asked, pod.options) = (Some("f".into()), etcd("v3.5.21", "etcd:1"), Some(digest("x")));
        let member = facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap();
        Arc::make_mut(member).status.as_mut().unwrap().swappable = true;
        facts.trials.push(Trial { place: Place::Beside(ordinal), image: "etcd:2".into(), ..passed("b") });
    }
    facts
}

fn etcd(version: &str, image: &str) -> Option<Etcd> {
    Some(Etcd { version: version.parse().unwrap(), image: image.into() })
}

fn of(facts: &mut Facts, ordinal: u32) -> &mut Pod {
    facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap()
}

/// As the API server has it after a swap; `container`: the one that runs.
fn swapped(facts: &mut Facts, ordinal: u32, container: &str) {
    let note = Swapped {
        image: "etcd:2".into(),
        version: "v3.5.35".into(),
        container: format!("etcd-{ordinal}"),
        at: Timestamp::UNIX_EPOCH,
    };
    let pod = of(facts, ordinal);
    (pod.shape, pod.asked) = ("b".into(), etcd("v3.5.35", "etcd:2"));
    pod.etcd = Container { image: "etcd:2".into(), id: Some(container.into()), swapped: Some(note) };
}

/// What the agent of a slot says of etcd's version.
fn runs(facts: &mut Facts, ordinal: u32, version: &str) {
    let member = facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap();
    Arc::make_mut(member).status.as_mut().unwrap().version = Some(version.into());
}

/// Whose etcd gets which image, and why.
fn swap(step: &Step) -> Option<(&str, &str, Why)> {
    let Step::Swap(swap) = step else { return None };
    Some((&swap.name, &swap.write, swap.why))
}

#[test]
fn etcd_is_changed_in_its_pod_one_after_the_other_and_the_leader_last() {
    let mut facts = other_etcd(3);
    for (ordinal, why) in [(2, Why::Follower), (1, Why::Follower), (0, Why::LeaderLast)] {
        let name = format!("demo-{ordinal}");
        assert_eq!(swap(&step(&facts)), Some((name.as_str(), "etcd:2", why)));
        swapped(&mut facts, ordinal, &format!("etcd-{ordinal}"));
        let waits = format!("etcd of {name} restarts as v3.5.35 in its pod");
        assert_eq!(step(&facts), Step::Wait(Waiting::new("EtcdUpdating", waits.clone())), "kubelet is late");
        swapped(&mut facts, ordinal, "another");
        assert_eq!(step(&facts), Step::Wait(Waiting::new("EtcdUpdating", waits)), "it serves as what it was");
        runs(&mut facts, ordinal, "v3.5.35");
    }
    assert_eq!(step(&facts), Step::Nothing);
}

#[test]
fn an_only_member_keeps_its_pod_too() {
    assert_eq!(swap(&step(&other_etcd(1))), Some(("demo-0", "etcd:2", Why::LeaderLast)));
}

#[test]
fn the_image_is_written_as_admission_made_it_of_the_trial_on_that_node() {
    let mut facts = other_etcd(3);
    facts.trials[3].image = "mirror/etcd:2".into();
    assert_eq!(swap(&step(&facts)), Some(("demo-2", "mirror/etcd:2", Why::Follower)));
}

#[test]
fn each_node_tries_the_image_before_any_member_is_touched() {
    let mut facts = other_etcd(3);
    let places = [0, 1, 2].map(Place::Beside).to_vec();
    let trials = std::mem::take(&mut facts.trials);
    assert_eq!(step(&facts), Step::Try(places));
    facts.trials = trials;
    facts.trials[1].outcome = Outcome::UnderWay;
    assert!(matches!(step(&facts), Step::Wait(_)), "the one of demo-0");
}

#[test]
fn what_cannot_be_changed_in_the_pod_is_replaced() {
    let replaced = |change: fn(&mut Facts)| {
        let mut facts = other_etcd(3);
        change(&mut facts);
        assert_eq!(deletions(&step(&facts)), ["demo-2"]);
    };
    replaced(|facts| of(facts, 2).frame = Some("another".into()));
    replaced(|facts| of(facts, 2).frame = None);
    replaced(|facts| facts.set.as_mut().unwrap().frame = None);
    replaced(|facts| of(facts, 2).etcd.image = "etcd:2".into());
    replaced(|facts| says(facts, 2, |said| said.swappable = false));
    replaced(|facts| facts.set.as_mut().unwrap().options = Some("y".into()));
}

#[test]
fn one_that_does_not_come_up_with_its_new_image_is_replaced_when_another_is_wanted() {
    let mut facts = other_etcd(3);
    swapped(&mut facts, 2, "another");
    let pod = of(&mut facts, 2);
    (pod.etcd.id, pod.ready, pod.etcd_runs) = (None, false, false);
    assert!(matches!(step(&facts), Step::Wait(_)), "the others wait for it");
    of(&mut facts, 2).shape = "c".into();
    assert_eq!(deletions(&step(&facts)), ["demo-2"], "another template than it has come to");
}
