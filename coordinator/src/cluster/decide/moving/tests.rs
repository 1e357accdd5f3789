//! Claims about members that move; [`crate::cluster::decide::tests`] plays their histories.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMemberStatus, member::Role},
    validate,
};
use serde_json::{Value, json};

use super::*;
use crate::cluster::{
    decide::tests::begun,
    facts::{
        ClaimSize,
        findings::{Finding, Question},
        tests::{claim, healthy, list, member, status},
    },
};

const GI: u64 = 1 << 30;

fn wanted(storage: &Value) -> Wanted {
    let spec = json!({"version": "v3.5.21", "storage": storage});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    let began = json!({"incarnation": {"number": 1, "token": "t", "initialMembers": [], "quotaBackend": "512Mi"}});
    cluster.status = Some(serde_json::from_value(began).unwrap());
    validate::cluster(&cluster).unwrap()
}

fn latched() -> cluster::Moving {
    cluster::Moving { storage_class_name: Some("fast".into()), size: "8Gi".into(), moved: 0, members: 3 }
}

fn sized(class: &str) -> Option<ClaimSize> {
    Some(ClaimSize { class: Some(class.into()), requested: 8 * GI, ..ClaimSize::default() })
}

/// So many members that are well, on volumes of these classes, read live; the StatefulSet makes claims of class `made`.
fn facts(classes: &[&str], made: &str) -> Facts {
    let members = u32::try_from(classes.len()).unwrap();
    let mut facts = Facts { source: Source::Live, ..healthy(members) };
    facts.set.as_mut().unwrap().storage.class = Some(made.into());
    let claims = (0..).zip(classes);
    facts.claims = claims.map(|(ordinal, class)| (ordinal, Claim { size: sized(class), ..claim(ordinal) })).collect();
    leads(&mut facts, &(0..members).collect::<Vec<_>>());
    facts
}

/// The leader lists these voters.
fn leads(facts: &mut Facts, voters: &[u32]) {
    let said = EtcdMemberStatus { membership: Some(list(1, voters)), ..status(0, Role::Leader) };
    facts.slots.get_mut(&0).unwrap().member = Some(Arc::new(member(0, Some(said))));
}

fn due(storage: &Value, latched: Option<&cluster::Moving>, facts: &Facts) -> Moving {
    let membership = Membership::of(&begun(3), true, None, facts);
    let (wanted, size) = (wanted(storage), 3);
    next(View { wanted: &wanted, size, latched, whole: true, free: true, membership: &membership, facts })
}

fn fast() -> Value {
    json!({"storageClassName": "fast"})
}

/// Name of the claim that goes.
fn goes(moving: &Moving) -> &str {
    let Due::Renew(renewal) = &moving.due else { panic!("{moving:?}") };
    assert!(renewal.volume.deletes());
    &renewal.volume.name
}

fn words(moving: &Moving) -> String {
    moving.objection().unwrap_or_else(|| panic!("{moving:?}"))
}

#[test]
fn nobody_moves_while_the_volumes_are_as_wanted_or_nobody_says_how_they_are_wanted() {
    let facts = facts(&["slow", "slow", "slow"], "slow");
    assert_eq!(due(&json!({"storageClassName": "slow"}), None, &facts), Moving::default());
    assert_eq!(due(&json!({}), None, &facts), Moving::default());
    assert_eq!(due(&json!({"size": "16Gi"}), None, &facts), Moving::default(), "larger ones grow");
    let grows = json!({"size": "4Gi", "autoGrow": {"maxSize": "64Gi"}});
    assert_eq!(due(&grows, None, &facts), Moving::default());
}

#[test]
fn it_is_decided_on_live_reads_and_written_down_before_anything_is_done() {
    let facts = facts(&["slow", "slow", "slow"], "slow");
    let cached = Facts { source: Source::Cache, ..facts.clone() };
    assert_eq!(due(&fast(), None, &cached).due, Due::Look);
    let begins = due(&fast(), None, &facts);
    assert!(matches!(begins.due, Due::Wait(_)) && begins.told == Some(latched()), "{begins:?}");
    let release = due(&fast(), Some(&latched()), &facts);
    assert_eq!(release.due, Due::Release(facts.set.as_ref().unwrap().version.clone()));
    assert_eq!(with_spare(3, &wanted(&fast()).storage, Some(&latched()), &facts), 3, "first the claims");
}

#[test]
fn the_spare_comes_first_then_followers_and_the_leader_last() {
    let mut classes = ["slow", "slow", "slow", "slow"];
    let want = wanted(&fast()).storage;
    assert_eq!(with_spare(3, &want, Some(&latched()), &facts(&classes[..3], "fast")), 4);
    for ordinal in [3, 2, 1, 0] {
        let moving = due(&fast(), Some(&latched()), &facts(&classes, "fast"));
        assert_eq!(goes(&moving), format!("data-demo-{ordinal}"));
        classes[ordinal] = "fast";
    }
    assert_eq!(due(&fast(), Some(&latched()), &facts(&classes, "fast")), Moving::default(), "all have");
}

#[test]
fn nobody_goes_while_another_is_away_or_on_its_way() {
    let well = facts(&["slow", "slow", "fast", "fast"], "fast");
    let stays = |change: fn(&mut Facts)| {
        let mut facts = well.clone();
        change(&mut facts);
        let moving = due(&fast(), Some(&latched()), &facts);
        assert!(matches!(moving.due, Due::Wait(_)), "{moving:?}");
    };
    stays(|facts| facts.slots.get_mut(&2).unwrap().pod = None);
    stays(|facts| facts.slots.get_mut(&3).unwrap().pod.as_mut().unwrap().ready = false);
    stays(|facts| facts.slots.get_mut(&1).unwrap().member = Some(Arc::new(member(1, None))));
    stays(|facts| leads(facts, &[0, 1, 2]));
    stays(|facts| {
        let said = EtcdMemberStatus { alarms: vec!["NOSPACE".into()], ..status(1, Role::Follower) };
        facts.slots.get_mut(&1).unwrap().member = Some(Arc::new(member(1, Some(said))));
    });
}

#[test]
fn what_was_begun_is_finished_first_whatever_is_wanted_by_then() {
    let mut begun = facts(&["slow", "slow", "fast", "fast"], "fast");
    begun.claims.get_mut(&0).unwrap().deleting = true;
    assert_eq!(goes(&due(&fast(), Some(&latched()), &begun)), "data-demo-0");
    begun.set.as_mut().unwrap().storage.class = Some("slow".into());
    assert_eq!(goes(&due(&json!({"storageClassName": "slow"}), Some(&latched()), &begun)), "data-demo-0");
}

#[test]
fn what_nobody_provides_is_told_and_touches_nobody() {
    let mut facts = facts(&["slow", "slow", "slow", "fast"], "fast");
    facts.claims.get_mut(&3).unwrap().bound = false;
    let pod = facts.slots.get_mut(&3).unwrap().pod.as_mut().unwrap();
    (pod.ready, pod.etcd_runs) = (false, false);
    let question = Question::Volume { claim: "data-demo-3".into(), uid: "claim-3".into() };
    facts.findings = vec![Finding { question, words: "PersistentVolumeClaim data-demo-3 gets no volume: no".into() }];
    let sentence = words(&due(&fast(), Some(&latched()), &facts));
    assert!(sentence.contains("data-demo-3 gets no volume") && sentence.contains("set spec.storage back"), "{sentence}");
    let back = due(&json!({"storageClassName": "slow"}), Some(&latched()), &facts);
    assert!(matches!(back.due, Due::Release(_)), "{back:?}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let mut facts = facts(&["slow", "slow", "slow"], "slow");
    let sentence = words(&due(&json!({"size": "1Gi"}), None, &facts));
    assert!(sentence.contains("volumes of 1Gi are too small") && sentence.contains("1575 MiB"), "{sentence}");
    assert_eq!(due(&json!({"size": "2Gi"}), None, &facts).objection(), None);
    facts.claims.insert(3, Claim { size: sized("slow"), ..claim(3) });
    let sentence = words(&due(&fast(), None, &facts));
    assert!(sentence.starts_with("data-demo-3, which a former member has left, is in the way"), "{sentence}");
    let (wanted, membership) = (wanted(&fast()), Membership::of(&begun(1), true, None, &facts));
    let (latched, whole, free, membership) = (None, true, true, &membership);
    let alone = next(View { wanted: &wanted, size: 1, latched, whole, free, membership, facts: &facts });
    assert!(words(&alone).starts_with("the only member cannot move"));
}
