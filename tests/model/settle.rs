//! What happens at once, so that its moment makes no states of its own.
//!
//! A watch, a publication, the coordinator's word to the members and the catching up of a follower follow what causes them
//! immediately, unless a fault holds them up (`blind`, `lags`). Where no fault is left that could fall between, the effects of
//! a single pod that nobody else sees follow each other at once, too: the first mark, `lived`, a claim, an answer that goes
//! onto the mark.

use etcd_agent::plan::start::Start;

use crate::{
    agent::Deed,
    budget::Budget,
    mistake::Rules,
    perform::Outcome,
    world::{PLACES, Process, World},
};

impl Budget {
    /// Whether a fault is left that could fall between two effects of one pod.
    fn cuts_short(&self) -> bool {
        let Self { crashes, disks, emptied, data, objects, outages, cuts, copies, late, ends, forced, deaf, .. } =
            *self;
        crashes + disks + emptied + data + objects + outages + cuts + copies + late + ends + forced + deaf > 0
    }
}

impl World {
    /// Lets everything happen that happens at once.
    pub fn settle(&mut self, rules: &Rules) {
        loop {
            let mut moved = self.tell(rules);
            for place in 0..PLACES {
                if self.pod(place).is_some() {
                    moved |= self.watch(place) | self.catch_up(place) | self.publish(place, rules);
                }
            }
            if !moved && !self.go_on_alone(rules) {
                self.forget(rules.blots);
                return;
            }
        }
    }

    /// The next effect that nobody else sees, where no fault is left that could fall before it. A twin would see it.
    fn go_on_alone(&mut self, rules: &Rules) -> bool {
        if self.budget.cuts_short() || self.ghost.is_some() {
            return false;
        }
        let next = (0..PLACES).find_map(|place| self.alone(place, rules));
        let moved = next.is_some();
        if let Some(Ok(next)) = next {
            *self = next;
        }
        moved
    }

    fn alone(&self, place: usize, rules: &Rules) -> Option<Outcome> {
        let pod = self.pod(place)?;
        if let Some(noted) = self.note(place, rules).pop() {
            return Some(noted);
        }
        if pod.process != Process::Idle || pod.order.is_some() || pod.agent.deaf {
            return None;
        }
        let step = self.question(place, None, rules)?.ask();
        match step {
            Start::Touch | Start::SetLived | Start::Claim { .. } => self.perform(place, &Deed::Plan(step), rules).pop(),
            _ => None,
        }
    }
}
