//! Claims about when a change of the authorities goes a step further, by example; and through any history, with real certificates.

mod world;

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{api::member::Notice, validate};
use serde_json::{Value, json};

use super::*;
use crate::cluster::{
    decide::incarnation,
    facts::{
        Member,
        certificates::{Pools, User},
    },
};
pub use world::World;

pub fn cluster(ca: &Value) -> EtcdCluster {
    let spec = json!({"version": "v3.5.21", "security": {"ca": ca}});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.namespace = Some("ns".into());
    cluster.metadata.uid = Some("u".into());
    let wanted = validate::cluster(&cluster).unwrap();
    let first = incarnation::first(&cluster, &wanted);
    cluster.status.get_or_insert_default().incarnation = Some(Incarnation { members_created: true, ..first });
    cluster
}

fn rotation(cluster: &EtcdCluster, facts: &Facts) -> Rotation {
    let incarnation = cluster.status.as_ref().unwrap().incarnation.clone().unwrap();
    let encryption = validate::encryption(cluster.spec.security.as_ref()).unwrap();
    next(cluster, &encryption, &incarnation, facts)
}

fn act(rotation: &Rotation) -> Option<Move> {
    rotation.act.map(|act| act.step)
}

/// A cluster whose new authorities sign, and nobody has anything of theirs yet.
pub fn issuing() -> (EtcdCluster, Facts) {
    let mut world = World::begun(&json!({"generation": 2}));
    world.reconcile(false);
    (world.cluster.clone(), world.facts(false))
}

/// The same where everybody has; applications as are said.
fn issued(ca: &Value, users: Vec<User>) -> (EtcdCluster, Facts) {
    let mut world = World::begun(ca);
    world.reconcile(false);
    world.reconcile(false);
    (0..3).for_each(|member| world.settle(member));
    (world.cluster.clone(), Facts { certified: Some(users), ..world.facts(false) })
}

fn user(generation: i64, stalled: bool) -> User {
    User { name: "app".into(), generation, stalled }
}

fn change(facts: &mut Facts, ordinal: u32, change: impl FnOnce(&mut Member)) {
    change(Arc::make_mut(facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap()));
}

fn held(facts: &mut Facts) -> &mut Held {
    match &mut facts.authorities {
        Some(Known::Held(held)) => held,
        Some(Known::Missing) | None => panic!("they are known"),
    }
}

#[test]
fn a_change_begins_where_the_spec_asks_for_one_or_two_thirds_of_their_time_are_over() {
    let asks = |ca: &Value, aged: bool| {
        let world = World::begun(ca);
        let mut facts = world.facts(false);
        held(&mut facts).aged = aged;
        act(&rotation(&world.cluster, &facts))
    };
    assert_eq!(asks(&json!({}), false), None);
    assert_eq!(asks(&json!({"generation": 1}), false), None);
    assert_eq!(asks(&json!({"generation": 5}), false), Some(Move::Issue { asked: 5 }));
    assert_eq!(asks(&json!({}), true), Some(Move::Issue { asked: 1 }));
    assert_eq!(asks(&json!({"generation": 2}), true), Some(Move::Issue { asked: 2 }));
}

#[test]
fn a_cluster_that_rests_or_whose_authorities_are_unknown_changes_none() {
    let world = World::begun(&json!({"generation": 2}));
    let unknown = Facts { authorities: None, ..world.facts(false) };
    assert_eq!(rotation(&world.cluster, &unknown), Rotation::default());
    let missing = Facts { authorities: Some(Known::Missing), ..world.facts(false) };
    assert_eq!(rotation(&world.cluster, &missing), Rotation::default());
    let mut rests = world.cluster.clone();
    rests.spec.paused = true;
    assert_eq!(rotation(&rests, &world.facts(false)), Rotation::default());
}

#[test]
fn whoever_lacks_the_new_certificates_holds_the_change_up_and_is_named_with_the_reason() {
    let waits = |befalls: &dyn Fn(&mut Facts)| {
        let (cluster, mut facts) = issued(&json!({"generation": 2, "retire": "Now"}), vec![]);
        befalls(&mut facts);
        let rotation = rotation(&cluster, &facts);
        assert_eq!((rotation.act.is_none(), rotation.is_busy), (true, true));
        rotation.waits.unwrap()
    };
    let (cluster, facts) = issued(&json!({"generation": 2, "retire": "Now"}), vec![]);
    assert_eq!(act(&rotation(&cluster, &facts)), Some(Move::Retire));
    let silent = waits(&|facts| facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().uid = "another".into());
    assert!(silent.ends_with("demo-1 (it is silent)"), "{silent}");
    let away = waits(&|facts| facts.slots.get_mut(&1).unwrap().pod = None);
    assert!(away.ends_with("demo-1 (it has no pod)"), "{away}");
    assert!(waits(&|facts| drop(facts.slots.remove(&2))).ends_with("demo-2 (it is missing)"));
    let behind = waits(&|facts| {
        change(facts, 0, |member| {
            member.status.as_mut().unwrap().certificates.as_mut().unwrap().used = Some("former".into());
        });
    });
    assert!(behind.ends_with("demo-0 (it has not taken them yet)"), "{behind}");
    let shut_out = waits(&|facts| {
        let notice = Notice { reason: "HandshakeFailed".into(), message: String::new() };
        change(facts, 0, |member| member.status.as_mut().unwrap().notices = vec![notice]);
    });
    assert!(shut_out.ends_with("demo-0 (another member does not let it in)"), "{shut_out}");
}

#[test]
fn applications_get_new_certificates_and_time_to_take_them_unless_it_is_urgent() {
    let ca = |retire: &str| json!({"generation": 2, "retire": retire, "leafDuration": "30h"});
    let of = |retire: &str, users: Vec<User>, hours: u64| {
        let (cluster, mut facts) = issued(&ca(retire), users);
        held(&mut facts).change.as_mut().unwrap().lasts = Duration::from_secs(hours * 3600);
        rotation(&cluster, &facts)
    };
    for retire in ["Later", "Now"] {
        let waits = of(retire, vec![user(1, false)], 1000);
        assert!(waits.act.is_none() && waits.waits.unwrap().ends_with("Secret of EtcdUser app"), "{retire}");
        assert_eq!(act(&of(retire, vec![user(2, false)], 1000)), Some(Move::Retire));
    }
    assert_eq!(act(&of("Now", vec![user(1, true)], 0)), Some(Move::Retire), "one that only a person can help");
    assert_eq!(act(&of("Later", vec![user(1, true)], 1000)), None);
    let waits = of("Later", vec![], 9);
    assert_eq!((act(&waits), waits.is_busy, waits.again), (None, false, Some(Duration::from_secs(3600))));
    assert_eq!(act(&of("Later", vec![], 10)), Some(Move::Retire), "a third of their time");
}

#[test]
fn former_authorities_that_are_about_to_end_are_given_up_without_waiting_any_longer() {
    let (cluster, mut facts) = issued(&json!({"generation": 2, "duration": "600h"}), vec![]);
    assert_eq!(act(&rotation(&cluster, &facts)), None);
    held(&mut facts).change.as_mut().unwrap().left = Duration::from_secs(100 * 3600);
    assert_eq!(act(&rotation(&cluster, &facts)), Some(Move::Retire));
}

#[test]
fn nothing_is_left_of_the_former_once_every_etcd_was_started_since() {
    let mut world = World::begun(&json!({"generation": 2, "retire": "Now"}));
    for _ in 0..3 {
        world.reconcile(false);
        (0..3).for_each(|member| world.settle(member));
    }
    let waits = rotation(&world.cluster, &world.facts(false));
    assert!(waits.waits.as_ref().unwrap().ends_with("demo-0, demo-1, demo-2") && waits.is_busy, "{waits:?}");
    (0..2).for_each(|member| world.restart(member));
    (0..3).for_each(|member| world.settle(member));
    assert!(rotation(&world.cluster, &world.facts(false)).waits.unwrap().ends_with("alone: demo-2"));
    world.restart(2);
    world.settle(2);
    assert_eq!(act(&rotation(&world.cluster, &world.facts(false))), Some(Move::Forget));
}

#[test]
fn a_secret_that_is_as_before_a_change_is_another_one() {
    let (cluster, mut facts) = issued(&json!({"generation": 2}), vec![]);
    let incarnation = cluster.status.as_ref().unwrap().incarnation.clone().unwrap();
    assert_eq!(unvouched(&cluster, &incarnation, &facts), None, "the members believe the former");
    let held = held(&mut facts);
    (held.trust, held.change) = (Pools { peer: "p".into(), client: "c".into() }, None);
    assert_eq!(unvouched(&cluster, &incarnation, &facts).map(|why| why.reason()), Some("AuthorityExchanged"));
}

mod any {
    use proptest::prelude::*;

    use super::{
        world::{Event, World},
        *,
    };

    fn event() -> impl Strategy<Value = Event> {
        let member = || 0..3u32;
        prop_oneof![
            4 => any::<bool>().prop_map(|stale| Event::Reconcile { stale }),
            4 => member().prop_map(Event::Take),
            3 => member().prop_map(Event::Keep),
            3 => member().prop_map(Event::Say),
            2 => member().prop_map(Event::Restart),
            1 => member().prop_map(Event::NewPod),
            1 => member().prop_map(Event::LoseVolume),
            1 => member().prop_map(Event::Renew),
            1 => Just(Event::Ask),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_member_is_refused_by_another_whatever_happens_when_and_every_change_comes_to_its_end(
            events in prop::collection::vec(event(), 1..70),
            retire in prop_oneof![Just("Now"), Just("Later")],
        ) {
            let mut world = World::begun(&json!({"retire": retire, "leafDuration": "30s"}));
            for event in events {
                world.befalls(event);
                prop_assert_eq!(world.refused(), None, "after {:?}", event);
            }
            world.comes_to_rest();
            prop_assert_eq!(world.refused(), None);
            let history = &world.pair.history;
            prop_assert!(history.change.is_none() && history.asked == world.asked, "{:?}", history);
        }
    }
}
