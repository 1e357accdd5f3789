//! What the leader's agent has found out about the members' databases, and what it has done for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use etcd_operator_shared::api::cluster::Chore;

use crate::plan::upkeep::{Stuck, Survey};

/// What is remembered. An agent that starts again has what was told from the EtcdMember, and finds out the rest.
#[derive(Debug, Default)]
pub(in crate::sidecar) struct Upkeep {
    survey: Option<(Survey, Instant)>,
    /// Revision up to which was compacted last, while this member leads.
    pub compacted: Option<i64>,
    /// Why only a person can go on, while an alarm is raised.
    pub stuck: Option<Stuck>,
    /// Members that could not be defragmented, and when that was.
    failed: BTreeMap<String, Instant>,
    chores: Vec<Chore>,
    adopted: bool,
}

/// How long a member is left alone that could not be defragmented.
const REST: Duration = Duration::from_secs(120);
/// How many chores an EtcdMember tells of.
const TOLD: usize = 8;

impl Upkeep {
    /// Takes what the EtcdMember says of former agents' chores, once.
    pub(in crate::sidecar) fn adopt(&mut self, said: &[Chore]) {
        if !std::mem::replace(&mut self.adopted, true) {
            self.chores.extend_from_slice(said);
            self.chores.truncate(TOLD);
        }
    }

    /// Another one leads: it finds out for itself, and this one does when it leads again.
    pub(in crate::sidecar) fn note_role(&mut self, leads: bool, alarmed: bool) {
        if !leads {
            (self.survey, self.compacted) = (None, None);
        }
        if !leads || !alarmed {
            self.stuck = None;
        }
    }

    pub(in crate::sidecar) fn note_survey(&mut self, survey: Survey, now: Instant) {
        self.survey = Some((survey, now));
    }

    /// Something was done: what was found out before does not hold any more.
    pub(in crate::sidecar) fn note_chore(&mut self, chore: Chore) {
        self.survey = None;
        self.chores.insert(0, chore);
        self.chores.truncate(TOLD);
    }

    /// A member could not be defragmented, or nobody could do anything else.
    pub(in crate::sidecar) fn note_failure(&mut self, id: Option<String>, now: Instant) {
        self.survey = None;
        self.failed.retain(|_, at| now.duration_since(*at) < REST);
        self.failed.extend(id.map(|id| (id, now)));
    }

    pub(in crate::sidecar) fn survey(&self, now: Instant) -> Option<(&Survey, Duration)> {
        self.survey.as_ref().map(|(survey, at)| (survey, now.duration_since(*at)))
    }

    pub(in crate::sidecar) fn resting(&self, now: Instant) -> BTreeSet<String> {
        let rests = self.failed.iter().filter(|(_, at)| now.duration_since(**at) < REST);
        rests.map(|(id, _)| id.clone()).collect()
    }

    /// What the EtcdMember is to say.
    pub(in crate::sidecar) fn chores(&self) -> &[Chore] {
        &self.chores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_operator_shared::api::{Word, cluster::Action};

    fn chore(n: usize) -> Chore {
        Chore { action: Word::Known(Action::Defragmented), time: n.to_string(), message: String::new() }
    }

    #[test]
    fn what_was_found_out_is_gone_when_something_was_done_or_another_leads() {
        let (mut upkeep, now) = (Upkeep::default(), Instant::now());
        let survey = || Survey { revision: 1, databases: vec![] };
        upkeep.note_survey(survey(), now);
        assert_eq!(upkeep.survey(now + REST), Some((&survey(), REST)));
        upkeep.note_chore(chore(1));
        assert_eq!(upkeep.survey(now), None);
        upkeep.note_survey(survey(), now);
        (upkeep.compacted, upkeep.stuck) = (Some(1), Some(Stuck::InUse { in_use: 1, quota: 1 }));
        upkeep.note_role(true, true);
        assert!(upkeep.stuck.is_some());
        upkeep.note_role(false, true);
        assert_eq!((upkeep.survey(now), upkeep.compacted, upkeep.stuck), (None, None, None));
    }

    #[test]
    fn who_could_not_be_defragmented_rests_for_a_while() {
        let (mut upkeep, now) = (Upkeep::default(), Instant::now());
        upkeep.note_failure(Some("a".into()), now);
        assert!(upkeep.resting(now).contains("a") && upkeep.resting(now + REST).is_empty());
    }

    #[test]
    fn what_former_agents_did_is_told_on_and_the_newest_comes_first() {
        let mut upkeep = Upkeep::default();
        upkeep.note_chore(chore(9));
        upkeep.adopt(&[chore(8), chore(7)]);
        upkeep.adopt(&[chore(6)]);
        let told: Vec<&str> = upkeep.chores().iter().map(|chore| chore.time.as_str()).collect();
        assert_eq!(told, ["9", "8", "7"]);
        (10..30).for_each(|n| upkeep.note_chore(chore(n)));
        assert_eq!((upkeep.chores().len(), upkeep.chores()[0].time.as_str()), (TOLD, "29"));
    }
}
