//! The agents' turns: facts from the world, the real plans, and what they say is to be done.
//!
//! One effect a turn, as in the real loop. A list comes only where the step without one asks for it; it is as of now, or, where
//! answers are late, as of when it was heard. How long somebody has been away is for the world to choose: a wait may end
//! at once where that is harmless, and at the cost of `haste` where it is not.

use std::time::Duration;

use etcd_agent::plan::{
    learn::{self, Learn, learn},
    leave::{self, Leave, leave},
    list::Cluster,
    start::Start,
    steward::{self, Seat, Why},
};

use crate::{
    config::Config,
    facts::{dooms, id_name, id_of, identity, list, next_claim, ordinal},
    mistake::{Mistake, Rules},
    world::{Answer, Id, Mark, Process, View, Wal, World, bit, ids, seat_of},
};

/// What an agent does in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A step towards a start.
    Plan(Start),
    /// Only a planted mistake: the entry's ID goes onto the mark.
    Adopt(Id),
    /// etcd runs under another ID than the mark's: it is stopped.
    Mistaken,
    /// etcd is stopped.
    Halt(&'static str),
    MoveLeader(Id),
    /// An entry is removed, through another member.
    Remove(Id, &'static str),
    /// The same beside the leader; `hasty` if it waited less than it should.
    Steward {
        id: Id,
        why: &'static str,
        hasty: bool,
    },
    Promote(Id),
    /// The claim of a member that joined and runs.
    ClaimLate {
        number: u8,
        id: Id,
    },
}

/// Longer than anybody waits.
const LONG: Duration = Duration::from_secs(100_000);

impl World {
    /// What the agent at this place may do next.
    #[must_use]
    pub fn turns(&self, place: usize, rules: &Rules) -> Vec<Deed> {
        match self.pod(place).map(|pod| pod.process) {
            None => vec![],
            Some(Process::Idle) => self.steps(place, rules),
            Some(Process::Pausing | Process::Running { .. }) => self.duties(place, rules),
        }
    }

    /// The list that the agent there can have now.
    #[must_use]
    pub fn list_for(&self, place: usize, rules: &Rules) -> Option<Config> {
        let pod = self.pod(place)?;
        if matches!(pod.agent.answer, Some(Answer::Added(_))) {
            return None;
        }
        if rules.late_lists {
            return Some(self.life(pod.incarnation).config(pod.agent.heard?));
        }
        self.answers(place, pod.incarnation).then(|| self.config(pod.incarnation))
    }

    /// Whether the agent there asks the others for their list.
    #[must_use]
    pub fn asks(&self, place: usize, rules: &Rules) -> bool {
        let Some(pod) = self.pod(place) else { return false };
        let doomed = dooms(self, place);
        if pod.process != Process::Idle {
            return doomed || self.known_mark(place).is_some_and(|mark| mark.joined);
        }
        let silent = self.question(place, None, rules).map(|question| question.ask());
        silent.is_some_and(|step| step.needs_list() || (doomed && step != Start::Left))
    }

    fn steps(&self, place: usize, rules: &Rules) -> Vec<Deed> {
        let ask = |list| self.question(place, list, rules).map(|question| question.ask());
        let mut steps: Vec<Start> = ask(None).into_iter().collect();
        if self.asks(place, rules)
            && let Some(list) = self.list_for(place, rules)
        {
            steps.extend(ask(Some(list)));
        }
        steps.dedup();
        let mut deeds: Vec<Deed> = steps.into_iter().map(|step| self.twisted(place, step, rules)).collect();
        if rules.mistake == Some(Mistake::IdAfterStart)
            && matches!(self.pod(place).and_then(|pod| pod.agent.answer), Some(Answer::Added(_)))
        {
            deeds.push(Deed::Plan(Start::Join));
        }
        deeds
    }

    /// What a planted mistake makes of a step.
    fn twisted(&self, place: usize, step: Start, rules: &Rules) -> Deed {
        match (rules.mistake, &step) {
            (Some(Mistake::NewOnSilence), Start::Stranded(_))
                if self.volume(place).is_some_and(|volume| !volume.has_wal()) =>
            {
                Deed::Plan(Start::Bootstrap)
            }
            (Some(Mistake::AdoptByList), Start::Remove { id }) if self.started & bit(id_of(id)) == 0 => {
                Deed::Adopt(id_of(id))
            }
            _ => Deed::Plan(step),
        }
    }

    fn duties(&self, place: usize, rules: &Rules) -> Vec<Deed> {
        let (Some(pod), Some(mark)) = (self.pod(place), self.known_mark(place)) else { return vec![] };
        let (Some(wal), View::Seen(notes)) = (self.volume(place).and_then(|v| v.wal), pod.agent.view) else {
            return self.unwatched_duties(place, mark, rules);
        };
        if pod.runs() && mark.ident.id.is_some_and(|id| id != wal.id) {
            return vec![Deed::Mistaken];
        }
        let mut deeds = vec![];
        let superseded = notes.claim.is_some_and(|(number, volume_id)| {
            volume_id != mark.ident.volume_id && number > mark.ident.claim && !(mark.joined && mark.ident.claim == 0)
        });
        if superseded && pod.runs() {
            deeds.push(Deed::Halt("another volume speaks for the member"));
        }
        if dooms(self, place) {
            deeds.extend(self.leaving(place, wal, mark, notes.size, rules));
        } else {
            deeds.extend(self.unwatched_duties(place, mark, rules));
        }
        let founders = self.life(pod.incarnation).founders;
        if let (Some(id), true) = (mark.ident.id, mark.joined)
            && let Some(number) = next_claim(self.ordinal(place), mark, notes, founders)
        {
            deeds.push(Deed::ClaimLate { number, id });
        }
        deeds
    }

    /// What is due whoever is wanted: to become a voter, and to look after others.
    fn unwatched_duties(&self, place: usize, mark: Mark, rules: &Rules) -> Vec<Deed> {
        let mut deeds = self.learning(place, mark, rules);
        let leads = self.leader(self.pod(place).map_or(1, |pod| pod.incarnation)).is_some_and(|(at, _)| at == place);
        if leads {
            deeds.extend(self.stewardship(place, rules));
        }
        deeds
    }

    fn leaving(&self, place: usize, wal: Wal, mark: Mark, size: u8, rules: &Rules) -> Vec<Deed> {
        let (Some(pod), Some(own)) = (self.pod(place), mark.ident.id) else { return vec![] };
        if pod.process == Process::Pausing {
            return vec![Deed::Halt("a member that keeps ending is not brought back to leave")];
        }
        let Some(config) = self.list_for(place, rules) else { return vec![] };
        let me = identity(self.ordinal(place), pod.uid, pod.incarnation);
        let absent = ids(config.all()).filter(|id| self.place_of(wal.incarnation, *id).is_none());
        let away: Vec<String> = if pod.leads() { absent.map(id_name).collect() } else { vec![] };
        let (own_id, cluster) = (id_name(own), Cluster::Answers(list(config, self.started)));
        let facts = leave::Facts {
            me: &me,
            own_id: &own_id,
            size: size.into(),
            leads: pod.leads(),
            cluster: &cluster,
            away: &away,
            ordinal,
        };
        match leave(facts) {
            Leave::Silent | Leave::After(_) => vec![],
            Leave::MoveLeader { to } => vec![Deed::MoveLeader(id_of(&to))],
            Leave::Remove { id } => vec![Deed::Remove(id_of(&id), "it is not wanted any more")],
            Leave::Halt => vec![Deed::Halt("it is out of the membership")],
        }
    }

    fn learning(&self, place: usize, mark: Mark, rules: &Rules) -> Vec<Deed> {
        let (Some(own), true) = (mark.ident.id, mark.joined) else { return vec![] };
        let Some(config) = self.list_for(place, rules) else { return vec![] };
        let cluster = Cluster::Answers(list(config, self.started));
        let waits = [Duration::ZERO, learn::STALLED];
        let waits = &waits[..if self.budget.haste > 0 { 2 } else { 1 }];
        let own_id = id_name(own);
        let facts = |stalled: &Duration| learn::Facts {
            own_id: &own_id,
            cluster: &cluster,
            stalled: *stalled,
            serves: Some(Duration::ZERO),
            mute: None,
            reopened: false,
        };
        let steps = waits.iter().map(|stalled| learn(facts(stalled)));
        let deed = |step| match step {
            Learn::Promote { id } => Some(Deed::Promote(id_of(&id))),
            Learn::GiveUp { id } => Some(Deed::Steward { id: id_of(&id), why: "the learner gives up", hasty: true }),
            // etcd started once more is an etcd that crashed.
            Learn::Done | Learn::Reopen | Learn::Wait => None,
        };
        steps.filter_map(deed).collect()
    }

    fn stewardship(&self, place: usize, rules: &Rules) -> Vec<Deed> {
        let Some(pod) = self.pod(place) else { return vec![] };
        let size = match pod.agent.view {
            View::Seen(notes) if self.api && !notes.stopped => Some(u32::from(notes.size)),
            View::Seen(_) | View::Unheard | View::Missing => None,
        };
        let config = self.config(pod.incarnation);
        let seat = |entry: etcd_agent::plan::list::Entry| {
            let runs = self.place_of(pod.incarnation, id_of(&entry.id)).is_some();
            Seat { ordinal: Some(seat_of(id_of(&entry.id)) as u32), away: (!runs).then_some(LONG), entry }
        };
        let seats: Vec<Seat> = list(config, self.started).into_iter().map(seat).collect();
        let own_id = self.known_mark(place).and_then(|mark| mark.ident.id).map(id_name).unwrap_or_default();
        if let (Some(Mistake::AwayIsRemoved), Some(away)) = (rules.mistake, seats.iter().find(|s| s.away.is_some())) {
            return vec![Deed::Steward { id: id_of(&away.entry.id), why: "it is away", hasty: false }];
        }
        let mut deeds = vec![];
        for wished_for in [Duration::ZERO, LONG] {
            let facts = steward::Facts { own_id: &own_id, size, wished_for, seats: &seats };
            let Some(removal) = steward::next(facts) else { continue };
            let id = id_of(&removal.id);
            let hasty = match removal.why {
                Why::DoomedAndAway => false,
                Why::DoomedAndSlow => true,
                Why::LearnerAway => self.may_come(pod.incarnation, id),
            };
            deeds.push(Deed::Steward { id, why: removal.why.sentence(), hasty });
        }
        deeds.dedup();
        deeds.retain(|deed| !matches!(deed, Deed::Steward { hasty: true, .. }) || self.budget.haste > 0);
        deeds
    }

    /// Whether an ID that was added may still start by itself.
    fn may_come(&self, incarnation: u8, id: Id) -> bool {
        self.pods().any(|(place, pod)| {
            let marked = self.volume(place).and_then(|volume| volume.mark).and_then(|mark| mark.ident.id);
            pod.incarnation == incarnation && (marked == Some(id) || pod.agent.answer == Some(Answer::Added(id)))
        })
    }
}
