//! Which backups were taken or tried, by this member and as far as it heard of it, and what rests after a failure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcd_operator_shared::{api::member::TakenBackup, backup::of_schedule};

use crate::plan::backup::{noted, pause};

/// What is remembered of backups. An agent that starts again has it from the EtcdMember.
#[derive(Debug, Default)]
pub(in crate::sidecar) struct Backups {
    told: Vec<TakenBackup>,
    adopted: bool,
    /// The newest slot of each schedule that is known to be in the store: what is told is not enough for many
    /// schedules.
    slots: BTreeMap<String, String>,
    /// Failures in a row, and when the last was.
    failed: BTreeMap<String, (u32, Instant)>,
}

impl Backups {
    /// Takes what the EtcdMember says of former agents' backups, once.
    pub(in crate::sidecar) fn adopt(&mut self, said: &[TakenBackup]) {
        if std::mem::replace(&mut self.adopted, true) {
            return;
        }
        let own = std::mem::take(&mut self.told);
        for taken in said.iter().rev().chain(own.iter().rev()) {
            self.enter(taken);
        }
    }

    /// A backup was taken, or not.
    pub(in crate::sidecar) fn note(&mut self, taken: &TakenBackup, now: Instant) {
        if taken.stored {
            self.failed.remove(&taken.name);
        } else {
            let failures = self.failed.get(&taken.name).map_or(0, |(failures, _)| *failures);
            self.failed.retain(|_, (_, at)| now.duration_since(*at) < pause(u32::MAX) * 2);
            self.failed.insert(taken.name.clone(), (failures.saturating_add(1), now));
        }
        self.enter(taken);
    }

    fn enter(&mut self, taken: &TakenBackup) {
        if let (true, Some((schedule, slot))) = (taken.stored, of_schedule(&taken.name)) {
            let newest = self.slots.entry(schedule.to_owned()).or_default();
            if newest.as_str() < slot {
                slot.clone_into(newest);
            }
        }
        self.told = noted(&self.told, taken);
    }

    /// What the EtcdMember is to say.
    pub(in crate::sidecar) fn told(&self) -> &[TakenBackup] {
        &self.told
    }

    /// Whether a backup of this name is known to be in the store.
    pub(in crate::sidecar) fn knows(&self, name: &str) -> bool {
        let slot =
            of_schedule(name).is_some_and(|(schedule, slot)| self.slots.get(schedule).is_some_and(|s| s == slot));
        slot || self.told.iter().any(|taken| taken.stored && taken.name == name)
    }

    /// Whether it is too early to try it again.
    pub(in crate::sidecar) fn rests(&self, name: &str, now: Instant) -> bool {
        let waited = |at: Instant| -> Duration { now.duration_since(at) };
        self.failed.get(name).is_some_and(|(failures, at)| waited(*at) < pause(*failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, stored: bool) -> TakenBackup {
        TakenBackup { name: name.into(), stored, ..TakenBackup::default() }
    }

    #[test]
    fn what_failed_is_tried_again_ever_more_rarely_and_then_forgotten() {
        let (mut backups, start) = (Backups::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let (first, second) = (pause(1).as_secs(), pause(1).as_secs() + pause(2).as_secs());
        backups.note(&taken("once-a", false), at(0));
        assert!(backups.rests("once-a", at(first - 1)) && !backups.rests("once-a", at(first)));
        assert!(!backups.knows("once-a"));
        backups.note(&taken("once-a", false), at(first));
        assert!(backups.rests("once-a", at(second - 1)) && !backups.rests("once-a", at(second)));
        backups.note(&taken("once-a", true), at(second));
        assert!(backups.knows("once-a") && !backups.rests("once-a", at(second)));
        assert_eq!(backups.told().len(), 1);
    }

    #[test]
    fn many_schedules_do_not_make_each_other_forgotten() {
        let (mut backups, now) = (Backups::default(), Instant::now());
        let names: Vec<String> = (0..20).map(|n| format!("s{n}-20261126T2300Z")).collect();
        names.iter().for_each(|name| backups.note(&taken(name, true), now));
        assert!(names.iter().all(|name| backups.knows(name)));
        assert!(!backups.knows("s1-20261127T0000Z"));
    }

    #[test]
    fn an_agent_that_starts_again_knows_what_the_former_one_told_and_its_own_word_comes_first() {
        let mut backups = Backups::default();
        backups.note(&taken("once-b", true), Instant::now());
        let said = [taken("hourly-20261126T2300Z", true), taken("once-b", false)];
        backups.adopt(&said);
        let names: Vec<_> = backups.told().iter().map(|taken| (taken.name.as_str(), taken.stored)).collect();
        assert_eq!(names, [("once-b", true), ("hourly-20261126T2300Z", true)]);
        assert!(backups.knows("hourly-20261126T2300Z"));
        backups.adopt(&[taken("once-c", true)]);
        assert!(!backups.knows("once-c"), "what it says later are the agent's own words");
    }
}
