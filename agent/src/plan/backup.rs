//! Which backup a member takes now, if any.
//!
//! An order is this member's alone. A slot of a schedule is everybody's: the members try one after the other, settled
//! followers by their names, the leader after them, and whoever comes later finds in the store that there is one. So a
//! slot is missed only while no member that a quorum confirms reaches the store, and then the latest is made up. A new
//! schedule begins with the slot before it.

use std::time::Duration;

use etcd_operator_shared::{api::member::TakenBackup, backup::scheduled, schedule::slot, validate::Backup};
use jiff::Timestamp;

/// How long the next member leaves the one before alone with a slot: looking and beginning takes a second.
const TURN: Duration = Duration::from_secs(15);
/// Pause after a failure, doubled with each further one.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// All that it depends on.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Where backups go and when, where they are wanted.
    pub policy: &'a Backup,
    /// A backup that this member was told to take.
    pub ordered: Option<&'a str>,
    /// The member's turn, see [`turn`]; `None` where it takes none.
    pub turn: Option<u32>,
    /// Names of backups that are known to be in the store.
    pub known: &'a dyn Fn(&str) -> bool,
    /// Names of backups that were not taken and are not tried again yet.
    pub resting: &'a dyn Fn(&str) -> bool,
    /// By this machine's clock.
    pub now: Timestamp,
}

/// The name of the backup that is due, an order before all slots.
#[must_use]
pub fn due(facts: Facts<'_>) -> Option<String> {
    let turn = facts.turn?;
    let open = |name: &str| !(facts.known)(name) && !(facts.resting)(name);
    if let Some(name) = facts.ordered.filter(|name| open(name)) {
        return Some(name.to_owned());
    }
    let before = facts.now.checked_sub(TURN * turn).ok()?;
    // The one that has waited longest comes first.
    let mut slots: Vec<(Timestamp, String)> = facts
        .policy
        .schedules
        .iter()
        .filter(|schedule| !schedule.suspended)
        .filter_map(|schedule| {
            let newest = schedule.rhythm.last(facts.now)?;
            Some((newest, scheduled(&schedule.name, &slot(newest))))
        })
        .filter(|(time, name)| *time <= before && open(name))
        .collect();
    slots.sort();
    slots.into_iter().next().map(|(_, name)| name)
}

/// A voter, as the member that asks sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its name's number; those of nobody's members come last.
    pub ordinal: u32,
    pub leads: bool,
    /// Whether it is connected, or the member itself.
    pub there: bool,
}

/// A member's turn among the voters that are there: followers by their names, then the leader. One that is not settled
/// comes after all of them: better late than never.
#[must_use]
pub fn turn(own: u32, settled: bool, voters: &[Voter]) -> Option<u32> {
    let mut there: Vec<&Voter> = voters.iter().filter(|voter| voter.there || voter.ordinal == own).collect();
    there.sort_by_key(|voter| (voter.leads, voter.ordinal));
    let place = there.iter().position(|voter| voter.ordinal == own)?;
    let late = if settled { 0 } else { voters.len() };
    u32::try_from(place + late).ok()
}

/// How long a backup rests after so many failures in a row.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    LONGEST.min(PAUSE * (1 << failures.saturating_sub(1).min(8)))
}

/// How many an EtcdMember tells of.
const TOLD: usize = 8;

/// The list with a backup that was just taken, or tried: the newest first, one entry a name.
#[must_use]
pub fn noted(told: &[TakenBackup], new: &TakenBackup) -> Vec<TakenBackup> {
    let others = told.iter().filter(|old| old.name != new.name).cloned();
    let mut all: Vec<TakenBackup> = std::iter::once(new).cloned().chain(others).collect();
    all.truncate(TOLD);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_operator_shared::validate;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn policy() -> Backup {
        let raw = json!({
            "store": {"s3": {"bucket": "backups"}},
            "schedules": [
                {"name": "hourly", "cron": "0 * * * *"},
                {"name": "daily", "cron": "0 4 * * *"},
                {"name": "off", "cron": "* * * * *", "suspend": true},
            ],
        });
        validate::backup(&serde_json::from_value(raw).unwrap()).unwrap()
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-26T{time}Z").parse().unwrap()
    }

    fn asked(now: &str, turn: Option<u32>, ordered: Option<&str>, known: &[&str], resting: &[&str]) -> Option<String> {
        let (known, resting): (BTreeSet<&str>, BTreeSet<&str>) =
            (known.iter().copied().collect(), resting.iter().copied().collect());
        due(Facts {
            policy: &policy(),
            ordered,
            turn,
            known: &|name| known.contains(name),
            resting: &|name| resting.contains(name),
            now: at(now),
        })
    }

    const HOURLY: &str = "hourly-20261126T2300Z";
    const DAILY: &str = "daily-20261126T0400Z";

    #[test]
    fn each_slot_is_taken_once_and_of_missed_ones_the_latest() {
        assert_eq!(asked("23:00:00", Some(0), None, &[], &[]).as_deref(), Some(DAILY), "it has waited longest");
        assert_eq!(asked("23:00:00", Some(0), None, &[DAILY], &[]).as_deref(), Some(HOURLY));
        assert_eq!(asked("23:00:00", Some(0), None, &[DAILY, HOURLY], &[]), None);
        assert_eq!(asked("22:59:59", Some(0), None, &[DAILY], &[]).as_deref(), Some("hourly-20261126T2200Z"));
    }

    #[test]
    fn members_try_one_after_the_other() {
        assert_eq!(asked("23:00:14", Some(1), None, &[DAILY], &[]), None);
        assert_eq!(asked("23:00:15", Some(1), None, &[DAILY], &[]).as_deref(), Some(HOURLY));
        assert_eq!(asked("23:00:29", Some(2), None, &[DAILY], &[]), None);
        assert_eq!(asked("23:59:59", None, Some("once-a"), &[], &[]), None, "a learner takes none");
    }

    #[test]
    fn an_order_comes_first_and_is_nobody_elses() {
        assert_eq!(asked("23:00:00", Some(2), Some("once-a"), &[], &[]).as_deref(), Some("once-a"));
        assert_eq!(asked("23:00:00", Some(2), Some("once-a"), &["once-a", DAILY], &[]), None);
    }

    #[test]
    fn what_failed_rests_while_the_others_go_on() {
        assert_eq!(asked("23:00:00", Some(0), Some("once-a"), &[], &["once-a", DAILY]).as_deref(), Some(HOURLY));
        assert_eq!([1, 2, 3, 5, 40].map(|n| pause(n).as_secs()), [10, 20, 40, 160, 900]);
    }

    fn voter(ordinal: u32, leads: bool, there: bool) -> Voter {
        Voter { ordinal, leads, there }
    }

    #[test]
    fn followers_come_before_the_leader_and_whoever_is_away_is_passed_over() {
        let three = [voter(0, true, true), voter(1, false, true), voter(2, false, true)];
        assert_eq!([0, 1, 2].map(|own| turn(own, true, &three)), [Some(2), Some(0), Some(1)]);
        let two = [voter(0, true, true), voter(1, false, false), voter(2, false, true)];
        assert_eq!(turn(2, true, &two), Some(0));
        assert_eq!(turn(2, false, &two), Some(3), "one that lags leaves it to the others first");
        assert_eq!(turn(0, true, &[voter(0, true, true)]), Some(0));
        assert_eq!(turn(3, true, &three), None, "no voter");
    }

    #[test]
    fn the_list_holds_the_last_of_each_name_and_no_more_than_is_told() {
        let taken = |name: &str, stored| TakenBackup { name: name.into(), stored, ..TakenBackup::default() };
        let mut told = vec![];
        for n in 0..20 {
            told = noted(&told, &taken(&format!("once-{n}"), true));
        }
        assert_eq!((told.len(), told[0].name.as_str()), (TOLD, "once-19"));
        told = noted(&told, &taken("once-15", false));
        assert_eq!((told.len(), told[0].name.as_str(), told[0].stored), (TOLD, "once-15", false));
    }
}
