//! Does what is due to know that all members hold the same keys, and about one that does not.

use tracing::warn;

use super::Performer;
use crate::{
    etcd::peers::Act,
    plan::{compare::Step, upkeep::Kind},
    sidecar::hands::{membership::Change, upkeep::Work},
};

impl Performer<'_> {
    pub(super) fn compare(&mut self, step: Step) {
        let comparing = &mut self.memory.comparing;
        match &step {
            Step::Known(finding) => comparing.finding = Some(finding.clone()),
            // What was found stays until it is found out anew, or mended.
            Step::Compare { .. } | Step::Remove { .. } | Step::HandOver { .. } => {}
            Step::Disarm { .. } => comparing.finding = None,
        }
        match step {
            Step::Compare { leader } => {
                let doors = self.view().doors();
                if let Some((own, others)) = doors {
                    self.hands.upkeep.begin(Work::Compare { own, others, leader });
                }
            }
            Step::Remove { id, member } => {
                warn!(member, id, "it holds other keys than a majority of members; it is removed, and joins anew");
                comparing.removing = Some((id.clone(), member));
                let change = Change::Act(Act::Remove { id });
                self.hands.membership.begin(change, vec![self.hands.member.endpoint()], self.now);
            }
            Step::HandOver { to } => self.hands.membership.begin(Change::MoveLeader { to }, vec![], self.now),
            Step::Disarm { ids } => {
                let work = Work::Disarm { own: self.hands.member.clone(), whose: self.named(ids), kind: Kind::Corrupt };
                self.hands.upkeep.begin(work);
            }
            Step::Known(_) => {}
        }
    }
}
