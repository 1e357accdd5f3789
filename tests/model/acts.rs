//! Changes of the membership, and requests that arrive after their sender gave them up.

use crate::{
    mistake::{Mistake, Rules},
    perform::Outcome,
    property::Broken,
    world::{Answer, Entry, Id, LOG, Stray, World, bit, ids, initial_id, seat_of},
};

impl World {
    /// A change of the membership, asked of another member.
    pub fn act(&self, place: usize, entry: Entry, rules: &Rules) -> Vec<Outcome> {
        let incarnation = self.pod(place).map_or(1, |pod| pod.incarnation);
        if !self.answers(place, incarnation) {
            return vec![];
        }
        let mut outcomes = self.clone().changed(place, incarnation, entry, rules);
        if self.budget.late > 0 && self.stray.is_none() && !outcomes.is_empty() {
            outcomes.extend(self.with(|next| {
                next.budget.late -= 1;
                next.stray = Some(Stray::Act(entry));
                next.count(entry);
            }));
        }
        outcomes
    }

    /// An ID that was given out is not given out again.
    fn count(&mut self, entry: Entry) {
        if let Entry::AddLearner(id) | Entry::AddVoter(id) = entry {
            self.seats[seat_of(id)].added += 1;
        }
    }

    /// The change committed, and its answer heard.
    pub fn changed(mut self, place: usize, incarnation: u8, entry: Entry, rules: &Rules) -> Vec<Outcome> {
        let full = usize::from(self.life(incarnation).len) == LOG;
        if !self.is_allowed(incarnation, entry) || full {
            return vec![];
        }
        if let Err(broken) = rules.judge(self.check_removal(entry, rules)) {
            return vec![Err(broken)];
        }
        if let Err(broken) = rules.judge(self.check_joining(place, entry)) {
            return vec![Err(broken)];
        }
        if let Err(broken) = rules.judge(self.check_rest(place, "changes the membership")) {
            return vec![Err(broken)];
        }
        self.count(entry);
        if let Some(pod) = self.pod_mut(place) {
            pod.agent.heard = None;
            if let Entry::AddLearner(id) | Entry::AddVoter(id) = entry {
                pod.agent.answer = Some(Answer::Added(id));
            }
        }
        self.committed(incarnation, entry)
    }

    /// Property (e): with a size that nobody edits, a voter that has its volume stays.
    fn check_removal(&self, entry: Entry, rules: &Rules) -> Result<(), Broken> {
        let Entry::Remove(id) = entry else { return Ok(()) };
        let voter = self.config(self.incarnation).voters & bit(id) != 0;
        let unedited = rules.sizes.is_empty() && self.lost & bit(id) == 0;
        let sentence = || format!("demo-{}, which is wanted and has its volume, loses its membership", seat_of(id));
        if voter && unedited && self.ran & bit(id) != 0 { Err(Broken::TakenOut(sentence())) } else { Ok(()) }
    }

    /// Property (f): a pod that was reported to have left joins no more.
    fn check_joining(&self, place: usize, entry: Entry) -> Result<(), Broken> {
        let Some(id) = entry.joins().filter(|_| self.pod(place).is_some_and(|pod| pod.has_left)) else { return Ok(()) };
        let sentence = format!("the pod of demo-{} joins, which was reported to have left", seat_of(id));
        Err(Broken::CameBack(sentence))
    }

    pub fn move_leader(&self, incarnation: u8, to: Id) -> Vec<Outcome> {
        let Some(place) = self.place_of(incarnation, to) else { return vec![] };
        self.elections(place).into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// The stray request arrives.
    #[must_use]
    pub fn stray_arrives(&self, rules: &Rules) -> Vec<Outcome> {
        let mut next = self.clone();
        match next.stray.take() {
            None => vec![],
            Some(Stray::Act(entry)) => {
                let incarnation = self.incarnation;
                if !next.is_allowed(incarnation, entry) {
                    return vec![Ok(next)];
                }
                next.committed(incarnation, entry)
            }
            Some(Stray::Claim { seat, over, number, volume_id, counter }) => {
                let seat = usize::from(seat);
                let blind = rules.mistake == Some(Mistake::ClaimWithoutSwap);
                if self.api && self.seats[seat].object.is_some_and(|object| object.notes == over || blind) {
                    next.write_claim(seat, number, volume_id, counter);
                    let here = self.volume(seat).and_then(|volume| volume.mark).map(|mark| mark.ident.volume_id);
                    next.lost |= if here == Some(volume_id) { 0 } else { bit(initial_id(self.incarnation, seat)) };
                }
                vec![Ok(next)]
            }
        }
    }

    /// IDs of a seat in the present list.
    #[must_use]
    pub fn ids_of(&self, incarnation: u8, seat: usize) -> Option<Id> {
        ids(self.config(incarnation).all()).find(|id| seat_of(*id) == seat)
    }
}
