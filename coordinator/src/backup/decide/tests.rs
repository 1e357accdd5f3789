use etcd_operator_shared::api::{
    EtcdBackupSpec, EtcdBackupStatus,
    cluster::{S3, Store},
};

use super::*;
use crate::cluster::facts::proof::Seen;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn store() -> Store {
    Store { s3: S3 { bucket: "b".into(), prefix: Some("p".into()), endpoint: None, region: None } }
}

fn ordered(status: Option<EtcdBackupStatus>) -> EtcdBackup {
    let spec = EtcdBackupSpec { cluster: "demo".into(), schedule: None, slot: None };
    let mut one = EtcdBackup::new("one", spec);
    (one.metadata.uid, one.status) = (Some("u".into()), status);
    one
}

fn stored() -> EtcdBackup {
    ordered(Some(EtcdBackupStatus {
        phase: Some(BackupPhase::Verifying),
        location: Some("p/ns/demo/uid/snapshots/1/once-u.json".into()),
        digest: Some("d".into()),
        store: Some(store()),
        secret_name: Some("demo-store".into()),
        ..EtcdBackupStatus::default()
    }))
}

fn member(ordinal: u32, leads: bool) -> Member {
    Member {
        name: format!("demo-{ordinal}"),
        version: "7".into(),
        serves: true,
        leads,
        told: true,
        now: None,
        reports: vec![],
    }
}

fn facts(members: Vec<Member>) -> Facts {
    let cluster = Cluster { store: Some((store(), "demo-store".into())), stopped: false };
    Facts { cluster: Some(cluster), members, elder: None, proof: Seen::of("p".into(), "u", None) }
}

fn three() -> Facts {
    facts(vec![member(0, false), member(1, false), member(2, true)])
}

fn report(stored: bool, message: Option<&str>) -> TakenBackup {
    TakenBackup { name: "once-u".into(), stored, message: message.map(str::to_owned), ..TakenBackup::default() }
}

fn proven(state: State) -> Facts {
    let mut facts = three();
    (facts.proof.state, facts.proof.since) = (state, Some(now()));
    facts
}

fn good(digest: &str) -> State {
    State::Said(Proof::Good {
        location: "l".into(),
        name: "once-u".into(),
        digest: digest.into(),
        bytes: 5,
        revision: 9,
        version: "v3.5.21".into(),
        log: None,
    })
}

#[test]
fn one_that_follows_is_asked_and_the_leader_only_where_nobody_else_serves() {
    let asked = |facts: &Facts| match decide(&ordered(None), facts, now()) {
        Verdict::Order(order) => order.member,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(&three()), "demo-1");
    let mut alone = three();
    alone.members[0].serves = false;
    alone.members[1].serves = false;
    assert_eq!(asked(&alone), "demo-2");
    alone.members[2].serves = false;
    assert!(matches!(decide(&ordered(None), &alone, now()), Verdict::Waits("NoMemberServes", _)));
}

#[test]
fn it_is_asked_of_another_where_the_first_serves_no_more_and_of_no_second_before() {
    let mut facts = three();
    facts.members[1].now = Some("once-u".into());
    assert!(matches!(decide(&ordered(None), &facts, now()), Verdict::Taking { member, .. } if member == "demo-1"));
    facts.members[1].serves = false;
    assert!(matches!(decide(&ordered(None), &facts, now()), Verdict::Order(order) if order.member == "demo-0"));
}

#[test]
fn why_it_is_not_stored_is_told_while_it_is_tried_again() {
    let mut facts = three();
    facts.members[1].now = Some("once-u".into());
    facts.members[1].reports = vec![report(false, Some("no such bucket"))];
    let Verdict::Taking { trouble, .. } = decide(&ordered(None), &facts, now()) else { panic!("it goes on") };
    assert_eq!(trouble.as_deref(), Some("no such bucket"));
}

#[test]
fn what_anybody_has_stored_is_noted_and_all_that_were_asked_are_released() {
    let mut facts = three();
    facts.members[0].now = Some("once-u".into());
    facts.members[1].now = Some("once-u".into());
    facts.members[2].now = Some("once-other".into());
    facts.members[1].reports = vec![report(true, None)];
    let Verdict::Note(noted) = decide(&ordered(None), &facts, now()) else { panic!("it is there") };
    let told: Vec<&str> = noted.told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((noted.member.as_str(), told), ("demo-1", vec!["demo-0", "demo-1"]));
}

#[test]
fn without_a_cluster_or_a_store_a_person_is_told() {
    let mut facts = three();
    facts.cluster.as_mut().unwrap().store = None;
    let refused = |facts: &Facts| decide(&ordered(None), facts, now());
    assert_eq!(refused(&facts), Verdict::Refused(Objection::NoStore("demo".into())));
    facts.cluster = None;
    assert_eq!(refused(&facts), Verdict::Refused(Objection::NoSuchCluster("demo".into())));
    facts = three();
    facts.elder = Some("zero".into());
    assert!(matches!(refused(&facts), Verdict::Waits("AnotherIsTaken", _)));
}

#[test]
fn one_of_a_schedule_is_ordered_of_nobody_and_forgotten_only_after_a_while() {
    let mut one = ordered(None);
    (one.spec.schedule, one.spec.slot) = (Some("h".into()), Some("20261126T2300Z".into()));
    one.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    assert!(matches!(decide(&one, &three(), now()), Verdict::Waits("NotReported", _)));
    let later = now() + PATIENCE + SignedDuration::from_secs(1);
    assert_eq!(decide(&one, &three(), later), Verdict::Refused(Objection::Forgotten("demo".into())));
}

#[test]
fn what_is_in_the_store_is_opened_by_its_digest() {
    let Verdict::Prove(task) = decide(&stored(), &three(), now()) else { panic!("a pod opens it") };
    let Question { path, name, digest, .. } = task.question;
    assert_eq!((path.as_str(), name.as_deref(), digest.as_deref()), ("ns/demo/uid", Some("once-u"), Some("d")));
    assert_eq!(task.secret, "demo-store");
}

#[test]
fn only_the_bytes_that_were_taken_are_verified() {
    let verdict = |state| decide(&stored(), &proven(state), now());
    assert_eq!(verdict(good("d")), Verdict::Good { bytes: 5, revision: 9 });
    assert!(matches!(verdict(good("other")), Verdict::Bad(reason, _) if reason == "DigestChanged"));
    let bad = Proof::Bad { reason: "HashDiffers".into(), message: "m".into() };
    assert_eq!(verdict(State::Said(bad)), Verdict::Bad("HashDiffers".into(), "m".into()));
}

#[test]
fn a_proof_that_says_nothing_is_tried_again_after_a_while_and_fails_nothing() {
    let unknown = || State::Said(Proof::Unknown { reason: "StoreAway".into(), message: "m".into() });
    for state in [unknown(), State::Lost("m".into())] {
        let facts = proven(state);
        assert!(matches!(decide(&stored(), &facts, now()), Verdict::Later(_, wait) if wait.as_secs() == 5));
        let later = now() + SignedDuration::from_secs(5);
        assert_eq!(decide(&stored(), &facts, later), Verdict::Again("m".into()));
    }
}

#[test]
fn what_is_decided_stays_so() {
    for phase in [BackupPhase::Verified, BackupPhase::Failed] {
        let over = ordered(Some(EtcdBackupStatus { phase: Some(phase), ..EtcdBackupStatus::default() }));
        assert_eq!(decide(&over, &proven(good("d")), now()), Verdict::Rests);
    }
}
