//! Which EtcdBackups there are to be of what schedules have taken, decided: the agents take them, also while nobody
//! else is there, and this only writes down what they say.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Backup as Policy, Schedule},
        member::TakenBackup,
    },
    backup,
};

use crate::cluster::facts::{Facts, archive::Backup};

/// As many are kept of a schedule, and of those that are verified, where the spec says nothing.
const KEEP: i32 = 24;
const KEEP_VERIFIED: i32 = 3;

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    pub make: Vec<Reported>,
    /// Name and UID of those that are beyond what is kept. Their bytes are the agents' to delete.
    pub forget: Vec<(String, String)>,
}

/// A backup that a member has taken by a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    pub schedule: String,
    pub slot: String,
    pub member: String,
    pub taken: TakenBackup,
}

/// What is due of one cluster.
#[must_use]
pub fn due(cluster: &EtcdCluster, facts: &Facts) -> Due {
    let (Some(policy), Some(known)) = (&cluster.spec.backup, &facts.backups) else { return Due::default() };
    let mut due = Due::default();
    for schedule in &policy.schedules {
        let keep = usize::try_from(schedule.keep.unwrap_or(KEEP)).unwrap_or(0);
        let have: BTreeMap<&str, &Backup> = known.iter().filter_map(|one| Some((slot(one, schedule)?, one))).collect();
        let reported = reported(schedule, facts);
        let mut slots: Vec<&str> = have.keys().copied().chain(reported.keys().map(String::as_str)).collect();
        slots.sort_unstable();
        slots.dedup();
        let kept = slots.split_off(slots.len().saturating_sub(keep));
        let missing = kept.iter().filter(|slot| !have.contains_key(*slot));
        due.make.extend(missing.filter_map(|slot| reported.get(*slot)).cloned());
        due.forget.extend(beyond(&kept, &have, &spared(policy, known)));
    }
    due
}

/// Those that are there and not among the newest, unless they are spared.
fn beyond(kept: &[&str], have: &BTreeMap<&str, &Backup>, spared: &[&str]) -> Vec<(String, String)> {
    let goes =
        |(slot, one): &(&&str, &&Backup)| !kept.contains(slot) && !one.deleting && !spared.contains(&one.name.as_str());
    have.iter().filter(goes).map(|(_, one)| (one.name.clone(), one.uid.clone())).collect()
}

/// The newest that are verified stay, however many are newer.
fn spared<'a>(policy: &Policy, known: &'a [Backup]) -> Vec<&'a str> {
    let keep = usize::try_from(policy.keep_verified.unwrap_or(KEEP_VERIFIED)).unwrap_or(0);
    let mut verified: Vec<&Backup> = known.iter().filter(|one| one.is_verified()).collect();
    verified.sort_unstable_by_key(|one| std::cmp::Reverse(one.taken));
    verified.into_iter().take(keep).map(|one| one.name.as_str()).collect()
}

fn slot<'a>(one: &'a Backup, schedule: &Schedule) -> Option<&'a str> {
    let (by, slot) = one.by.as_ref()?;
    (*by == schedule.name).then_some(slot)
}

/// What members say that they have taken by this schedule, by slot. Of two that say the same the first counts: it is
/// one backup.
fn reported(schedule: &Schedule, facts: &Facts) -> BTreeMap<String, Reported> {
    let said = facts.slots.values().filter_map(|one| Some((one.member.as_ref()?.name.clone(), one.report()?)));
    let all = said.flat_map(|(member, report)| report.backups.iter().map(move |taken| (member.clone(), taken)));
    let mut found = BTreeMap::new();
    for (member, taken) in all.filter(|(_, taken)| taken.stored) {
        let Some((_, slot)) = backup::of_schedule(&taken.name).filter(|(by, _)| *by == schedule.name) else { continue };
        let one = || Reported { schedule: schedule.name.clone(), slot: slot.to_owned(), member, taken: taken.clone() };
        found.entry(slot.to_owned()).or_insert_with(one);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::tests::{healthy, member};
    use etcd_operator_shared::api::backup::BackupPhase;
    use serde_json::json;
    use std::sync::Arc;

    fn cluster(keep: i32) -> EtcdCluster {
        let spec = json!({"version": "v3.5.21", "backup": {
            "store": {"s3": {"bucket": "b"}}, "keepVerified": 1, "schedules": [{"name": "h", "cron": "* * * * *", "keep": keep}]}});
        EtcdCluster::new("demo", serde_json::from_value(spec).unwrap())
    }

    fn known(minute: u32, phase: BackupPhase) -> Backup {
        Backup {
            name: format!("demo-h-{minute}"),
            uid: minute.to_string(),
            by: Some(("h".into(), slot_at(minute))),
            phase: Some(phase),
            taken: format!("2026-11-26T10:{minute:02}:05Z").parse().ok(),
            trouble: None,
            deleting: false,
        }
    }

    fn slot_at(minute: u32) -> String {
        format!("20261126T10{minute:02}Z")
    }

    fn facts(reported: &[u32], known: Vec<Backup>) -> Facts {
        let mut facts = healthy(1);
        let slot = facts.slots.get_mut(&0).unwrap();
        let mut member = slot.member.as_deref().cloned().unwrap_or_else(|| member(0, None));
        let taken = |minute: &u32| TakenBackup {
            name: backup::scheduled("h", &slot_at(*minute)),
            stored: true,
            ..TakenBackup::default()
        };
        member.status.as_mut().unwrap().backups = reported.iter().map(taken).collect();
        slot.member = Some(Arc::new(member));
        facts.backups = Some(known);
        facts
    }

    fn minutes(due: &Due) -> (Vec<String>, Vec<String>) {
        let made = due.make.iter().map(|one| one.slot.clone()).collect();
        (made, due.forget.iter().map(|(name, _)| name.clone()).collect())
    }

    #[test]
    fn what_an_agent_has_taken_is_written_down_once_and_the_oldest_goes() {
        let verified = |minute| known(minute, BackupPhase::Verified);
        let due = due(&cluster(2), &facts(&[1, 2, 3], vec![verified(1), verified(2)]));
        assert_eq!(minutes(&due), (vec![slot_at(3)], vec!["demo-h-1".into()]));
    }

    #[test]
    fn the_last_one_that_is_verified_stays_however_many_have_failed_since() {
        let failed = |minute| known(minute, BackupPhase::Failed);
        let all = vec![known(1, BackupPhase::Verified), failed(2), failed(3), failed(4)];
        let due = due(&cluster(2), &facts(&[], all));
        assert_eq!(minutes(&due).1, ["demo-h-2"]);
    }

    #[test]
    fn one_that_would_go_at_once_is_not_made() {
        let due = due(&cluster(1), &facts(&[1, 2, 3], vec![]));
        assert_eq!(minutes(&due), (vec![slot_at(3)], vec![]));
    }

    #[test]
    fn nothing_is_made_or_forgotten_while_it_is_not_known_what_is_there() {
        let mut facts = facts(&[1], vec![]);
        facts.backups = None;
        assert_eq!(due(&cluster(1), &facts), Due::default());
    }
}
