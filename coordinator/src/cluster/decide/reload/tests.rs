//! Claims about who is started once more, by example.

use std::sync::Arc;

use etcd_operator_shared::api::member::{Certificates as Said, Role, ToldReload};
use serde_json::json;

use crate::cluster::{
    decide::{
        Waited, decide,
        rotation::tests::World,
        step::{Step, Why},
    },
    facts::{Facts, Member},
};
use etcd_operator_shared::api::EtcdCluster;

/// Three members with new certificates, of which none was started since.
fn retiring(retire: &str) -> (EtcdCluster, Facts) {
    let mut world = World::begun(&json!({"generation": 2, "retire": retire, "leafDuration": "30s"}));
    for _ in 0..4 {
        world.reconcile(false);
        (0..3).for_each(|member| world.settle(member));
        world.waits();
    }
    (world.cluster.clone(), world.facts(false))
}

fn step(cluster: &EtcdCluster, facts: &Facts) -> Step {
    decide(cluster, facts, Waited::default()).step
}

fn change(facts: &mut Facts, ordinal: u32, change: impl FnOnce(&mut Member)) {
    change(Arc::make_mut(facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap()));
}

fn says(facts: &mut Facts, ordinal: u32, says: impl FnOnce(&mut Said)) {
    change(facts, ordinal, |member| says(member.status.as_mut().unwrap().certificates.as_mut().unwrap()));
}

#[test]
fn one_after_the_other_is_started_once_more_and_the_leader_last() {
    let (cluster, mut facts) = retiring("Now");
    for ordinal in [2, 1, 0] {
        let Step::Reload(reload) = step(&cluster, &facts) else { panic!("{:?}", step(&cluster, &facts)) };
        assert_eq!(reload.ordinal, ordinal);
        let told = Some(ToldReload { pod: reload.uid.clone(), pools: reload.pools.clone() });
        change(&mut facts, ordinal, |member| Arc::make_mut(&mut member.spec).reload = told);
        let waits = step(&cluster, &facts);
        assert!(
            matches!(&waits, Step::Wait(waiting) if waiting.message.contains("restarts with the new authorities")),
            "{waits:?}"
        );
        says(&mut facts, ordinal, |said| said.loaded = Some(reload.pools));
    }
    assert_eq!(step(&cluster, &facts), Step::Nothing);
}

#[test]
fn nobody_is_started_for_it_where_that_is_to_be_later() {
    let (cluster, facts) = retiring("Later");
    assert_eq!(step(&cluster, &facts), Step::Nothing);
}

#[test]
fn nobody_is_started_while_another_does_not_serve_is_not_settled_or_nobody_leads() {
    let waits = |befalls: &dyn Fn(&mut Facts)| {
        let (cluster, mut facts) = retiring("Now");
        befalls(&mut facts);
        assert!(matches!(step(&cluster, &facts), Step::Wait(_)), "{:?}", step(&cluster, &facts));
    };
    let status = |facts: &mut Facts, is: fn(&mut etcd_operator_shared::api::EtcdMemberStatus)| {
        change(facts, 0, |member| is(member.status.as_mut().unwrap()));
    };
    waits(&|facts| status(facts, |said| said.ready = false));
    waits(&|facts| status(facts, |said| said.settled = false));
    waits(&|facts| status(facts, |said| said.role = Some(Role::Follower)));
    waits(&|facts| says(facts, 2, |said| said.used = Some("former".into())));
}

#[test]
fn a_pod_whose_launcher_does_not_say_whom_etcd_believes_is_replaced() {
    let (cluster, mut facts) = retiring("Now");
    says(&mut facts, 2, |said| said.loaded = None);
    let Step::Replace(deletions) = step(&cluster, &facts) else { panic!("{:?}", step(&cluster, &facts)) };
    assert_eq!((deletions[0].name.as_str(), deletions[0].why), ("demo-2", Why::FormerAuthorities));
}

#[test]
fn what_was_told_of_authorities_of_long_ago_holds_up_nobody() {
    let (_, mut facts) = retiring("Later");
    let pod = facts.slots[&1].pod.as_ref().unwrap().uid.clone();
    let told = Some(ToldReload { pod, pools: "long ago".into() });
    change(&mut facts, 1, |member| Arc::make_mut(&mut member.spec).reload = told);
    assert!(!facts.slot(1).is_changing());
}
