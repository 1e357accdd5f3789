use proptest::prelude::*;

use super::*;
use crate::plan::list::Entry;

const EVERY: Duration = Duration::from_secs(300);

fn seat(ordinal: usize) -> Seat {
    let (id, member) = (format!("id{ordinal}"), format!("demo-{ordinal}"));
    let away = (ordinal == 0).then_some(Duration::from_secs(99));
    Seat { entry: Entry { id, member, ordinal: None, learner: false, started: true }, away, mute: None }
}

fn hash(ordinal: usize, hash: u32, compacted: i64) -> Hash {
    Hash { id: format!("id{ordinal}"), hash, compacted, version: "v3.5.21".parse().unwrap() }
}

/// Hashes of the first members, all of one history.
fn said(hashes: &[u32]) -> Comparison {
    Comparison { revision: 9, hashes: hashes.iter().enumerate().map(|(ordinal, of)| hash(ordinal, *of, 5)).collect() }
}

/// Of followers only.
fn of_followers(hashes: &[u32]) -> Comparison {
    let hashes = hashes.iter().enumerate().map(|(at, of)| hash(at + 1, *of, 5)).collect();
    Comparison { revision: 9, hashes }
}

struct Case {
    seats: Vec<Seat>,
    alarms: Vec<Alarm>,
    last: Option<(Comparison, Duration)>,
    suspect: Option<&'static str>,
    size: u64,
    removed: Option<Duration>,
    led: Duration,
}

fn case(voters: usize, last: Comparison) -> Case {
    let seats = (0..voters).map(seat).collect();
    let last = Some((last, Duration::ZERO));
    Case { seats, alarms: vec![], last, suspect: None, size: 1, removed: None, led: FIRST }
}

impl Case {
    fn next(&self) -> Option<Step> {
        let known = Known {
            every: EVERY,
            led: self.led,
            alarms: &self.alarms,
            last: self.last.as_ref().map(|(last, age)| (last, *age)),
            suspect: self.suspect,
            size: self.size,
            removed: self.removed,
        };
        next(Facts { own_id: "id0", size: u32::try_from(self.seats.len()).ok(), seats: &self.seats, known })
    }

    fn aged(mut self, age: Duration) -> Self {
        self.last = self.last.map(|(last, _)| (last, age));
        self
    }
}

fn removal(ordinal: usize) -> Option<Step> {
    Some(Step::Remove { id: format!("id{ordinal}"), member: format!("demo-{ordinal}") })
}

#[test]
fn who_differs_twice_from_a_majority_is_replaced() {
    let mut differs = case(3, said(&[1, 1, 2]));
    let finding = Finding::Differs { member: "demo-2".into(), revision: 9 };
    assert_eq!(differs.next(), Some(Step::Known(finding)), "once is no proof");
    differs.suspect = Some("id2");
    assert_eq!(differs.next(), removal(2));
    differs.suspect = Some("id1");
    assert!(matches!(differs.next(), Some(Step::Known(_))), "it was another one before");
    differs.alarms = vec![Alarm { id: "id2".into(), kind: Kind::Corrupt }];
    assert_eq!(differs.next(), removal(2), "etcd has found it, too");
    differs.removed = Some(Duration::from_secs(60));
    assert!(matches!(differs.next(), Some(Step::Known(Finding::DiffersAgain { .. }))));
}

#[test]
fn a_leader_that_differs_hands_over_first() {
    let mut differs = case(3, said(&[2, 1, 1]));
    assert_eq!(differs.next(), Some(Step::HandOver { to: "id1".into() }), "its successor asks twice");
    (differs.suspect, differs.removed) = (Some("id0"), Some(Duration::ZERO));
    assert_eq!(differs.next(), Some(Step::HandOver { to: "id1".into() }));
}

#[test]
fn the_leader_of_a_large_database_is_asked_only_when_the_others_do_not_agree() {
    let mut large = case(3, of_followers(&[1, 1]));
    large.size = LITTLE + 1;
    assert_eq!(large.next(), None, "two of three are a majority");
    let due = |case: Case, age| case.aged(age).next();
    assert_eq!(due(large, EVERY), Some(Step::Compare { leader: false }));
    let mut large = case(3, of_followers(&[1, 2]));
    large.size = LITTLE + 1;
    assert_eq!(large.next(), None, "nobody knows yet");
    assert_eq!(due(large, AGAIN), Some(Step::Compare { leader: true }));
    assert_eq!(judge(&of_followers(&[1, 1, 1, 2]), 5), Verdict::Differ(vec!["id4".into()]), "three of five");
}

#[test]
fn without_a_majority_nothing_is_done() {
    assert_eq!(case(3, said(&[1, 2, 3])).next(), Some(Step::Known(Finding::NoMajority { revision: 9 })));
    assert_eq!(judge(&said(&[1, 1, 2, 2, 3]), 5), Verdict::NoMajority);
}

#[test]
fn what_cannot_be_compared_says_nothing() {
    let other_history = Comparison { revision: 9, hashes: vec![hash(0, 1, 5), hash(1, 1, 5), hash(2, 2, 6)] };
    assert_eq!(judge(&other_history, 3), Verdict::Unclear);
    let mut old = said(&[1, 1, 2]);
    old.hashes[0].version = "v3.5.15".parse().unwrap();
    assert_eq!(judge(&old, 3), Verdict::Unclear);
    let gone = Comparison { hashes: vec![hash(7, 2, 5)], ..said(&[]) };
    assert_eq!(case(3, gone).next(), Some(Step::Compare { leader: true }), "of a member that is no more");
}

#[test]
fn members_that_are_equal_are_asked_seldom_and_their_alarm_is_taken_back() {
    let mut equal = case(3, said(&[1, 1, 1])).aged(AGAIN);
    assert_eq!(equal.next(), None);
    equal.alarms = vec![Alarm { id: "gone".into(), kind: Kind::Corrupt }];
    assert_eq!(equal.next(), Some(Step::Compare { leader: true }), "the alarm may be younger");
    let equal = Case { alarms: equal.alarms, ..case(3, said(&[1, 1, 1])) };
    assert_eq!(equal.next(), Some(Step::Disarm { ids: vec!["gone".into()] }));
}

#[test]
fn a_new_leader_has_better_things_to_do_unless_etcd_has_found_something() {
    let mut new = Case { last: None, led: FIRST / 2, ..case(3, said(&[])) };
    assert_eq!(new.next(), None);
    new.alarms = vec![Alarm { id: "id2".into(), kind: Kind::Corrupt }];
    assert_eq!(new.next(), Some(Step::Compare { leader: true }));
    let old = Case { last: None, ..case(3, said(&[])) };
    assert_eq!(old.next(), Some(Step::Compare { leader: true }));
}

#[test]
fn nobody_is_asked_while_not_all_are_well_or_where_there_is_nobody_to_compare_with() {
    let mut away = case(3, said(&[1, 1, 2])).aged(EVERY);
    away.seats[1].away = Some(Duration::ZERO);
    assert_eq!(away.next(), None);
    let mut learns = case(3, said(&[1, 1, 2])).aged(EVERY);
    learns.seats[2].entry.learner = true;
    assert_eq!(learns.next(), None);
    assert_eq!(case(1, said(&[1])).aged(EVERY).next(), None);
}

proptest! {
    #[test]
    fn nobody_that_agrees_with_a_majority_is_ever_removed(
        voters in prop::sample::select(vec![2usize, 3, 4, 5, 7]),
        hashes in prop::collection::vec((0u32..3, 4i64..6), 7),
        asked in 1usize..8,
        suspect in any::<bool>(),
    ) {
        let hashes: Vec<Hash> =
            hashes.into_iter().take(voters.min(asked)).enumerate().map(|(at, (of, compacted))| hash(at, of, compacted)).collect();
        let mut case = case(voters, Comparison { revision: 9, hashes: hashes.clone() });
        if suspect {
            case.alarms = (0..voters).map(|at| Alarm { id: format!("id{at}"), kind: Kind::Corrupt }).collect();
        }
        if let Some(Step::Remove { id, .. }) = case.next() {
            let own = hashes.iter().find(|hash| hash.id == id).unwrap();
            let against = |of: &Hash| hashes.iter().filter(|b| (b.hash, b.compacted) == (of.hash, of.compacted)).count();
            let majority = hashes.iter().find(|of| against(of) >= quorum(voters)).unwrap();
            prop_assert!(majority.hash != own.hash && majority.compacted == own.compacted && suspect);
        }
    }
}
