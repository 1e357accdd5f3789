//! Claims about room that grows by itself.

use std::sync::Arc;

use etcd_operator_shared::{
    api::{EtcdCluster, member::Role},
    validate,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cluster::facts::tests::{healthy, member, status};

const MIB: u64 = 1 << 20;

fn view(in_use: u64, quota: u64, volume: u64) -> View {
    let limits = Limits { volume: 1024 * MIB, quota: 200 * MIB };
    View { limits, quota: quota * MIB, volume: volume * MIB, in_use: in_use * MIB, full: false }
}

#[test]
fn nothing_grows_before_most_of_the_quota_is_in_use() {
    assert_eq!(next(view(79, 100, 512)), Room::Enough);
    assert_eq!(next(view(80, 100, 1024)), Room::Quota(150 * MIB));
}

#[test]
fn volumes_grow_first_and_no_further_than_the_next_quota_needs() {
    assert_eq!(next(view(80, 100, 512)), Room::Volumes(779 * MIB));
    assert_eq!(next(view(80, 100, 779)), Room::Quota(150 * MIB));
}

#[test]
fn large_volumes_grow_by_whole_gibibytes() {
    let limits = Limits { volume: 64 << 30, quota: 8 << 30 };
    let large = View { limits, quota: 3 << 30, volume: 8 << 30, in_use: 3 << 30, full: true };
    assert_eq!(next(large), Room::Volumes(11 << 30));
}

#[test]
fn the_last_step_ends_at_the_limit_and_then_a_person_is_told_which() {
    assert_eq!(next(view(150, 150, 1024)), Room::Quota(200 * MIB));
    let Room::Exhausted(end) = next(view(170, 200, 1024)) else { panic!() };
    let sentence = end.to_string();
    assert!(sentence.contains("170 of the 200 MiB") && sentence.contains("autoGrow.maxQuota of 200Mi"), "{sentence}");
    let narrow = View { limits: Limits { volume: 512 * MIB, quota: 8 << 30 }, ..view(128, 128, 512) };
    let Room::Exhausted(end) = next(View { full: true, ..narrow }) else { panic!() };
    let sentence = end.to_string();
    assert!(
        sentence.starts_with("etcd takes no writes: ") && sentence.contains("autoGrow.maxSize of 512Mi"),
        "{sentence}"
    );
}

fn wanted(storage: &serde_json::Value) -> Wanted {
    let spec = json!({"version": "v3.5.21", "storage": storage, "etcd": {"quotaBackend": "100Mi"}});
    validate::cluster(&EtcdCluster::new("demo", serde_json::from_value(spec).unwrap())).unwrap()
}

/// Three members that hold so many MiB, with a quota of 100, where nothing else is said.
fn facts(in_use: i64, change: impl Fn(u32, &mut EtcdMemberStatus)) -> Facts {
    let mut facts = healthy(3);
    for (ordinal, slot) in &mut facts.slots {
        let mut said = status(*ordinal, if *ordinal == 0 { Role::Leader } else { Role::Follower });
        (said.db_size_in_use, said.db_quota) = (Some(in_use << 20), Some(100 << 20));
        change(*ordinal, &mut said);
        slot.member = Some(Arc::new(member(*ordinal, Some(said))));
    }
    facts
}

#[test]
fn it_is_judged_by_the_quota_that_all_members_run_with() {
    let may = wanted(&json!({"autoGrow": {"maxSize": "64Gi"}}));
    let seen = View::of(&may, 3, &facts(90, |_, _| {})).unwrap();
    assert_eq!((seen.in_use, seen.quota, seen.volume, seen.full), (90 * MIB, 100 * MIB, 8 << 30, false));
    assert_eq!(View::of(&wanted(&json!({})), 3, &facts(90, |_, _| {})), None, "nobody wants it to grow");
    let other = facts(90, |ordinal, said| said.db_quota = (ordinal != 1).then_some(100 << 20));
    assert_eq!(View::of(&may, 3, &other), None, "an agent that does not say");
    let before = facts(90, |ordinal, said| said.db_quota = Some(if ordinal == 2 { 64 << 20 } else { 100 << 20 }));
    assert_eq!(View::of(&may, 3, &before), None, "the last step is not in force everywhere");
    let silent = facts(90, |ordinal, said| said.ready = ordinal != 1);
    assert_eq!(View::of(&may, 3, &silent), None);
}

#[test]
fn agents_make_room_first_where_etcd_takes_no_writes() {
    let may = wanted(&json!({"autoGrow": {"maxSize": "64Gi"}}));
    let alarm = |ordinal: u32, said: &mut EtcdMemberStatus| {
        said.alarms = if ordinal == 0 { vec!["NOSPACE".into()] } else { vec![] };
    };
    assert_eq!(View::of(&may, 3, &facts(100, alarm)), None);
    let stuck = facts(100, |ordinal, said| {
        alarm(ordinal, said);
        said.notices = vec![Notice { reason: Notice::SPACE_EXHAUSTED.into(), message: "m".into() }];
    });
    assert!(View::of(&may, 3, &stuck).is_some_and(|seen| seen.full));
    let corrupt = facts(100, |_, said| said.alarms = vec!["CORRUPT".into()]);
    assert_eq!(View::of(&may, 3, &corrupt), None);
}

#[test]
fn what_has_grown_is_told_and_never_less() {
    let may = wanted(&json!({"size": "1Gi", "autoGrow": {"maxSize": "64Gi"}}));
    let first = Room::Quota(150 * MIB).grown(&may, "1Gi", Some("1Gi"), None);
    let expected = Grown { volume_size: None, quota_backend: Some("150Mi".into()) };
    assert_eq!(first, Some(expected));
    let second = Room::Enough.grown(&may, "1Gi", Some("2Gi"), first).unwrap();
    assert_eq!((second.volume_size.as_deref(), second.quota_backend.as_deref()), (Some("2Gi"), Some("150Mi")));
    let kept = Room::Enough.grown(&wanted(&json!({"size": "1Gi"})), "1Gi", Some("4Gi"), Some(second.clone()));
    assert_eq!(kept, Some(second), "taken away, it grows no more and takes nothing back");
    assert_eq!(Room::Enough.grown(&wanted(&json!({})), "8Gi", Some("8Gi"), None), None);
}

#[derive(Debug, Clone, Copy)]
enum Move {
    /// Keys are written, so many MiB, as far as the quota lets them, or deleted.
    Write(u64),
    Delete(u64),
    /// The coordinator looks, and sees what was so many moves ago.
    Look(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (1u64..200).prop_map(Move::Write),
        (1u64..200).prop_map(Move::Delete),
        (0usize..4).prop_map(Move::Look),
        Just(Move::Look(0)),
    ];
    prop::collection::vec(one, 1..200)
}

proptest! {
    /// What a step leads to comes into force before the next look, as [`View::of`] sees to; what members hold may be old.
    #[test]
    fn it_grows_by_one_step_at_a_time_within_its_limits_and_never_shrinks(
        quota in 16u64..100, volume in 400u64..600, most in 16u64..400, largest in 400u64..2000, moves in moves(),
    ) {
        let limits = Limits { volume: largest * MIB, quota: most * MIB };
        let mut now = View { limits, quota: quota * MIB, volume: volume * MIB, in_use: 0, full: false };
        let mut held = vec![0];
        for one in moves {
            match one {
                // A write that is on its way when the quota is reached is taken.
                Move::Write(mebibytes) => now.in_use = (now.in_use + mebibytes * MIB).min(now.quota + 2 * MIB),
                Move::Delete(mebibytes) => now.in_use = now.in_use.saturating_sub(mebibytes * MIB),
                Move::Look(ago) => {
                    let in_use = held[held.len().saturating_sub(1 + ago)];
                    match next(View { in_use, ..now }) {
                        Room::Enough | Room::Exhausted(_) => {}
                        Room::Volumes(bytes) => {
                            prop_assert!(now.volume < bytes && bytes <= limits.volume.max(now.volume));
                            now.volume = bytes;
                            let after = next(View { in_use, ..now });
                            prop_assert!(matches!(after, Room::Quota(_)), "volumes grow once for a quota: {after:?}");
                        }
                        Room::Quota(bytes) => {
                            prop_assert!(now.quota < bytes && bytes <= limits.quota);
                            prop_assert!(bytes <= now.quota / 2 * 3 && quota::fits(bytes, now.volume));
                            let last = bytes == limits.quota || bytes == quota::most(limits.volume.max(now.volume));
                            now.quota = bytes;
                            let after = next(View { in_use, ..now });
                            prop_assert!(after == Room::Enough || last, "it grows twice for one cause: {after:?}");
                            held = vec![in_use];
                        }
                    }
                }
            }
            held.push(now.in_use);
        }
    }

    #[test]
    fn keys_that_are_written_without_end_end_at_the_limit(quota in 16u64..100, volume in 400u64..4000, most in 100u64..4000) {
        let limits = Limits { volume: 4000 * MIB, quota: most * MIB };
        let mut now = View { limits, quota: quota * MIB, volume: volume * MIB, in_use: 0, full: true };
        for _ in 0..64 {
            now.in_use = now.quota;
            match next(now) {
                Room::Volumes(bytes) => now.volume = bytes,
                Room::Quota(bytes) => now.quota = bytes,
                Room::Exhausted(_) => break,
                Room::Enough => prop_assert!(false, "it is full: {now:?}"),
            }
        }
        let last = next(View { in_use: now.quota, ..now });
        prop_assert!(matches!(last, Room::Exhausted(_)), "{last:?}");
        prop_assert_eq!(now.quota, limits.quota.min(quota::most(limits.volume)));
    }
}
