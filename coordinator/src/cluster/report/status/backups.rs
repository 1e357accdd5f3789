//! BackupHealthy: whether backups are taken and found to be right. Only a cluster whose spec names a store has it.

use etcd_operator_shared::{
    api::{backup::BackupPhase, cluster::BackupSummary, member::TakenBackup},
    backup, schedule,
    validate::Schedule,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Input,
    condition::{ConditionUpdate, Status},
};
use crate::cluster::facts::archive::Backup;

/// The condition's type.
pub const KIND: &str = "BackupHealthy";

/// Storing a large database takes minutes, and after failures it is tried again a quarter of an hour apart.
const LATE: SignedDuration = SignedDuration::from_mins(30);

/// The newest backups, where any are known.
pub fn summary(input: Input<'_>, before: Option<BackupSummary>) -> Option<BackupSummary> {
    // Unknown is not none.
    let Some(known) = &input.facts.backups else { return before };
    let newest = |verified: bool| {
        let all = known.iter().filter(|one| one.taken.is_some() && (!verified || one.is_verified()));
        all.max_by_key(|one| one.taken)
    };
    let (last, verified) = (newest(false)?, newest(true));
    let time = |one: &Backup| one.taken.map(|taken| taken.to_string());
    Some(BackupSummary {
        last: Some(last.name.clone()),
        last_time: time(last),
        last_verified: verified.map(|one| one.name.clone()),
        last_verified_time: verified.and_then(time),
    })
}

/// What to say, or `None` where there is no store.
pub fn healthy(input: Input<'_>, now: Timestamp) -> Option<ConditionUpdate> {
    input.cluster.spec.backup.as_ref()?;
    let says = |status, reason: &str, message| ConditionUpdate { kind: KIND, status, reason: reason.into(), message };
    let Some(known) = &input.facts.backups else {
        return Some(says(Status::Unknown, "NotKnown", "the EtcdBackups are not known yet".to_owned()));
    };
    if let Some((member, trouble)) = trouble(input, known) {
        let words = trouble.message.as_deref().unwrap_or_default();
        return Some(says(Status::False, "NotStored", format!("{member} could not store {}: {words}", trouble.name)));
    }
    if let Some(sentence) = overdue(input, now) {
        return Some(says(Status::False, "Overdue", sentence));
    }
    let newest = known.iter().filter(|one| !one.deleting).max_by_key(|one| one.taken);
    Some(match newest {
        Some(Backup { phase: Some(BackupPhase::Failed), name, trouble, .. }) => {
            let (_, words) = trouble.clone().unwrap_or_default();
            says(Status::False, "NotVerified", format!("EtcdBackup {name}: {words}"))
        }
        Some(newest) if newest.is_verified() => {
            let taken = newest.taken.map(|taken| format!(", taken at {taken},")).unwrap_or_default();
            let message =
                format!("EtcdBackup {}{taken} was opened by another etcd and is equal to the original", newest.name);
            says(Status::True, "Verified", message)
        }
        Some(_) | None => match known.iter().filter(|one| one.is_verified()).max_by_key(|one| one.taken) {
            Some(verified) => {
                let message =
                    format!("EtcdBackup {} is the newest that is verified; another one is under way", verified.name);
                says(Status::True, "Verified", message)
            }
            None => says(Status::Unknown, "NoBackupYet", "no backup has been verified yet".to_owned()),
        },
    })
}

/// The schedule of which nothing was stored for a slot that is long over. A cluster that is stopped has nothing to
/// store.
fn overdue(input: Input<'_>, now: Timestamp) -> Option<String> {
    let care = input.decision.care.as_ref().filter(|care| care.target.runs())?;
    let begun = input.facts.backups.as_ref()?.iter().filter_map(|one| one.taken).min()?;
    let late = |schedule: &Schedule| {
        let slot = schedule.rhythm.last(now - LATE).filter(|slot| *slot > begun)?;
        let stored = input.facts.backups.iter().flatten().filter_map(|one| {
            let (by, slot) = one.by.as_ref()?;
            (*by == schedule.name).then(|| schedule::time(slot)).flatten()
        });
        let reported = input.facts.slots.values().filter_map(|slot| slot.report()).flat_map(|report| &report.backups);
        let reported = reported.filter(|one| one.stored).filter_map(|one| {
            let (by, slot) = backup::of_schedule(&one.name)?;
            (by == schedule.name).then(|| schedule::time(slot)).flatten()
        });
        let newest = stored.chain(reported).max();
        newest.is_none_or(|newest| newest < slot).then(|| {
            let since = newest.map_or_else(String::new, |newest| format!("; the newest is of {newest}"));
            format!("nothing was stored by schedule {} for {slot}{since}", schedule.name)
        })
    };
    let schedules = care.wanted.backup.iter().flat_map(|policy| &policy.schedules);
    schedules.filter(|schedule| !schedule.suspended).find_map(late)
}

/// What a member could not store, where nothing has been stored since.
fn trouble<'a>(input: Input<'a>, known: &[Backup]) -> Option<(&'a str, &'a TakenBackup)> {
    let reports = input.facts.slots.values().filter_map(|slot| {
        let (member, report) = (slot.member.as_ref()?, slot.report()?);
        Some((member.name.as_str(), report))
    });
    let newest = reports.filter_map(|(member, report)| Some((member, report.backups.first()?)));
    let since = known.iter().filter_map(|one| one.taken).max();
    let ended = |taken: &TakenBackup| taken.ended.parse::<Timestamp>().ok();
    let stored = newest.clone().filter(|(_, one)| one.stored).filter_map(|(_, one)| ended(one)).max();
    let late = |one: &TakenBackup| ended(one) > since.max(stored);
    // One that was ordered says so on its own EtcdBackup.
    let failed = newest.filter(|(_, one)| !one.stored && !one.name.starts_with(&backup::ordered("")) && late(one));
    failed.max_by_key(|(_, one)| ended(one))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use etcd_operator_shared::api::{EtcdCluster, cluster::Incarnation};
    use serde_json::json;

    use super::*;
    use crate::cluster::{
        decide::{Waited, decide},
        facts::{Facts, tests::healthy},
    };

    fn at(time: &str) -> Timestamp {
        format!("2026-11-26T{time}Z").parse().unwrap()
    }

    fn cluster() -> EtcdCluster {
        let backup = json!({"store": {"s3": {"bucket": "bucket"}}, "schedules": [{"name": "h", "cron": "0 * * * *"}]});
        let spec = json!({"version": "v3.5.21", "backup": backup});
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
        let first = crate::cluster::decide::incarnation::first(&cluster, &wanted);
        cluster.status.get_or_insert_default().incarnation = Some(Incarnation { members_created: true, ..first });
        cluster
    }

    /// Of schedule h, for this hour, taken a moment later.
    fn hourly(hour: u32, phase: BackupPhase) -> Backup {
        Backup {
            name: format!("demo-h-{hour}"),
            uid: hour.to_string(),
            by: Some(("h".into(), format!("20261126T{hour:02}00Z"))),
            phase: Some(phase),
            taken: Some(at(&format!("{hour:02}:00:20"))),
            trouble: Some(("HashDiffers".into(), "its keys are others".into())),
            deleting: false,
        }
    }

    fn facts(known: Vec<Backup>) -> Facts {
        Facts { backups: Some(known), ..healthy(3) }
    }

    fn says(facts: &Facts, now: &str) -> (&'static str, String, String) {
        let cluster = cluster();
        let decision = decide(&cluster, facts, Waited::default());
        let input = Input { cluster: &cluster, facts, decision: &decision, denials: &[], lacking: Duration::ZERO };
        let said = healthy_at(input, at(now));
        (said.status.as_str(), said.reason, said.message)
    }

    fn healthy_at(input: Input<'_>, now: Timestamp) -> ConditionUpdate {
        super::healthy(input, now).unwrap()
    }

    #[test]
    fn only_what_another_etcd_has_opened_counts() {
        let verified = |hour| hourly(hour, BackupPhase::Verified);
        assert_eq!(says(&facts(vec![]), "12:10:00").1, "NoBackupYet");
        assert_eq!(says(&facts(vec![hourly(12, BackupPhase::Verifying)]), "12:10:00").1, "NoBackupYet");
        assert_eq!(says(&facts(vec![verified(12)]), "12:10:00").0, "True");
        let (status, _, message) = says(&facts(vec![verified(11), hourly(12, BackupPhase::Verifying)]), "12:10:00");
        assert!(status == "True" && message.contains("demo-h-11"), "{message}");
        let (status, reason, message) = says(&facts(vec![verified(11), hourly(12, BackupPhase::Failed)]), "12:10:00");
        assert_eq!((status, reason.as_str()), ("False", "NotVerified"));
        assert!(message.contains("demo-h-12: its keys are others"), "{message}");
    }

    #[test]
    fn a_slot_that_is_long_over_and_of_which_nobody_knows_is_told() {
        let known = facts(vec![hourly(10, BackupPhase::Verified), hourly(11, BackupPhase::Verified)]);
        assert_eq!(says(&known, "12:29:00").1, "Verified");
        let (status, reason, message) = says(&known, "12:31:00");
        assert_eq!((status, reason.as_str()), ("False", "Overdue"));
        assert!(message.contains("2026-11-26T12:00:00Z") && message.contains("2026-11-26T11:00:00Z"), "{message}");
    }

    #[test]
    fn what_a_member_could_not_store_is_told_in_its_words_until_something_is_stored() {
        let mut facts = facts(vec![hourly(11, BackupPhase::Verified)]);
        let member = Arc::make_mut(facts.slots.get_mut(&1).unwrap().member.as_mut().unwrap());
        let failed = TakenBackup {
            name: "h-20261126T1200Z".into(),
            message: Some("no such bucket".into()),
            ended: at("12:00:30").to_string(),
            ..TakenBackup::default()
        };
        member.status.as_mut().unwrap().backups = vec![failed];
        let (status, reason, message) = says(&facts, "12:01:00");
        assert_eq!((status, reason.as_str()), ("False", "NotStored"));
        assert_eq!(message, "demo-1 could not store h-20261126T1200Z: no such bucket");
        facts
            .backups
            .as_mut()
            .unwrap()
            .push(Backup { taken: Some(at("12:00:50")), ..hourly(12, BackupPhase::Verified) });
        assert_eq!(says(&facts, "12:01:00").0, "True");
    }

    #[test]
    fn the_summary_names_the_newest_and_the_newest_that_counts() {
        let known = vec![hourly(10, BackupPhase::Verified), hourly(11, BackupPhase::Failed)];
        let (cluster, facts) = (cluster(), facts(known));
        let decision = decide(&cluster, &facts, Waited::default());
        let input =
            Input { cluster: &cluster, facts: &facts, decision: &decision, denials: &[], lacking: Duration::ZERO };
        let told = summary(input, None).unwrap();
        assert_eq!((told.last.as_deref(), told.last_verified.as_deref()), (Some("demo-h-11"), Some("demo-h-10")));
        assert_eq!(told.last_verified_time.as_deref(), Some("2026-11-26T10:00:20Z"));
        let unknown = Facts { backups: None, ..facts.clone() };
        let input = Input { facts: &unknown, ..input };
        assert_eq!(summary(input, Some(told.clone())), Some(told), "unknown is not none");
    }
}
