//! Each check, and what it is told as.

use super::*;
use crate::plan::start::{Lost, Snapshot};

fn status() -> Status {
    Status {
        member_id: "a".into(),
        cluster_id: "c".into(),
        version: "v3.5.21".into(),
        is_learner: false,
        leader_id: Some("b".into()),
        downgrade: None,
        term: 2,
        revision: 1,
        raft_index: 10,
        raft_applied_index: 10,
        db_size: 0,
        db_size_in_use: 0,
        errors: vec![],
    }
}

fn serving(status: &Status) -> Facts<'_> {
    Facts {
        process: Process::Running,
        start: None,
        restoring: None,
        not_restored: None,
        refused: None,
        waiting: None,
        last_exit: None,
        status: Some(status),
        silent_for: Some(Duration::ZERO),
        running_for: Duration::from_secs(60),
        confirmed: true,
        no_quorum: None,
        volume_trouble: None,
        volume_notice: None,
        volume_loss: None,
        certificates: None,
        shut_out: None,
        cut_off_for: None,
        alarms: vec![],
        differs: None,
        stuck: None,
        defragments: false,
        refuses: None,
        refused_options: None,
        voters: 3,
        trouble: None,
        leaving: None,
        reopening: false,
        connected: Some(2),
    }
}

#[test]
fn lost_quorum_alarms_and_a_full_disk_are_shown_but_do_not_empty_the_service() {
    let (status, alarms) = (status(), vec!["NOSPACE".to_owned()]);
    let volume_notice = Some("the volume is full".into());
    let no_quorum = Some("etcdserver: no leader");
    let refuses = Some("it has no user");
    let health = judge(&Facts { no_quorum, volume_notice, alarms, refuses, ..serving(&status) });
    assert!(health.ready && !health.settled);
    let shown: Vec<&str> = health.notices.iter().filter(|n| n.failed.is_some()).map(|n| n.name).collect();
    assert_eq!(shown, [QUORUM, ALARMS, ROOM, RIGHTS]);
}

#[test]
fn a_member_that_may_not_be_asked_serves_but_nobody_knows_whether_it_is_settled() {
    let status = status();
    let health = judge(&Facts { status: None, refuses: Some("it has no user"), ..serving(&status) });
    assert!(health.ready && !health.settled && health.role.is_none(), "{health:?}");
}

#[test]
fn a_member_that_the_others_serve_without_leaves_the_service_and_a_lost_quorum_does_not() {
    let status = Status { leader_id: None, ..status() };
    let alone = Facts { no_quorum: Some("etcdserver: no leader"), ..serving(&status) };
    assert!(judge(&alone).ready);
    let cut_off = |seconds| judge(&Facts { cut_off_for: Some(Duration::from_secs(seconds)), ..alone.clone() });
    assert!(cut_off(4).ready, "an election may be under way");
    assert_eq!((cut_off(5).ready, cut_off(5).reason), (false, "CutOff"));
}

#[test]
fn what_a_person_should_know_is_told_by_its_reason_and_what_other_fields_say_is_not() {
    let status = status();
    let health = judge(&Facts {
        no_quorum: Some("etcdserver: no leader"),
        volume_notice: Some("the volume is full".into()),
        volume_loss: Some("the volume was emptied".into()),
        refuses: Some("etcd's authentication is on"),
        stuck: Some("delete keys".into()),
        ..serving(&status)
    });
    let reasons: Vec<&str> = health.told().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["DiskFull", "VolumeEmptied", "AuthenticationOn", "SpaceExhausted"]);
}

#[test]
fn a_leader_whose_agent_has_a_member_defragmented_needs_the_others() {
    let status = status();
    let health = judge(&Facts { defragments: true, ..serving(&status) });
    assert!(health.ready && !health.settled);
}

#[test]
fn a_stopped_process_is_named_with_its_silence() {
    let status = status();
    let health = judge(&Facts { silent_for: Some(Duration::from_secs(9)), ..serving(&status) });
    assert!(!health.ready && !health.soon, "a probe of it must not be held open");
    assert_eq!(health.reason, "NotAnswering");
    assert!(health.message.contains("9 s"), "{}", health.message);
}

#[test]
fn a_learner_is_not_ready() {
    let status = Status { is_learner: true, ..status() };
    let health = judge(&serving(&status));
    assert_eq!((health.ready, health.reason, health.role), (false, "Learner", Some(Role::Learner)));
}

#[test]
fn a_learner_that_is_started_once_more_may_be_ready_soon() {
    let status = status();
    let stopping = Facts { process: Process::Stopping, ..serving(&status) };
    assert!(!judge(&stopping).soon);
    let health = judge(&Facts { reopening: true, ..stopping });
    assert!(health.soon && health.phase == MemberPhase::Joining, "{health:?}");
}

#[test]
fn a_leader_that_misses_a_connection_is_ready_but_not_settled() {
    let status = status();
    let health = judge(&Facts { connected: Some(1), ..serving(&status) });
    assert!(health.ready && health.settled, "a follower need not hear from the other followers");
    let leader = Status { leader_id: Some("a".into()), ..status };
    let health = judge(&Facts { connected: Some(1), ..serving(&leader) });
    assert!(health.ready && !health.settled);
}

#[test]
fn a_refused_flag_stays_named_while_the_next_start_is_decided() {
    let verdict = Verdict { class: Class::WrongFlags, line: "flag provided but not defined: -bogus".into() };
    let (start, status) = (Start::Resume, status());
    let facts = Facts { process: Process::Idle, start: Some(&start), last_exit: Some(&verdict), ..serving(&status) };
    let health = judge(&facts);
    assert_eq!((health.phase, health.reason), (MemberPhase::Failing, "WrongFlags"));
    assert!(health.message.contains("-bogus"));
}

#[test]
fn lost_data_is_named_whatever_ended_etcd() {
    let verdict = Verdict { class: Class::Killed, line: "killed by signal 9".into() };
    let (start, status) = (Start::Stranded(Lost::Data), status());
    let facts = Facts { process: Process::Idle, start: Some(&start), last_exit: Some(&verdict), ..serving(&status) };
    let health = judge(&facts);
    assert_eq!((health.phase, health.reason), (MemberPhase::Held, "DataLost"));
}

#[test]
fn what_a_person_wants_is_named_whatever_ended_etcd() {
    let verdict = Verdict { class: Class::Killed, line: "killed by signal 9".into() };
    let said = |start: Start| {
        let (start, status) = (Some(&start), status());
        let health = judge(&Facts { process: Process::Idle, start, last_exit: Some(&verdict), ..serving(&status) });
        (health.phase, health.reason)
    };
    assert_eq!(said(Start::Wait(Wait::Unpaused)), (MemberPhase::Waiting, "Paused"));
    assert_eq!(said(Start::Hold(Hold::BySpec)), (MemberPhase::Held, "HeldBySpec"));
}

#[test]
fn a_volume_that_takes_no_writes_is_named_before_the_step_that_it_keeps_from_happening() {
    let status = status();
    let volume_trouble = Some("the volume does not take writes: its file system is read-only".to_owned());
    let judged = |process, start: Start| {
        let (start, volume_trouble) = (Some(&start), volume_trouble.clone());
        let health = judge(&Facts { process, start, volume_trouble, ..serving(&status) });
        (health.phase, health.reason)
    };
    for process in [Process::Unknown, Process::Idle] {
        for start in [Start::Touch, Start::Resume, Start::Hold(Hold::Unreadable("it cannot be locked".into()))] {
            assert_eq!(judged(process, start), (MemberPhase::Held, "VolumeNotWritable"));
        }
        assert_eq!(judged(process, Start::Hold(Hold::Unmarked)), (MemberPhase::Held, "VolumeNotMarked"));
    }
}

#[test]
fn a_launcher_that_waits_for_the_volume_is_not_a_missing_one() {
    let status = status();
    let unheard = |start: Option<&Start>, waiting| {
        let health = judge(&Facts { process: Process::Unknown, start, waiting, ..serving(&status) });
        (health.phase, health.reason)
    };
    assert_eq!(unheard(None, None), (MemberPhase::Waiting, "LauncherMissing"));
    assert_eq!(unheard(Some(&Start::Resume), Some("another")), (MemberPhase::Waiting, "VolumeInUse"));
    assert_eq!(unheard(Some(&Start::Wait(Wait::Volume)), None), (MemberPhase::Waiting, "VolumeInUse"));
    let hold = Start::Hold(Hold::Unmarked);
    assert_eq!(unheard(Some(&hold), None), (MemberPhase::Held, "VolumeNotMarked"));
}

#[test]
fn a_member_on_the_way_to_the_data_that_its_cluster_begins_with_says_how_far_it_is_and_why_not() {
    let step = Start::Restore(Snapshot { digest: "d".into(), size: 1, from: "a:1".into(), bump: 0 });
    let facts = || Facts {
        process: Process::Idle,
        start: Some(&step),
        restoring: Some("1 of 2 MiB".into()),
        ..Facts::default()
    };
    let said = |facts: &Facts<'_>| {
        let health = judge(facts);
        (health.reason, health.message)
    };
    assert_eq!(said(&facts()), ("Restoring", "1 of 2 MiB".into()));
    let at_work = Facts { process: Process::Unknown, waiting: Some("etcdutl is at work"), ..facts() };
    assert_eq!(said(&at_work).0, "Restoring", "the launcher is silent because of it");
    let failed = Facts { not_restored: Some("no room"), ..facts() };
    assert_eq!(said(&failed), ("RestoreFailed", "no room; it is tried again".into()));
}
