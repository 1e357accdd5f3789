//! What the loop takes note of about the members' databases.

use std::time::Instant;

use etcd_operator_shared::api::cluster::Action;

use super::Sidecar;
use crate::{
    observe::etcd::Observed,
    sidecar::{
        facts,
        hands::upkeep::{Ended, chore},
    },
};

impl Sidecar {
    /// Takes what came of something that was done for the databases.
    pub(super) fn keep_up(&mut self, ended: Ended, now: Instant) {
        let upkeep = &mut self.memory.upkeep;
        match ended {
            Ended::Surveyed(survey) => upkeep.note_survey(survey, now),
            Ended::Compared { comparison, took } => {
                let voters = self.inputs.observed.borrow().members.len();
                self.memory.comparing.note(comparison, took, voters, now);
            }
            Ended::Compacted { revision, chore } => {
                upkeep.compacted = Some(revision);
                upkeep.note_chore(chore);
            }
            Ended::Done(chore) => upkeep.note_chore(chore),
            Ended::Failed { id, why: _ } => upkeep.note_failure(id, now),
        }
    }

    /// Who leads, what former agents did, and whether a member that was being removed is gone.
    pub(super) fn note_databases(&mut self, observed: &Observed, now: Instant) {
        let leads = facts::leads(observed);
        self.memory.upkeep.note_role(leads, !observed.alarms.is_empty());
        self.memory.comparing.note_role(leads, now);
        let listed = observed.members_asked.filter(|_| leads).map(|_| observed.members.as_slice());
        if let Some(member) = listed.and_then(|list| self.memory.comparing.note_list(list, now)) {
            let message =
                format!("{member} held other keys than a majority of members: it was removed, and joins anew");
            self.memory.upkeep.note_chore(chore(Action::Removed, message));
        }
        if let Some(status) = self.hands.object.object().and_then(|object| object.status.as_ref()) {
            self.memory.upkeep.adopt(&status.chores);
        }
    }
}
