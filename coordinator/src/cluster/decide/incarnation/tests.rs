//! Claims about how an incarnation begins and ends, by example.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    cluster::{
        decide::{Decision, Waited, decide, step::Step, volumes::Change},
        facts::tests::{claim as volume, healthy, set},
    },
    ownership::Stranger,
};

fn claim(uid: Option<&str>) -> FoundVolumeClaim {
    let cluster_uid = uid.map(Into::into);
    FoundVolumeClaim { name: "data-demo-0".into(), cluster_uid, ..FoundVolumeClaim::default() }
}

fn us() -> Owner {
    Owner { uid: "u".into(), life: "u".into() }
}

#[test]
fn a_next_incarnation_begins_with_the_size_of_today_and_another_token() {
    let cluster = |size: i32| {
        EtcdCluster::new(
            "demo",
            serde_json::from_value(serde_json::json!({"version": "v3.5.21", "size": size})).unwrap(),
        )
    };
    let wanted = |size: i32| etcd_operator_shared::validate::cluster(&cluster(size)).unwrap();
    let one = first(&cluster(3), &wanted(3));
    let two = next(&cluster(1), &wanted(1), &Incarnation { members_created: true, ..one.clone() });
    assert_eq!((two.number, two.initial_members.len(), two.members_created), (2, 1, false));
    assert!(two.ended.is_none() && two.token != one.token);
}

#[test]
fn a_cluster_begins_encrypted_unless_its_spec_says_otherwise_and_a_later_life_as_clients_know_it() {
    let begins = |security: serde_json::Value| {
        let spec = json!({"version": "v3.5.21", "security": security});
        let cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
        let one = first(&cluster, &wanted);
        let formers = [(false, false), (true, true)].map(|(peer, client)| Encrypted { peer, client });
        for encrypted in formers {
            let two = next(&cluster, &wanted, &Incarnation { encrypted, ..one.clone() });
            let (peer, client) = (wanted.encryption.peer, wanted.encryption.client);
            assert_eq!(two.encrypted.peer, peer.unwrap_or(encrypted.peer), "after {encrypted:?}");
            assert_eq!(two.encrypted.client, client.unwrap_or(encrypted.client), "after {encrypted:?}");
        }
        (one.encrypted.peer, one.encrypted.client)
    };
    assert_eq!(begins(json!({})), (true, true));
    assert_eq!(begins(json!(null)), (true, true));
    assert_eq!(begins(json!({"client": {"mode": "Plain"}})), (true, false));
    assert_eq!(begins(json!({"peer": {"mode": "Plain"}, "client": {"mode": "Plain"}})), (false, false));
    assert_eq!(begins(json!({"peer": {"mode": "Plain"}, "client": {"mode": "Auto"}})), (false, true));
}

#[test]
fn one_that_has_begun_goes_on_as_was_recorded_whatever_is_left_out() {
    for encrypted in [(false, false), (true, false), (true, true)].map(|(peer, client)| Encrypted { peer, client }) {
        let spec = json!({"version": "v3.5.21"});
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
        let begun = Incarnation { encrypted, members_created: true, ..first(&cluster, &wanted) };
        cluster.status.get_or_insert_default().incarnation = Some(begun.clone());
        let decision = decide(&cluster, &healthy(3), Waited::default());
        assert_eq!(decision.care.unwrap().incarnation, begun);
        assert_eq!(decision.refusal, None, "{encrypted:?}");
    }
}

#[test]
fn a_volume_of_another_incarnation_is_not_taken() {
    for foreign in [None, Some("old")] {
        let ground = Ground { claims: vec![claim(Some("u")), claim(foreign)], ..Ground::default() };
        assert_eq!(check(&us(), &ground), Err(Refusal::StaleVolume { claim: "data-demo-0".into(), uid: "u".into() }));
    }
}

#[test]
fn a_volume_of_this_very_cluster_is() {
    let ground = Ground { claims: vec![claim(Some("u"))], set: Some(FoundSet::Ours), class: Class::Unknown };
    assert_eq!(check(&us(), &ground), Ok(()));
}

#[test]
fn a_missing_class_comes_before_everything() {
    let ground = Ground { class: Class::Missing(None), claims: vec![claim(None)], set: None };
    assert_eq!(check(&us(), &ground), Err(Refusal::NoDefaultStorageClass));
}

#[test]
fn the_stateful_set_of_a_former_cluster_is_not_adopted() {
    let ground = Ground { set: Some(foreign(false)), claims: vec![claim(Some("old"))], ..Ground::default() };
    let refusal = check(&us(), &ground).unwrap_err();
    assert_eq!(refusal.reason(), "ForeignObject", "before its volumes: its pods may serve");
    assert!(refusal.to_string().contains("StatefulSet demo"));
}

#[test]
fn the_stateful_set_of_a_former_cluster_that_goes_is_waited_for() {
    let ground = Ground { set: Some(foreign(true)), ..Ground::default() };
    let decision = asked(3, None, &Facts { ground: Some(ground), ..free() });
    assert!(matches!(decision.step, Step::Wait(_)) && decision.refusal.is_none() && decision.care.is_none());
}

fn foreign(leaves: bool) -> FoundSet {
    FoundSet::Foreign(Stranger { kind: "StatefulSet".into(), name: "demo".into(), leaves })
}

fn cluster(size: i32, present: Option<Incarnation>) -> EtcdCluster {
    let spec = json!({"version": "v3.5.21", "size": size, "storage": {"retention": {"whenStopped": "Delete"}}});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.uid = Some("u".into());
    cluster.status.get_or_insert_default().incarnation = present;
    cluster
}

fn present(members_created: bool, ended: Option<End>) -> Incarnation {
    let initial_members = initial_members("demo", 3);
    let ended = ended.map(Word::Known);
    Incarnation {
        restored: None,
        has_store: true,
        number: 1,
        token: "t".into(),
        initial_members,
        members_created,
        ended,
        quota_backend: None,
        encrypted: Default::default(),
        data_uid: None,
        next: None,
    }
}

fn asked(size: i32, present: Option<Incarnation>, facts: &Facts) -> Decision {
    let waited = Waited { address: Duration::from_secs(60), leader: Duration::from_secs(60) };
    decide(&cluster(size, present), facts, waited)
}

/// Nothing is there, and that was looked at.
fn free() -> Facts {
    Facts { cluster: "demo".into(), ground: Some(Ground::default()), ..Facts::default() }
}

/// Replicas 0, no pod; EtcdMembers and volumes are still there.
fn stopped() -> Facts {
    let mut facts = Facts { set: Some(set(0, "a")), ..healthy(3) };
    facts.slots.values_mut().for_each(|slot| slot.pod = None);
    facts.claims = (0..3).map(|ordinal| (ordinal, volume(ordinal))).collect();
    facts
}

#[test]
fn a_cluster_begins_in_four_steps_and_each_is_asked_for_again_after_a_crash() {
    let unseen = Facts { cluster: "demo".into(), ..Facts::default() };
    for _ in 0..2 {
        assert_eq!(asked(3, None, &unseen).step, Step::Look(Look::Ground));
        let Step::Begin(first) = asked(3, None, &free()).step else { panic!() };
        assert_eq!((first.number, first.members_created, first.initial_members.len()), (1, false, 3));
        assert_eq!(asked(3, Some(*first.clone()), &free()).step, Step::MakeMembers);
        let latched = Incarnation { members_created: true, ..*first };
        assert_eq!(asked(3, Some(latched), &free()).step, Step::SetReplicas(3));
    }
}

#[test]
fn nothing_is_made_and_nothing_touched_where_the_ground_is_taken_or_nothing_is_wanted() {
    let ground = Ground { set: Some(foreign(false)), ..Ground::default() };
    let taken = asked(3, None, &Facts { ground: Some(ground), ..free() });
    assert_eq!((taken.care, taken.step), (None, Step::Nothing));
    assert!(taken.refusal.is_some());
    let unwanted = asked(0, None, &Facts::default());
    assert_eq!((unwanted.care, unwanted.step, unwanted.refusal), (None, Step::Nothing, None));
}

#[test]
fn a_stateful_set_of_ours_that_the_cache_does_not_know_is_looked_at_live_and_not_made_again() {
    let ground = Ground { set: Some(FoundSet::Ours), ..Ground::default() };
    let facts = Facts { ground: Some(ground), ..free() };
    assert_eq!(asked(3, Some(present(true, None)), &facts).step, Step::Look(Look::Live));
    let live = Facts { source: Source::Live, ..facts };
    assert_eq!(asked(3, Some(present(true, None)), &live).step, Step::SetReplicas(3));
}

#[test]
fn of_an_incarnation_that_a_stop_ended_everything_goes_before_the_next_begins() {
    let over = present(true, Some(End::Stopped));
    for size in [0, 3] {
        let decision = asked(size, Some(over.clone()), &stopped());
        let care = decision.care.as_ref().unwrap();
        assert!(care.volumes.iter().all(Change::deletes) && care.volumes.len() == 3);
        assert_eq!(care.departed.len(), 3);
        assert!(decision.is_final(&stopped()), "decided again on live reads");
        assert_eq!(matches!(decision.step, Step::Wait(_)), size > 0);
    }
    let mut facts = stopped();
    facts.claims.clear();
    assert!(matches!(asked(1, Some(over.clone()), &facts).step, Step::Wait(_)), "its EtcdMembers are there");
    facts.slots.clear();
    let decision = asked(1, Some(over), &facts);
    let Step::Begin(next) = &decision.step else { panic!("{:?}", decision.step) };
    assert_eq!((next.number, next.initial_members.len()), (2, 1));
    assert!(decision.is_final(&facts), "decided again on live reads");
}

#[test]
fn of_an_incarnation_that_was_given_up_the_volumes_are_kept() {
    let decision = asked(3, Some(present(true, Some(End::Abandoned))), &stopped());
    assert!(matches!(decision.step, Step::Begin(_)), "{:?}", decision.step);
    let rest = asked(0, Some(present(true, Some(End::Abandoned))), &stopped()).care.unwrap();
    assert!(!rest.volumes.iter().any(Change::deletes) && rest.departed.is_empty());
}

#[test]
fn an_incarnation_that_is_over_for_a_reason_of_a_newer_coordinator_is_left_alone() {
    let over = Incarnation { ended: Some(Word::Unknown("Restored".into())), ..present(true, None) };
    for size in [0, 3] {
        let decision = asked(size, Some(over.clone()), &stopped());
        let refusal = Refusal::UnknownEnd { number: 1, why: "Restored".into() };
        assert_eq!((decision.step, decision.refusal, decision.care), (Step::Nothing, Some(refusal), None));
    }
}

#[test]
fn no_incarnation_begins_while_a_pod_of_the_one_before_is_there() {
    let over = present(true, Some(End::Abandoned));
    assert_eq!(asked(3, Some(over.clone()), &healthy(3)).step, Step::SetReplicas(0));
    let mut facts = stopped();
    facts.slots = healthy(1).slots;
    assert!(matches!(asked(3, Some(over), &facts).step, Step::Wait(_)));
}

/// Facts as the API server itself shows them, read with the number of the incarnation that the status tells.
fn live(facts: Facts) -> Facts {
    Facts { source: Source::Live, ..facts }
}

fn refusal(present: Option<Incarnation>, facts: &Facts) -> Option<Refusal> {
    let decision = asked(3, present, facts);
    assert_eq!((decision.step, decision.care), (Step::Nothing, None), "nothing is made and nothing is touched");
    decision.refusal
}

#[test]
fn a_cluster_whose_status_is_lost_does_not_begin_again() {
    let ours = healthy(3);
    let with = |facts: Facts, found: &str| {
        assert_eq!(refusal(None, &live(facts)), Some(Refusal::StatusLost(found.into())));
    };
    with(
        Facts { former: ours.slots[&0].member.clone().into_iter().collect(), ..blank() },
        "EtcdMember demo-0 of incarnation 1",
    );
    with(Facts { set: ours.set.clone(), ..blank() }, "StatefulSet demo");
    with(Facts { claims: [(0, volume(0))].into(), ..blank() }, "PersistentVolumeClaim data-demo-0");
    let mut alone = ours.slots[&1].clone();
    alone.member = None;
    with(Facts { slots: [(1, alone)].into(), ..blank() }, "pod demo-1");
}

fn blank() -> Facts {
    Facts { cluster: "demo".into(), ground: Some(Ground::default()), ..Facts::default() }
}

#[test]
fn a_status_that_was_put_back_from_a_copy_is_noticed() {
    let mut facts = live(stopped());
    let mut newer = crate::cluster::facts::tests::member(0, None);
    Arc::make_mut(&mut newer.spec).incarnation = 2;
    facts.former.push(newer.into());
    let lost = Some(Refusal::StatusLost("EtcdMember demo-0 of incarnation 2".into()));
    assert_eq!(refusal(Some(present(true, None)), &facts), lost);
    assert_eq!(refusal(Some(present(true, Some(End::Stopped))), &facts), lost);
    let unlatched = refusal(Some(present(false, None)), &live(healthy(3)));
    assert_eq!(unlatched, Some(Refusal::StatusLost("pod demo-0".into())));
}

#[test]
fn a_cache_that_is_behind_is_no_status_that_is_lost() {
    assert_eq!(asked(3, None, &healthy(3)).step, Step::Look(crate::cluster::decide::step::Look::Live));
    assert!(matches!(asked(3, None, &live(blank())).step, Step::Begin(_)), "and the API server knows of nothing");
}

#[test]
fn a_life_that_made_room_is_followed_by_one_with_the_very_data_that_was_written_with_its_end() {
    let data = Restored {
        by: "back".into(),
        digest: "d7".into(),
        size: 5,
        revision: 9,
        bump: Some(1_000),
        seed: Some("demo-2".into()),
    };
    let over = Incarnation { next: Some(data.clone()), ..present(true, Some(End::Replaced)) };
    let decision = asked(3, Some(over), &free());
    let Step::Begin(next) = decision.step else { panic!("{decision:?}") };
    assert_eq!((next.number, next.restored, next.next), (2, Some(data), None));
    assert_eq!(backup::begins_with(&next.token), Some("d7"), "a member that began otherwise is of another cluster");
    let empty = asked(3, Some(present(true, Some(End::Abandoned))), &free());
    let Step::Begin(next) = empty.step else { panic!("{empty:?}") };
    assert_eq!((next.restored, backup::begins_with(&next.token)), (None, None));
}
