//! What comes of a deed: one effect, in every way that it can go.

use etcd_agent::plan::start::Start;

use crate::{
    agent::Deed,
    facts::id_of,
    mistake::{Mistake, Rules},
    property::Broken,
    world::{
        Agent, Answer, Entry, FRESH, GHOST, GIVEN_OUT, How, Id, Ident, Mark, Order, Process, Stray, View, Volume,
        World, bit,
    },
};

/// A way that something can go.
pub type Outcome = Result<World, Broken>;

impl World {
    /// The outcomes of a deed; none if it changes nothing now.
    #[must_use]
    pub fn perform(&self, place: usize, deed: &Deed, rules: &Rules) -> Vec<Outcome> {
        let incarnation = self.pod(place).map_or(1, |pod| pod.incarnation);
        match deed {
            Deed::Plan(step) => self.perform_step(place, step, rules),
            Deed::Adopt(id) => self.marked(place, |mark| Mark {
                ident: Ident { id: Some(*id), ..mark.ident },
                joined: true,
                replacing: false,
                ..mark
            }),
            Deed::Presume(id) => {
                self.marked(place, |mark| Mark { ident: Ident { id: Some(*id), ..mark.ident }, ..mark })
            }
            Deed::PlaceUnasked => self.place_restored(place, rules),
            Deed::Suspect(suspicion) => self.with(|next| {
                next.end_process(place, Process::Idle);
                next.write_mark(place, false, |mark| Mark { suspicion: Some(*suspicion), ..mark });
            }),
            Deed::Record(voters) => self.marked(place, |mark| Mark { voters: *voters, ..mark }),
            Deed::Halt(_) => self.with(|next| next.end_process(place, Process::Idle)),
            Deed::MoveLeader(to) => self.move_leader(incarnation, *to),
            Deed::Remove(id, _) => self.act(place, Entry::Remove(*id), rules),
            Deed::Steward { id, hasty, .. } => {
                let mut next = self.clone();
                next.budget.haste -= u8::from(*hasty);
                next.changed(place, incarnation, Entry::Remove(*id), rules)
            }
            Deed::Promote(id) => self.act(place, Entry::Promote(*id), rules),
            Deed::ClaimLate { number, id } => self.claim(place, *number, Some(*id), rules),
        }
    }

    fn perform_step(&self, place: usize, step: &Start, rules: &Rules) -> Vec<Outcome> {
        let seat = self.ordinal(place);
        if matches!(step, Start::SetAside(_) | Start::Renew { .. } | Start::Retire)
            && let Err(broken) = rules.judge(self.check_rest(place, "moves data"))
        {
            return vec![Err(broken)];
        }
        match step {
            Start::Touch => self.renewed(place, false),
            Start::Renew { replacing } => self.renewed(place, *replacing),
            Start::SetLived => self.with(|next| {
                if let Some(volume) = next.volume_mut(place) {
                    volume.lived = volume.mark.map(|mark| mark.ident.volume_id);
                }
            }),
            Start::Trust => self.marked(place, |mark| Mark { suspicion: None, voters: 0, ..mark }),
            Start::Claim { number, member_id } => {
                self.claim(place, u8::try_from(*number).unwrap_or(u8::MAX), member_id.as_deref().map(id_of), rules)
            }
            Start::Restore(_) => self.restored(place, rules),
            Start::Bootstrap => self.order(place, How::New(self.order_incarnation(place)), rules),
            Start::Resume => self.order(place, How::OnDisk, rules),
            Start::Join => self.order(place, How::Added, rules),
            Start::SetAside(_) if rules.mistake == Some(Mistake::MarkBeforeRename) => {
                let mut outcomes = self.renewed(place, true);
                for next in outcomes.iter_mut().flatten() {
                    next.remember(place, Answer::Rename);
                }
                outcomes
            }
            Start::SetAside(_) => self.with(|next| {
                if let Some(volume) = next.volume_mut(place) {
                    set_aside(volume);
                }
            }),
            Start::Remove { id } => self.act(place, Entry::Remove(id_of(id)), rules),
            Start::Add => {
                let added = self.seats[seat].added;
                let id = GIVEN_OUT + seat as u8 * FRESH + added;
                let voter = rules.mistake == Some(Mistake::VoterFirst);
                let entry = if voter { Entry::AddVoter(id) } else { Entry::AddLearner(id) };
                if added == FRESH { vec![] } else { self.act(place, entry, rules) }
            }
            Start::Retire => {
                let uid = self.pod(place).map(|pod| pod.uid);
                self.marked(place, |mark| Mark { retired: uid, ..mark })
            }
            Start::Left | Start::Stranded(_) | Start::Wait(_) | Start::Hold(_) => vec![],
        }
    }

    /// The token is the object's.
    pub fn order_incarnation(&self, place: usize) -> u8 {
        match self.pod(place).map(|pod| pod.agent.view) {
            Some(View::Seen(notes)) => notes.incarnation,
            _ => self.pod(place).map_or(1, |pod| pod.incarnation),
        }
    }

    /// One outcome, if it is a change.
    pub fn with(&self, change: impl FnOnce(&mut World)) -> Vec<Outcome> {
        let mut next = self.clone();
        change(&mut next);
        if next == *self { vec![] } else { vec![Ok(next)] }
    }

    fn remember(&mut self, place: usize, answer: Answer) {
        if let Some(pod) = self.pod_mut(place) {
            pod.agent.answer = Some(answer);
        }
    }

    /// A fresh mark, with a volume ID of its own.
    fn renewed(&self, place: usize, replacing: bool) -> Vec<Outcome> {
        let incarnation = self.pod(place).map_or(1, |pod| pod.incarnation);
        let seat = self.ordinal(place);
        self.with(|next| {
            let drawn = next.seats[seat].drawn;
            next.seats[seat].drawn += 1;
            if let Some(volume) = next.volume_mut(place) {
                volume.mark = Some(Mark::fresh(incarnation, drawn, replacing));
            }
            next.forget_memory(place);
        })
    }

    fn forget_memory(&mut self, place: usize) {
        if let Some(pod) = self.pod_mut(place) {
            pod.agent.memory = None;
        }
    }

    /// Writes the mark as the agent knows it, changed. If the volume has another mark by now, nothing is written.
    fn marked(&self, place: usize, change: impl FnOnce(Mark) -> Mark) -> Vec<Outcome> {
        self.with(|next| next.write_mark(place, false, change))
    }

    /// The same; `blindly` as a planted mistake does it.
    pub fn write_mark(&mut self, place: usize, blindly: bool, change: impl FnOnce(Mark) -> Mark) {
        let known = self.known_mark(place);
        let stale = self.pod(place).is_some_and(|pod| pod.agent.memory.is_some());
        if let (Some(mark), Some(volume)) = (known, self.volume_mut(place))
            && (blindly || !stale)
        {
            volume.mark = Some(change(mark));
        }
        self.forget_memory(place);
    }

    /// A claim by compare-and-swap, and its answer heard.
    fn claim(&self, place: usize, number: u8, id: Option<Id>, rules: &Rules) -> Vec<Outcome> {
        let seat = self.ordinal(place);
        let (Some(pod), Some(object), Some(mark)) = (self.pod(place), self.seats[seat].object, self.known_mark(place))
        else {
            return vec![];
        };
        let View::Seen(read) = pod.agent.view else { return vec![] };
        let blind = rules.mistake == Some(Mistake::ClaimWithoutSwap);
        if !self.api || pod.agent.mute || pod.agent.answer.is_some() || (read != object.notes && !blind) {
            return vec![];
        }
        let (uid, volume_id, counter) = (pod.uid, mark.ident.volume_id, mark.counter);
        let mut outcomes = self.with(|next| {
            next.write_claim(seat, number, volume_id, counter);
            // What a cut-off node claims goes with it.
            next.lost |= id.filter(|_| place == GHOST).map_or(0, bit);
            if let Some(object) = next.seats[seat].object.as_mut() {
                object.spoke = Some(uid);
            }
            let notes = next.seats[seat].object.map_or(read, |object| object.notes);
            if let Some(pod) = next.pod_mut(place) {
                pod.agent.view = View::Seen(notes);
                pod.agent.answer = Some(Answer::Claimed { number, volume_id, id });
            }
        });
        if self.budget.late > 0 && self.stray.is_none() {
            outcomes.extend(self.with(|next| {
                next.budget.late -= 1;
                next.stray = Some(Stray::Claim { seat: seat as u8, over: read, number, volume_id, counter });
            }));
        }
        outcomes
    }

    /// From a claim on the EtcdMember counts with that volume.
    pub fn write_claim(&mut self, seat: usize, number: u8, volume_id: u8, counter: u8) {
        if let Some(object) = self.seats[seat].object.as_mut() {
            object.notes.claim = Some((number, volume_id));
            object.notes.counter = counter;
            object.notes.left = None;
            object.told = None;
        }
    }

    /// An order goes to the launcher; the counter rises first.
    fn order(&self, place: usize, how: How, rules: &Rules) -> Vec<Outcome> {
        if self.pod(place).is_none_or(|pod| pod.order.is_some() || pod.agent.deaf) {
            return vec![];
        }
        self.with(|next| {
            if rules.counts {
                next.write_mark(place, false, |mark| Mark { counter: mark.counter + 1, ..mark });
            }
            let mark = next.known_mark(place);
            if let (Some(mark), Some(pod)) = (mark, next.pod_mut(place)) {
                pod.order = Some(Order { how, ident: mark.ident });
            }
        })
    }

    /// The answer that an agent has goes onto the mark.
    #[must_use]
    pub fn note(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let Some(answer) = self.pod(place).and_then(|pod| pod.agent.answer) else { return vec![] };
        let blindly = rules.mistake == Some(Mistake::MarkFromMemory);
        self.with(|next| {
            if let Some(Agent { answer, .. }) = next.pod_mut(place).map(|pod| &mut pod.agent) {
                *answer = None;
            }
            match answer {
                Answer::Claimed { number, volume_id, id } => {
                    next.note_claim(place, blindly, number, volume_id, id, rules);
                }
                Answer::Added(id) => next.note_added(place, blindly, id),
                Answer::Rename => next.volume_mut(place).into_iter().for_each(set_aside),
            }
        })
    }

    fn note_claim(&mut self, place: usize, blindly: bool, number: u8, volume_id: u8, id: Option<Id>, rules: &Rules) {
        if self.known_mark(place).is_some_and(|mark| mark.ident.volume_id == volume_id) {
            let counter = u8::from(rules.counts);
            self.write_mark(place, blindly, |mark| Mark {
                ident: Ident { claim: number, id, ..mark.ident },
                counter: mark.counter + counter,
                ..mark
            });
        }
    }

    fn note_added(&mut self, place: usize, blindly: bool, id: Id) {
        self.lost |= if place == GHOST { bit(id) } else { 0 };
        if self.known_mark(place).is_some_and(|mark| mark.replacing || mark.joined) {
            self.write_mark(place, blindly, |mark| Mark {
                ident: Ident { id: Some(id), ..mark.ident },
                joined: true,
                replacing: false,
                ..mark
            });
        }
    }
}

/// Renames the data away.
fn set_aside(volume: &mut Volume) {
    (volume.wal, volume.database, volume.rolled) = (None, false, false);
}
