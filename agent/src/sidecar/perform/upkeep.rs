//! Does what is due for the members' databases.

use super::Performer;
use crate::{
    plan::upkeep::{Kind, Step},
    sidecar::hands::{membership::Change, upkeep::Work},
};

impl Performer<'_> {
    pub(super) fn upkeep(&mut self, step: Step) {
        let stuck = match &step {
            Step::Stuck(stuck) => Some(*stuck),
            // Nothing is known yet that was not known before.
            Step::Survey => self.memory.upkeep.stuck,
            Step::Compact { .. } | Step::Defragment { .. } | Step::HandOver { .. } | Step::Disarm { .. } => None,
        };
        self.memory.upkeep.stuck = stuck;
        if let Step::HandOver { to } = step {
            return self.hands.membership.begin(Change::MoveLeader { to }, vec![], self.now);
        }
        if let Some(work) = self.work(step) {
            self.hands.upkeep.begin(work);
        }
    }

    fn work(&self, step: Step) -> Option<Work> {
        let own = || self.hands.member.clone();
        match step {
            Step::Survey => {
                let (own, others) = self.view().doors()?;
                Some(Work::Survey { own, others })
            }
            Step::Compact { revision } => Some(Work::Compact { own: own(), revision }),
            Step::Defragment { id, why } => {
                let (own, others) = self.view().doors()?;
                let door = std::iter::once(own).chain(others).find(|door| door.id == id)?;
                Some(Work::Defragment { door, why })
            }
            Step::Disarm { ids } => Some(Work::Disarm { own: own(), whose: self.named(ids), kind: Kind::NoSpace }),
            Step::HandOver { .. } | Step::Stuck(_) => None,
        }
    }
    /// IDs of members with their names, where they have any.
    pub(super) fn named(&self, ids: Vec<String>) -> Vec<(String, String)> {
        let members = &self.told.observed.members;
        let name = |id: &String| members.iter().find(|entry| entry.id == *id).map(|entry| entry.member.clone());
        ids.into_iter().map(|id| (id.clone(), name(&id).unwrap_or(id))).collect()
    }
}
