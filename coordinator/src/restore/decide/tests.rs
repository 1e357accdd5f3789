use etcd_operator_shared::api::{
    EtcdRestoreSpec, EtcdRestoreStatus,
    cluster::{S3, Store},
    restore,
};

use super::*;
use crate::cluster::facts::proof::Seen;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn one(phase: Option<RestorePhase>) -> EtcdRestore {
    let source = restore::Source { backup: Some("b".into()), ..restore::Source::default() };
    let spec = EtcdRestoreSpec { cluster: "demo".into(), source, replaces_incarnation: None };
    let mut one = EtcdRestore::new("dr", spec);
    one.status = Some(EtcdRestoreStatus { phase, ..EtcdRestoreStatus::default() });
    one
}

fn question() -> Question {
    let store = Store { s3: S3 { bucket: "b".into(), prefix: None, endpoint: None, region: None } };
    Question { store, path: "ns/old/u".into(), name: Some("once-u".into()), digest: Some("d".into()) }
}

pub fn cluster(life: Life) -> Cluster {
    Cluster {
        names_this: true,
        life,
        version: "v3.6.16".parse().ok(),
        paused: false,
        members: (0..3).map(|k| format!("demo-{k}")).collect(),
        pods: vec![],
        unavailable: None,
        revision: 0,
    }
}

const OTHER: Life = Life::Other { number: 4, over: false };

fn facts(life: Life, state: State) -> Facts {
    let mut proof = Seen::of("p".into(), "u", None);
    (proof.state, proof.since) = (state, Some(now()));
    Facts {
        cluster: Some(cluster(life)),
        source: Source::Stored { question: question(), secret: "s".into(), version: "v3.5.21".parse().ok() },
        proof,
    }
}

fn good(version: &str) -> State {
    State::Said(Proof::Good {
        location: "ns/old/u/snapshots/1/once-u.json".into(),
        name: "once-u".into(),
        digest: "d".into(),
        bytes: 5,
        revision: 9,
        version: version.into(),
        log: None,
    })
}

#[test]
fn nothing_is_opened_before_its_cluster_names_it() {
    let mut facts = facts(Life::None, State::Absent);
    assert!(matches!(decide(&one(None), &facts, now()), Verdict::Prove(task) if task.question == question()));
    facts.cluster.as_mut().unwrap().names_this = false;
    assert!(matches!(decide(&one(None), &facts, now()), Verdict::Waits("NotNamed", _)));
    facts.cluster = None;
    assert!(matches!(decide(&one(None), &facts, now()), Verdict::Waits("NoSuchCluster", _)));
}

#[test]
fn a_cluster_that_has_begun_without_it_is_not_touched() {
    for phase in [None, Some(RestorePhase::Restoring), Some(RestorePhase::Failed)] {
        let verdict = decide(&one(phase), &facts(OTHER, good("v3.5.21")), now());
        assert_eq!(verdict, Verdict::Refused(Objection::HasBegun { cluster: "demo".into(), number: 4 }));
    }
}

#[test]
fn only_a_backup_that_is_verified_is_restored() {
    let mut facts = facts(Life::None, State::Absent);
    for (source, refused) in [
        (Source::NoSuchBackup("b".into()), true),
        (Source::Failed("b".into()), true),
        (Source::Nowhere("b".into()), true),
        (Source::NotVerified("b".into()), false),
    ] {
        facts.source = source;
        match decide(&one(None), &facts, now()) {
            Verdict::Refused(_) => assert!(refused),
            Verdict::Waits("BackupNotVerified", _) => assert!(!refused),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn data_of_a_newer_minor_version_is_refused_before_and_after_it_was_opened() {
    let mut newer = facts(Life::None, State::Absent);
    if let Source::Stored { version, .. } = &mut newer.source {
        *version = "v3.7.3".parse().ok();
    }
    assert!(matches!(decide(&one(None), &newer, now()), Verdict::Refused(Objection::TooOld { .. })));
    let opened = facts(Life::None, good("v3.7.3"));
    assert!(matches!(decide(&one(None), &opened, now()), Verdict::Refused(Objection::TooOld { .. })));
}

#[test]
fn what_was_opened_is_served_until_the_cluster_serves() {
    let mut begins = facts(Life::Begins, good("v3.5.21"));
    begins.proof.serves = Some("10.0.0.1:2383".into());
    let Verdict::Found(found) = decide(&one(Some(RestorePhase::Restoring)), &begins, now()) else { panic!() };
    assert_eq!((found.digest.as_str(), found.serves.as_deref()), ("d", Some("10.0.0.1:2383")));
    let serves = facts(Life::Serves, good("v3.5.21"));
    assert_eq!(decide(&one(Some(RestorePhase::Restoring)), &serves, now()), Verdict::Complete);
    assert_eq!(decide(&one(Some(RestorePhase::Completed)), &serves, now()), Verdict::Rests);
}

#[test]
fn a_pod_that_is_lost_while_members_fetch_is_made_again() {
    let lost = facts(Life::Begins, State::Lost("its node is gone".into()));
    assert!(matches!(decide(&one(Some(RestorePhase::Restoring)), &lost, now()), Verdict::Later(..)));
    let later = now() + SignedDuration::from_secs(60);
    assert!(matches!(decide(&one(Some(RestorePhase::Restoring)), &lost, later), Verdict::Again(_)));
    let absent = facts(Life::Begins, State::Absent);
    assert!(matches!(decide(&one(Some(RestorePhase::Restoring)), &absent, now()), Verdict::Prove(_)));
}

#[test]
fn data_that_is_not_right_stays_so_and_one_that_is_done_rests_whatever_becomes_of_the_cluster() {
    let bad = State::Said(Proof::Bad { reason: "HashDiffers".into(), message: "m".into() });
    assert!(matches!(decide(&one(None), &facts(Life::None, bad), now()), Verdict::Bad(..)));
    assert_eq!(decide(&one(Some(RestorePhase::Failed)), &facts(Life::None, State::Absent), now()), Verdict::Rests);
    for life in [Life::Begins, OTHER] {
        let verdict = decide(&one(Some(RestorePhase::Completed)), &facts(life, State::Absent), now());
        assert_eq!(verdict, Verdict::Rests);
    }
    let anew = facts(Life::None, State::Absent);
    assert!(matches!(decide(&one(Some(RestorePhase::Completed)), &anew, now()), Verdict::Prove(_)), "of that name");
}

/// One that is to take the place of this incarnation.
fn replacing(number: i64, phase: Option<RestorePhase>) -> EtcdRestore {
    let mut one = one(phase);
    one.spec.replaces_incarnation = Some(number);
    one
}

#[test]
fn a_life_is_replaced_only_where_its_number_was_said_and_only_by_what_was_opened() {
    let opened = facts(OTHER, good("v3.5.21"));
    assert!(matches!(decide(&replacing(4, None), &facts(OTHER, State::Absent), now()), Verdict::Prove(_)));
    let Verdict::Found(found) = decide(&replacing(4, None), &opened, now()) else { panic!() };
    assert_eq!(found.bump, Some(1_000_000_000));
    for number in [3, 5] {
        let refused = Objection::OtherIncarnation { cluster: "demo".into(), wanted: number, present: 4 };
        assert_eq!(decide(&replacing(number, None), &opened, now()), Verdict::Refused(refused));
    }
    let over = facts(Life::Other { number: 4, over: true }, good("v3.5.21"));
    assert!(matches!(decide(&replacing(4, None), &over, now()), Verdict::Refused(Objection::OtherIncarnation { .. })));
    let mut rests = opened.clone();
    rests.cluster.as_mut().unwrap().paused = true;
    assert!(matches!(decide(&replacing(4, None), &rests, now()), Verdict::Waits("Paused", _)));
    let unborn = facts(Life::None, State::Absent);
    assert_eq!(decide(&replacing(1, None), &unborn, now()), Verdict::Refused(Objection::NotBegun("demo".into())));
    assert_eq!(decide(&replacing(4, Some(RestorePhase::Completed)), &opened, now()), Verdict::Rests, "done once");
}

#[test]
fn no_revision_that_a_client_may_have_seen_comes_back_with_other_content() {
    let mut opened = facts(OTHER, good("v3.5.21"));
    opened.cluster.as_mut().unwrap().revision = 5_000_000_009;
    let Verdict::Found(found) = decide(&replacing(4, None), &opened, now()) else { panic!() };
    assert_eq!(found.bump, Some(6_000_000_000), "what was known, and a billion more");
    let mut said = replacing(4, Some(RestorePhase::Restoring));
    said.status.as_mut().unwrap().bump = Some(7);
    let Verdict::Found(found) = decide(&said, &opened, now()) else { panic!() };
    assert_eq!(found.bump, Some(7), "what was reckoned once stays");
    let Verdict::Found(found) = decide(&one(None), &facts(Life::None, good("v3.5.21")), now()) else { panic!() };
    assert_eq!(found.bump, None, "nobody has seen anything of a new cluster");
}
