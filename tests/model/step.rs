//! Every way in which a world can go on.

use crate::{
    agent::Deed,
    chores::Chore,
    faults::Fault,
    mistake::Rules,
    perform::Outcome,
    world::{GHOST, Ids, PLACES, Server, World},
};

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// What the agent at this place reads and writes goes through again.
    Watch(usize),
    /// The agent there hears the others' list.
    Hear(usize),
    Turn(usize, Deed),
    /// The answer that the agent there has goes onto the mark.
    Note(usize),
    /// The order there reaches the launcher.
    Order(usize),
    /// The launcher there starts etcd again by itself.
    Restart(usize),
    /// etcd there finds that it was removed.
    Expelled(usize),
    Elect {
        place: usize,
        with: Ids,
    },
    /// A member that was left behind is caught up with.
    CatchUp(usize),
    /// A client's write is acknowledged.
    Write,
    Chore(Chore),
    /// A request arrives whose sender has given it up.
    Stray,
    /// The API server answers again.
    Return,
    /// What a life begins with is served again.
    Serve,
    /// The user lets all go on.
    Unpause,
    /// The node that was cut off is gone for good.
    Fenced,
    Fault(Fault),
}

/// One way to go on.
#[derive(Debug, Clone)]
pub struct Step {
    pub action: Action,
    pub outcome: Outcome,
}

impl World {
    /// All of them.
    #[must_use]
    pub fn steps_on(&self, rules: &Rules) -> Vec<Step> {
        let mut steps = vec![];
        let mut add = |action: Action, outcomes: Vec<Outcome>| {
            let settle = |outcome: Outcome| {
                outcome.map(|mut next| {
                    next.settle(rules);
                    next
                })
            };
            let step = |outcome| Step { action: action.clone(), outcome: settle(outcome) };
            steps.extend(outcomes.into_iter().map(step));
        };
        for place in 0..PLACES {
            if self.pod(place).is_some() {
                self.steps_at(place, rules, &mut add);
            }
        }
        self.writes(&mut add);
        for chore in self.chores(rules) {
            add(Action::Chore(chore), self.done(chore));
        }
        add(Action::Stray, self.stray_arrives(rules));
        if !self.api && rules.api_returns {
            add(Action::Return, self.with(|next| next.api = true));
        }
        if self.server != Server::Serves && self.api {
            add(Action::Serve, self.with(|next| next.server = Server::Serves));
        }
        if self.paused && self.api {
            add(Action::Unpause, self.with(|next| next.paused = false));
        }
        if self.ghost.is_some() {
            add(
                Action::Fenced,
                self.with(|next| {
                    next.lose(GHOST);
                    next.ghost = None;
                }),
            );
        }
        for (fault, next) in self.faults(rules) {
            add(Action::Fault(fault), vec![Ok(next)]);
        }
        steps
    }

    fn steps_at(&self, place: usize, rules: &Rules, add: &mut impl FnMut(Action, Vec<Outcome>)) {
        if self.pod(place).is_some_and(|pod| pod.agent.blind || pod.agent.mute || pod.agent.deaf) {
            add(Action::Watch(place), self.with(|next| next.see(place)));
        }
        if rules.late_lists && self.asks(place, rules) {
            add(Action::Hear(place), self.hear(place));
        }
        for deed in self.turns(place, rules) {
            let outcomes = self.perform(place, &deed, rules);
            add(Action::Turn(place, deed), outcomes);
        }
        add(Action::Note(place), self.note(place, rules));
        add(Action::Order(place), self.order_arrives(place, rules));
        add(Action::Restart(place), self.restarts(place, rules));
        add(Action::Expelled(place), self.expelled(place));
        self.elect(place, add);
        add(Action::CatchUp(place), self.hastened(place).map(Ok).into_iter().collect());
    }

    fn hear(&self, place: usize) -> Vec<Outcome> {
        let Some(incarnation) = self.pod(place).map(|pod| pod.incarnation) else { return vec![] };
        if !self.answers(place, incarnation) {
            return vec![];
        }
        let len = self.life(incarnation).len;
        self.with(|next| {
            if let Some(pod) = next.pod_mut(place) {
                pod.agent.heard = Some(len);
            }
        })
    }

    /// An election is held when nobody can commit; while somebody can, at the cost of `unrest`.
    fn elect(&self, place: usize, add: &mut impl FnMut(Action, Vec<Outcome>)) {
        let Some(wal) = self.volume(place).and_then(|volume| volume.wal) else { return };
        let calm = self.leader(wal.incarnation).is_none();
        if !calm && self.budget.unrest == 0 {
            return;
        }
        let mut before = self.clone();
        before.budget.unrest -= u8::from(!calm);
        for (with, outcome) in before.elections(place) {
            add(Action::Elect { place, with }, vec![outcome]);
        }
    }

    fn writes(&self, add: &mut impl FnMut(Action, Vec<Outcome>)) {
        let full = usize::from(self.life(self.incarnation).len) == crate::world::LOG;
        if self.budget.writes == 0 || full {
            return;
        }
        let mut before = self.clone();
        before.budget.writes -= 1;
        add(Action::Write, before.committed(self.incarnation, crate::world::Entry::Write));
    }

    fn see(&mut self, place: usize) {
        if let Some(pod) = self.pod_mut(place) {
            (pod.agent.blind, pod.agent.mute, pod.agent.deaf) = (false, false, false);
        }
    }

    /// Whether a place is the node that was cut off.
    #[must_use]
    pub fn is_ghost(place: usize) -> bool {
        place == GHOST
    }
}
