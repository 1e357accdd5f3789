use etcd_operator_shared::api::{
    EtcdRestoreSpec, EtcdRestoreStatus,
    restore::{Source, Survivors},
};
use proptest::prelude::*;

use super::*;
use crate::restore::{
    decide::{decide, tests},
    facts::{Facts, Life, Source as Place},
};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn restore(lost: &[&str], approved: bool, phase: Option<RestorePhase>) -> EtcdRestore {
    let lost = lost.iter().map(|name| (*name).to_owned()).collect();
    let source = Source { survivors: Some(Survivors { lost, incarnation: None }), ..Source::default() };
    let spec = EtcdRestoreSpec { cluster: "demo".into(), source, replaces_incarnation: approved.then_some(1) };
    let mut one = EtcdRestore::new("dr", spec);
    one.status = Some(EtcdRestoreStatus { phase, ..EtcdRestoreStatus::default() });
    one
}

fn cluster() -> Cluster {
    Cluster {
        unavailable: Some(now() - SignedDuration::from_secs(60)),
        ..tests::cluster(Life::Other { number: 1, over: false })
    }
}

fn log(term: u64, index: u64) -> LogEnd {
    let voters = (0..3).map(|k| format!("demo-{k}")).collect();
    LogEnd { term, index, commit: index - 1, torn: false, votes: true, voters }
}

fn reading(ordinal: u32, state: State) -> Reading {
    let mut seen = Seen::of(format!("p{ordinal}"), "u", None);
    (seen.state, seen.since) = (state, Some(now() - SignedDuration::from_secs(60)));
    Reading { member: format!("demo-{ordinal}"), seen }
}

fn good(ordinal: u32, log: LogEnd) -> Reading {
    let (digest, revision) = (format!("d{ordinal}"), i64::try_from(log.index).unwrap());
    reading(
        ordinal,
        State::Said(Proof::Good {
            location: "there".into(),
            name: "n".into(),
            digest,
            bytes: 1,
            revision,
            version: "v3.5.21".into(),
            log: Some(log),
        }),
    )
}

fn decided(one: &EtcdRestore, cluster: &Cluster, read: Vec<Reading>) -> Verdict {
    let lost = one.spec.source.survivors.clone().unwrap().lost;
    let source = Place::Volumes { lost, read };
    let facts = Facts { cluster: Some(cluster.clone()), source, proof: Seen::of("p".into(), "u", None) };
    decide(one, &facts, now())
}

const STOPPING: Option<RestorePhase> = Some(RestorePhase::Stopping);

#[test]
fn nothing_is_stopped_before_a_person_has_named_the_incarnation() {
    let Verdict::AwaitsApproval(message) = decided(&restore(&["demo-0"], false, None), &cluster(), vec![]) else {
        panic!()
    };
    assert!(
        message.contains("replacesIncarnation: 1") && message.contains("what only demo-0 held is lost"),
        "{message}"
    );
    assert!(matches!(decided(&restore(&["demo-0"], true, None), &cluster(), vec![]), Verdict::Stops(_)));
}

#[test]
fn nothing_is_stopped_that_has_a_quorum_or_may_find_it_again() {
    let serves = Cluster { unavailable: None, ..cluster() };
    let verdict = decided(&restore(&[], true, None), &serves, vec![]);
    assert_eq!(verdict, Verdict::Refused(Objection::HasQuorum("demo".into())));
    let elects = Cluster { unavailable: Some(now() - SignedDuration::from_secs(3)), ..cluster() };
    assert!(matches!(decided(&restore(&[], true, None), &elects, vec![]), Verdict::Waits("QuorumMissing", _)));
}

#[test]
fn what_was_set_aside_is_taken_back_from_a_cluster_that_serves_and_the_present_life_is_not() {
    let serves = Cluster { unavailable: None, ..tests::cluster(Life::Other { number: 4, over: false }) };
    for (incarnation, stops) in [(3, true), (4, false), (5, false)] {
        let mut one = restore(&[], true, None);
        one.spec.replaces_incarnation = Some(4);
        one.spec.source.survivors.as_mut().unwrap().incarnation = Some(incarnation);
        let verdict = decided(&one, &serves, vec![]);
        assert_eq!(matches!(verdict, Verdict::Stops(_)), stops, "{incarnation}: {verdict:?}");
    }
}

#[test]
fn an_earlier_life_is_raised_above_the_later_one_also_where_that_was_short() {
    let mut one = restore(&[], true, STOPPING);
    one.spec.replaces_incarnation = Some(4);
    one.spec.source.survivors.as_mut().unwrap().incarnation = Some(3);
    let later = Cluster { revision: 5, ..tests::cluster(Life::Other { number: 4, over: false }) };
    let read = (0..3).map(|ordinal| good(ordinal, log(2, 900))).collect();
    let Verdict::Found(found) = decided(&one, &later, read) else { panic!() };
    assert_eq!(found.bump, Some(BUMP), "clients have seen other revisions of the same number");
}

#[test]
fn who_is_named_lost_must_be_a_member_and_somebody_must_be_left() {
    for (lost, reason) in [(vec!["demo-7"], "NoSuchMember"), (vec!["demo-0", "demo-1", "demo-2"], "NothingLeft")] {
        for approved in [false, true] {
            let Verdict::Refused(objection) = decided(&restore(&lost, approved, None), &cluster(), vec![]) else {
                panic!()
            };
            assert_eq!(objection.reason(), reason);
        }
    }
}

#[test]
fn volumes_are_read_once_no_pod_is_left_and_every_one_that_is_not_lost_is_waited_for() {
    let one = restore(&["demo-0"], true, STOPPING);
    let runs = Cluster { pods: vec!["demo-1".into()], ..cluster() };
    assert!(matches!(decided(&one, &runs, vec![]), Verdict::Stops(_)));
    let absent = vec![reading(1, State::Absent), good(2, log(2, 9))];
    assert_eq!(decided(&one, &cluster(), absent), Verdict::Read(vec!["demo-1".into()]));
    let reads = vec![reading(1, State::UnderWay(None)), good(2, log(2, 9))];
    assert!(matches!(decided(&one, &cluster(), reads), Verdict::Stops(_)));
    for state in [
        State::Said(Proof::Bad { reason: "NoData".into(), message: "empty".into() }),
        State::UnderWay(Some("no such claim".into())),
    ] {
        let read = vec![reading(1, state), good(2, log(2, 9))];
        let Verdict::Refused(objection) = decided(&one, &cluster(), read) else { panic!() };
        assert!(objection.to_string().contains("names demo-1 in source.survivors.lost"), "{objection}");
    }
    let passes = vec![reading(1, State::Lost("its node is gone".into())), good(2, log(2, 9))];
    assert_eq!(decided(&one, &cluster(), passes), Verdict::Read(vec!["demo-1".into()]));
}

#[test]
fn the_log_of_the_highest_term_is_the_furthest_on_however_short() {
    let read = vec![good(1, log(2, 90)), good(2, log(3, 20))];
    let Verdict::Found(found) = decided(&restore(&["demo-0"], true, STOPPING), &cluster(), read) else { panic!() };
    let choice = found.survivors.unwrap();
    assert_eq!((choice.seed.as_str(), found.digest.as_str(), choice.volumes.len()), ("demo-2", "d2", 2));
    assert!(choice.whole && found.bump.is_none(), "two of three are in each quorum: nothing is lost");
}

#[test]
fn what_is_lost_is_said_and_no_revision_comes_back_where_it_may_be_more_than_nothing() {
    let torn = LogEnd { torn: true, ..log(2, 9) };
    let learner = LogEnd { votes: false, ..log(2, 9) };
    for (lost, read) in [
        (vec!["demo-0", "demo-1"], vec![good(2, log(2, 9))]),
        (vec!["demo-0"], vec![good(1, torn), good(2, log(2, 9))]),
        (vec!["demo-0"], vec![good(1, learner), good(2, log(2, 9))]),
    ] {
        let Verdict::Found(found) = decided(&restore(&lost, true, STOPPING), &cluster(), read) else { panic!() };
        assert!(!found.survivors.unwrap().whole);
        assert_eq!(found.bump, Some(BUMP));
    }
    let further = Cluster { revision: 50, ..cluster() };
    let read = vec![good(1, log(2, 9)), good(2, log(2, 9))];
    let Verdict::Found(found) = decided(&restore(&["demo-0"], true, STOPPING), &further, read) else { panic!() };
    assert_eq!(found.bump, Some(BUMP + 41), "a member has told of more");
}

#[test]
fn what_was_found_once_is_pinned() {
    let mut one = restore(&["demo-0"], true, Some(RestorePhase::Restoring));
    let status = one.status.as_mut().unwrap();
    status.source = Some("the volume of demo-2".into());
    (status.digest, status.seed) = (Some("d".into()), Some("demo-2".into()));
    (status.bytes, status.revision) = (Some(3), Some(7));
    for life in [Life::Other { number: 1, over: false }, Life::Begins] {
        let cluster = Cluster { life, ..cluster() };
        let Verdict::Found(found) = decided(&one, &cluster, vec![good(1, log(9, 99))]) else { panic!() };
        assert_eq!((found.digest.as_str(), found.bump), ("d", None));
    }
}

proptest! {
    /// Of a history in which each entry is acknowledged once a quorum of volumes has it: where it is said that nothing
    /// is lost, the chosen log has all that was acknowledged.
    #[test]
    fn where_nothing_is_said_to_be_lost_nothing_is(
        size in prop::sample::select(vec![1_usize, 3, 5]),
        has in prop::collection::vec(1_u64..30, 5),
        lost in prop::collection::vec(any::<bool>(), 5),
    ) {
        // All in one term: a log is a prefix of every longer one.
        let mut sorted = has[..size].to_vec();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let acknowledged = sorted[size / 2];
        let voters: Vec<String> = (0..size).map(|k| format!("demo-{k}")).collect();
        let logs: Vec<(String, LogEnd)> = (0..size).filter(|k| !lost[*k]).map(|k| {
            (format!("demo-{k}"), LogEnd { voters: voters.clone(), ..log(1, has[k]) })
        }).collect();
        let read: Vec<Read<'_>> = logs.iter().map(|(member, log)| Read {
            member, log, digest: "d", bytes: 1, revision: i64::try_from(log.index).unwrap(),
        }).collect();
        if let Some(found) = choose(&read, 0, false) {
            let choice = found.survivors.unwrap();
            let best = logs.iter().find(|(member, _)| *member == choice.seed).unwrap();
            prop_assert!(logs.iter().all(|(_, log)| log.index <= best.1.index));
            prop_assert!(!choice.whole || best.1.index >= acknowledged);
        }
    }
}
