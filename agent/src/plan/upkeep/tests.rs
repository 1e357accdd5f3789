use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::plan::list::Entry;
use etcd_operator_shared::validate::maintenance;

const MIB: u64 = 1 << 20;
const QUOTA: u64 = 1000 * MIB;

/// A cluster as its leader's agent sees it, and what it may do.
struct Case {
    policy: Upkeep,
    seats: Vec<Seat>,
    alarms: Vec<Alarm>,
    databases: Vec<Database>,
    compacted: Option<i64>,
    resting: BTreeSet<String>,
    age: Duration,
    now: Timestamp,
}

const REVISION: i64 = 100;

fn seat(ordinal: u32) -> Seat {
    let (id, member) = (format!("id{ordinal}"), format!("demo-{ordinal}"));
    let away = (ordinal == 0).then_some(Duration::from_secs(99));
    Seat { entry: Entry { id, member, ordinal: Some(ordinal), learner: false, started: true }, away, mute: None }
}

/// Sizes in mebibytes.
fn database(ordinal: u32, size: u64, in_use: u64) -> Database {
    let (size, in_use) = (size * MIB, in_use * MIB);
    Database { id: format!("id{ordinal}"), size, in_use, room: Some(u64::MAX / 16), read: false }
}

/// The leader is the first; file and use in mebibytes.
fn case(sizes: &[(u64, u64)]) -> Case {
    let ordinals = || (0..).zip(sizes);
    Case {
        policy: Upkeep::default(),
        seats: ordinals().map(|(ordinal, _)| seat(ordinal)).collect(),
        alarms: vec![],
        databases: ordinals().map(|(ordinal, (size, in_use))| database(ordinal, *size, *in_use)).collect(),
        compacted: None,
        resting: BTreeSet::new(),
        age: Duration::ZERO,
        now: "2026-11-27T12:00:00Z".parse().unwrap(),
    }
}

fn alarm(ordinal: u32, kind: Kind) -> Alarm {
    Alarm { id: format!("id{ordinal}"), kind }
}

impl Case {
    fn full(mut self) -> Self {
        self.alarms = vec![alarm(1, Kind::NoSpace)];
        self
    }

    fn policy(mut self, raw: serde_json::Value) -> Self {
        self.policy = maintenance(Some(&serde_json::from_value(raw).unwrap())).unwrap();
        self
    }

    fn next(&self) -> Option<Step> {
        let survey = Survey { revision: REVISION, databases: self.databases.clone() };
        let known = Known {
            policy: &self.policy,
            quota: QUOTA,
            alarms: &self.alarms,
            survey: Some((&survey, self.age)),
            compacted: self.compacted,
            resting: &self.resting,
            now: self.now,
        };
        next(Facts { own_id: "id0", size: u32::try_from(self.seats.len()).ok(), seats: &self.seats, known })
    }
}

fn defragment(ordinal: u32, why: Why) -> Option<Step> {
    Some(Step::Defragment { id: format!("id{ordinal}"), why })
}

#[test]
fn a_full_database_is_compacted_then_defragmented_then_disarmed() {
    let mut full = case(&[(950, 940), (950, 940), (950, 940)]).full();
    assert_eq!(full.next(), Some(Step::Compact { revision: REVISION }));
    full.compacted = Some(REVISION);
    full.databases = vec![database(0, 950, 90), database(1, 950, 90), database(2, 950, 80)];
    assert_eq!(full.next(), defragment(2, Why::Full), "who gains most, the leader last");
    full.databases[2] = database(2, 80, 80);
    assert_eq!(full.next(), defragment(1, Why::Full));
    full.databases[1] = database(1, 90, 90);
    assert_eq!(full.next(), defragment(0, Why::Full), "nobody can write: the leader stays where it is");
    full.databases[0] = database(0, 90, 90);
    assert_eq!(full.next(), Some(Step::Disarm { ids: vec!["id1".into()] }));
}

#[test]
fn history_is_kept_where_defragmentation_alone_makes_room() {
    let full = case(&[(950, 90), (950, 940), (950, 90)]).full();
    assert_eq!(full.next(), Some(Step::Compact { revision: REVISION }), "one is filled by what it uses");
    let full = case(&[(950, 90), (950, 90), (950, 90)]).full();
    assert_eq!(full.next(), defragment(1, Why::Full));
}

#[test]
fn what_is_kept_is_left_to_a_person_until_something_was_deleted() {
    let mut full = case(&[(950, 940), (950, 940), (950, 940)]).full();
    full.compacted = Some(REVISION);
    let stuck = Stuck::InUse { in_use: 940 * MIB, quota: QUOTA };
    assert_eq!(full.next(), Some(Step::Stuck(stuck)));
    full.compacted = Some(REVISION - 1);
    assert_eq!(full.next(), Some(Step::Compact { revision: REVISION }));
}

#[test]
fn old_revisions_are_not_forgotten_where_that_is_not_wanted() {
    let full = case(&[(950, 940), (950, 940), (950, 940)]).full().policy(json!({"emergencyCompaction": false}));
    assert_eq!(full.next(), Some(Step::Stuck(Stuck::MayNotCompact { in_use: 940 * MIB, quota: QUOTA })));
}

#[test]
fn a_larger_quota_takes_the_alarm_back() {
    let full = case(&[(700, 690), (700, 690), (700, 690)]).full();
    assert_eq!(full.next(), Some(Step::Disarm { ids: vec!["id1".into()] }));
}

#[test]
fn nothing_is_defragmented_without_room_for_a_second_copy() {
    let mut full = case(&[(950, 500), (100, 90), (100, 90)]).full();
    full.databases[0].room = Some(400 * MIB);
    let stuck = Stuck::NoRoom { room: Some(400 * MIB), in_use: 500 * MIB };
    assert_eq!(full.next(), Some(Step::Stuck(stuck)));
    full.databases[0].room = None;
    assert_eq!(
        full.next(),
        Some(Step::Stuck(Stuck::NoRoom { room: None, in_use: 500 * MIB })),
        "unknown is not enough"
    );
}

#[test]
fn one_that_is_being_read_or_could_not_be_defragmented_is_waited_for() {
    let mut full = case(&[(100, 90), (950, 90), (100, 90)]).full();
    full.databases[1].read = true;
    assert_eq!(full.next(), None);
    full.databases[1].read = false;
    full.resting.insert("id1".into());
    assert_eq!(full.next(), None);
}

#[test]
fn one_that_is_away_keeps_nobody_from_being_cured() {
    let mut full = case(&[(950, 90), (950, 90), (950, 90)]).full();
    full.databases.truncate(2);
    full.seats[2].away = Some(Duration::from_secs(60));
    assert_eq!(full.next(), defragment(1, Why::Full));
    full.databases = vec![database(0, 90, 90), database(1, 90, 90)];
    assert!(matches!(full.next(), Some(Step::Disarm { .. })));
    full.databases.remove(0);
    assert_eq!(full.next(), None, "the leader's own is not known");
}

#[test]
fn a_corrupt_member_stops_all_of_it() {
    let mut corrupt = case(&[(950, 90), (950, 90), (950, 90)]).full();
    corrupt.alarms.push(alarm(2, Kind::Corrupt));
    assert_eq!(corrupt.next(), None);
}

#[test]
fn who_wastes_much_is_defragmented_and_the_leader_hands_over_first() {
    let mut case = case(&[(400, 100), (400, 100), (400, 90)]);
    assert_eq!(case.next(), defragment(2, Why::Wasteful));
    case.databases[2] = database(2, 90, 90);
    case.databases[1] = database(1, 100, 100);
    assert_eq!(case.next(), Some(Step::HandOver { to: "id1".into() }));
    case.databases[0] = database(0, 100, 100);
    assert_eq!(case.next(), None);
}

#[test]
fn little_waste_is_left_alone() {
    assert_eq!(case(&[(100, 20), (100, 20), (100, 20)]).next(), None, "80 MiB");
    assert_eq!(case(&[(400, 230), (400, 230), (400, 230)]).next(), None, "42 %");
    let told = json!({"defragmentation": {"minimumWaste": "8Mi", "wastePercent": 20}});
    assert_eq!(case(&[(100, 70), (100, 20), (100, 90)]).policy(told).next(), defragment(1, Why::Wasteful));
}

#[test]
fn a_database_that_nears_its_quota_is_not_kept_waiting_for_a_window() {
    let told = || json!({"defragmentation": {"window": {"cron": "0 3 * * *", "duration": "1h"}}});
    assert_eq!(case(&[(400, 100), (400, 100), (400, 90)]).policy(told()).next(), None);
    let nearly = case(&[(400, 100), (810, 500), (400, 90)]).policy(told());
    assert_eq!(nearly.next(), defragment(1, Why::NearlyFull));
    let mut open = case(&[(400, 100), (400, 100), (400, 90)]).policy(told());
    open.now = "2026-11-27T03:30:00Z".parse().unwrap();
    assert_eq!(open.next(), defragment(2, Why::Wasteful));
    let suspended = json!({"defragmentation": {"suspend": true}});
    assert_eq!(case(&[(400, 100), (400, 100), (400, 90)]).policy(suspended).next(), None);
}

#[test]
fn the_only_member_is_defragmented_in_a_window_or_when_it_must_be() {
    assert_eq!(case(&[(400, 100)]).next(), None);
    assert_eq!(case(&[(810, 100)]).next(), defragment(0, Why::NearlyFull));
    let always = json!({"defragmentation": {"window": {"cron": "* * * * *", "duration": "1h"}}});
    assert_eq!(case(&[(400, 100)]).policy(always).next(), defragment(0, Why::Wasteful));
}

#[test]
fn an_old_survey_is_taken_again_sooner_while_an_alarm_is_raised() {
    let mut calm = case(&[(400, 100), (400, 100), (400, 90)]);
    calm.age = URGENT;
    assert_eq!(calm.next(), defragment(2, Why::Wasteful));
    calm.age = CALM;
    assert_eq!(calm.next(), Some(Step::Survey));
    let mut full = case(&[(950, 90), (950, 90), (950, 90)]).full();
    full.age = URGENT;
    assert_eq!(full.next(), Some(Step::Survey));
}

fn any_database(ordinal: u32) -> impl Strategy<Value = Database> {
    (0u64..1100, 0u64..=100, prop::option::of(0u64..2000), any::<bool>()).prop_map(
        move |(size, percent, room, read)| {
            let room = room.map(|room| room * MIB);
            Database { room, read, ..database(ordinal, size, size * percent / 100) }
        },
    )
}

/// A world in which all that is asked for is done at once.
fn obey(case: &mut Case, step: &Step) {
    let find = |case: &Case, id: &str| case.databases.iter().position(|one| one.id == *id);
    match step {
        Step::Survey => case.age = Duration::ZERO,
        Step::Compact { revision } => {
            case.compacted = Some(*revision);
            case.databases.iter_mut().for_each(|one| one.in_use /= 2);
        }
        Step::Defragment { id, .. } => {
            if let Some(at) = find(case, id) {
                case.databases[at].size = case.databases[at].in_use;
            }
        }
        Step::Disarm { .. } => case.alarms.clear(),
        Step::HandOver { .. } | Step::Stuck(_) => {}
    }
}

proptest! {
    #[test]
    fn it_comes_to_an_end_and_neither_disarms_too_early_nor_touches_who_is_not_well(
        databases in (any_database(0), any_database(1), any_database(2)),
        away in any::<bool>(),
        full in any::<bool>(),
        emergency in any::<bool>(),
    ) {
        let mut case = case(&[(0, 0); 3]).policy(json!({"emergencyCompaction": emergency}));
        case.databases = vec![databases.0, databases.1, databases.2];
        if full {
            case.alarms = vec![alarm(2, Kind::NoSpace)];
        }
        if away {
            case.seats[1].away = Some(Duration::from_secs(5));
        }
        let mut steps = 0;
        while let Some(step) = case.next() {
            let alarmed = !case.alarms.is_empty();
            match &step {
                Step::Defragment { id, .. } => {
                    let one = case.databases.iter().find(|one| one.id == *id).unwrap();
                    prop_assert!(one.room.unwrap() > one.in_use && !one.read);
                    prop_assert!(alarmed || !away && *id != "id0");
                }
                Step::HandOver { .. } => prop_assert!(!alarmed && !away),
                Step::Compact { .. } => prop_assert!(alarmed && emergency),
                Step::Disarm { .. } => prop_assert!(case.databases.iter().all(|one| one.size < QUOTA / 100 * FULL)),
                Step::Survey | Step::Stuck(_) => {}
            }
            if matches!(step, Step::HandOver { .. } | Step::Stuck(_)) {
                break;
            }
            obey(&mut case, &step);
            steps += 1;
            prop_assert!(steps < 12, "it goes on for ever: {step:?}");
        }
    }
}
