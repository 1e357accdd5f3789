//! The agents' turns: facts from the world, the real plans, and what they say is to be done.
//!
//! One effect a turn, as in the real loop. A list comes only where the step without one asks for it; it is as of now, or, where
//! answers are late, as of when it was heard. How long somebody has been away is for the world to choose: a wait may end
//! at once where that is harmless, and at the cost of `haste` where it is not.

use std::time::Duration;

use etcd_agent::{
    plan::{
        learn::{self, Learn},
        leave::Leave,
        list::{Cluster, Entry},
        running::{self, Running, Said, Wrong, running},
        start::{Object, Start},
        steward::{Removal, Seat, Why},
        trust::{self, Trust},
    },
    volume::mark::Suspicion,
};

use crate::{
    config::Config,
    facts::{id_name, id_of, identity, list, neighbours, real_mark},
    mistake::{Mistake, Rules},
    world::{self, Answer, Id, Ids, Process, Wal, World, bit},
};

/// What an agent does in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A step towards a start.
    Plan(Start),
    /// Only a planted mistake: the entry's ID goes onto the mark.
    Adopt(Id),
    /// Only a planted mistake: the ID goes onto the mark, and nobody is asked.
    Presume(Id),
    /// Only a planted mistake: what was restored is put in place, whatever the plan says by now.
    PlaceUnasked,
    /// etcd is not the mark's, or says that it is alone: it is stopped, and the mark says why.
    Suspect(world::Suspicion),
    /// The mark takes the voters.
    Record(Ids),
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

/// ID of the cluster, of whichever incarnation.
const CLUSTER: &str = "c";

/// What time and the API server leave open.
#[derive(Debug, Clone, Copy)]
struct Times {
    stalled: Duration,
    wished_for: Duration,
    may_write: bool,
}

/// Longer than anybody waits.
const LONG: Duration = Duration::from_secs(100_000);

impl World {
    /// What the agent at this place may do next.
    #[must_use]
    pub fn turns(&self, place: usize, rules: &Rules) -> Vec<Deed> {
        match self.pod(place).map(|pod| if pod.agent.deaf { Process::Idle } else { pod.process }) {
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
        let (me, object) = (identity(self.ordinal(place), pod.uid, pod.incarnation), self.object_of(place));
        let joined = self.known_mark(place).is_some_and(|mark| mark.joined);
        if pod.process != Process::Idle && !pod.agent.deaf {
            return running::needs_list(&me, &object, joined, None);
        }
        let surplus = running::needs_list(&me, &object, false, None);
        let silent = self.question(place, None, rules).map(|question| question.ask());
        silent.is_some_and(|step| step.needs_list() || pod.expelled || (surplus && step != Start::Left))
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
        let turned_away = rules.mistake == Some(Mistake::TurnedAwayForGood);
        steps
            .retain(|step| !(turned_away && *step == Start::Resume && self.pod(place).is_some_and(|pod| pod.expelled)));
        let mut deeds: Vec<Deed> = steps.into_iter().map(|step| self.twisted(place, step, rules)).collect();
        if rules.mistake == Some(Mistake::PlacesUnasked) {
            deeds.push(Deed::PlaceUnasked);
        }
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
            (Some(Mistake::RestoresUnclaimed), Start::Claim { member_id: Some(id), .. }) if self.begins(place) => {
                Deed::Presume(id_of(id))
            }
            _ => Deed::Plan(step),
        }
    }

    /// Whether the volume there has no data and no ID of its own yet.
    fn begins(&self, place: usize) -> bool {
        let blank =
            |volume: &world::Volume| !volume.has_wal() && volume.mark.is_some_and(|mark| mark.ident.id.is_none());
        self.volume(place).is_some_and(blank)
    }

    /// What is due while etcd runs or is about to be started again: the real plan's step, with every wait that may be over
    /// and every answer that may be there.
    fn duties(&self, place: usize, rules: &Rules) -> Vec<Deed> {
        let mut deeds = vec![];
        let list = self.list_for(place, rules);
        let clusters = [Cluster::Awaited].into_iter().chain(list.map(|config| self.answer(config)));
        for cluster in clusters {
            for (stalled, wished_for) in
                [(Duration::ZERO, Duration::ZERO), (learn::STALLED, Duration::ZERO), (Duration::ZERO, LONG)]
            {
                for may_write in [true, false] {
                    let times = Times { stalled, wished_for, may_write };
                    deeds.extend(self.duty(place, &cluster, times, rules));
                }
            }
        }
        let mut seen: Vec<Deed> = vec![];
        for deed in deeds {
            let hasty = matches!(deed, Deed::Steward { hasty: true, .. });
            if !seen.contains(&deed) && (!hasty || self.budget.haste > 0) {
                seen.push(deed);
            }
        }
        seen
    }

    fn answer(&self, config: Config) -> Cluster {
        Cluster::Answers(list(config, self.started))
    }

    /// The real plan's step with these facts.
    fn duty(&self, place: usize, cluster: &Cluster, times: Times, rules: &Rules) -> Option<Deed> {
        let (pod, mark) = (self.pod(place)?, self.known_mark(place)?);
        let mut object = self.object_of(place);
        let real = real_mark(self.ordinal(place), mark);
        let wal = self.volume(place)?.wal;
        let own_id = wal.map(|wal| id_name(wal.id)).unwrap_or_default();
        let listed = wal.and_then(|wal| self.own_list(place, wal)).filter(|_| rules.records);
        let leads = self.leader(pod.incarnation).is_some_and(|(at, _)| at == place);
        let mut said = wal.filter(|_| pod.runs()).map(|_| Said {
            member_id: &own_id,
            cluster_id: CLUSTER,
            leads: pod.leads(),
            list: listed.as_deref(),
        });
        match (rules.mistake, &mut said, &mut object) {
            (Some(Mistake::SupersededGoesOn), _, Object::Known(known)) => known.claim = None,
            (Some(Mistake::OtherIdGoesOn), Some(said), _) => {
                said.member_id = real.member_id.as_deref().unwrap_or_default();
            }
            _ => {}
        }
        let seats = self.sights(pod.incarnation);
        if let (Some(Mistake::AwayIsRemoved), true, Some(away)) =
            (rules.mistake, leads, seats.iter().find(|seat| seat.away.is_some()))
        {
            return Some(Deed::Steward { id: id_of(&away.entry.id), why: "it is away", hasty: false });
        }
        let Times { stalled, wished_for, may_write } = times;
        let step = running(running::Facts {
            me: &identity(self.ordinal(place), pod.uid, pod.incarnation),
            cluster_id: CLUSTER,
            mark: &real,
            process: if pod.runs() { running::Process::Running } else { running::Process::Pausing },
            object: &object,
            neighbours: &neighbours(self.neighbours(place)),
            cluster,
            etcd: said,
            ran: None,
            downgrade: (None, None),
            trusted: false,
            up_to_date: true,
            votes: false,
            progress: running::Progress { stalled, serves: Some(Duration::ZERO), mute: None, reopened: false },
            seats: &seats,
            wished_for,
            count_due: false,
            options: running::Options::default(),
            upkeep: None,
            compared: None,
            may_write,
        });
        self.deed(place, leads, step)
    }

    /// What a step is here.
    fn deed(&self, place: usize, leads: bool, step: Running) -> Option<Deed> {
        match step {
            Running::Kill(Wrong::Suspicious(Suspicion::Forced { .. })) => Some(Deed::Suspect(world::Suspicion::Forced)),
            Running::Kill(Wrong::Suspicious(Suspicion::OtherId { .. } | Suspicion::OtherCluster { .. })) => {
                Some(Deed::Suspect(world::Suspicion::OtherId))
            }
            Running::Kill(Wrong::OlderCopy { .. }) => Some(Deed::Halt("its volume is an older copy")),
            Running::Halt(why) => Some(Deed::Halt(why.sentence())),
            Running::Record(voters) => {
                Some(Deed::Record(voters.iter().fold(0, |set, voter| set | bit(id_of(&voter.id)))))
            }
            Running::Claim { number, member_id } => {
                Some(Deed::ClaimLate { number: u8::try_from(number).unwrap_or(u8::MAX), id: id_of(&member_id) })
            }
            Running::HandOver { to } | Running::Leave(Leave::MoveLeader { to }) => Some(Deed::MoveLeader(id_of(&to))),
            Running::Leave(Leave::Remove { id }) => Some(Deed::Remove(id_of(&id), "it is not wanted any more")),
            Running::Leave(Leave::Halt) => Some(Deed::Halt("it is out of the membership")),
            Running::Learn(Learn::Promote { id }) => Some(Deed::Promote(id_of(&id))),
            Running::Learn(Learn::GiveUp { id }) => {
                Some(Deed::Steward { id: id_of(&id), why: "the learner gives up", hasty: true })
            }
            // A leader that cannot commit changes nothing.
            Running::Remove(removal) if leads => Some(self.removal(place, &removal)),
            // etcd started once more is an etcd that crashed. The counter rises by time only where there is time.
            Running::Learn(Learn::Done | Learn::Reopen { .. } | Learn::Wait)
            | Running::Leave(Leave::Silent | Leave::After(_))
            | Running::Remove(_)
            | Running::Version { .. }
            | Running::Options(_)
            | Running::Hurry
            | Running::Downgrade(_)
            | Running::Compare(_)
            | Running::Upkeep(_)
            | Running::Count
            | Running::Nothing => None,
        }
    }

    fn removal(&self, place: usize, removal: &Removal) -> Deed {
        let id = id_of(&removal.id);
        let incarnation = self.pod(place).map_or(1, |pod| pod.incarnation);
        let hasty = match removal.why {
            Why::SurplusAndAway => false,
            Why::SurplusAndSlow | Why::LearnerMute => true,
            Why::LearnerAway => self.may_come(incarnation, id),
        };
        Deed::Steward { id, why: removal.why.sentence(), hasty }
    }

    /// The members as a leader sees them: one that does not run is away, for as long as it takes.
    fn sights(&self, incarnation: u8) -> Vec<Seat> {
        let seat = |entry: Entry| {
            let runs = self.place_of(incarnation, id_of(&entry.id)).is_some();
            Seat { away: (!runs).then_some(LONG), mute: None, entry }
        };
        list(self.config(incarnation), self.started).into_iter().map(seat).collect()
    }

    /// The list that a linearizable read of this place's etcd confirms.
    fn own_list(&self, place: usize, wal: Wal) -> Option<Vec<Entry>> {
        if wal.forced {
            return Some(list(Config { voters: bit(wal.id), learners: 0 }, self.started));
        }
        let config = self.config(wal.incarnation);
        let serves = self.running(wal.incarnation).any(|(at, wal)| at == place && config.has(wal.id) && wal.len > 0);
        (serves && self.leader(wal.incarnation).is_some()).then(|| list(config, self.started))
    }

    /// Whether the agent there, asked for the first time in this run, takes its etcd's list for the cluster's.
    #[must_use]
    pub fn trusts_itself(&self, place: usize, rules: &Rules) -> bool {
        let (Some(mark), Some(wal)) = (self.known_mark(place), self.volume(place).and_then(|v| v.wal)) else {
            return false;
        };
        let (mark, object) = (real_mark(self.ordinal(place), mark), self.object_of(place));
        let facts = trust::Facts {
            own_id: &id_name(wal.id),
            recorded: if rules.mistake == Some(Mistake::AloneIsTrusted) { &[] } else { &mark.voters },
            object: &object,
            neighbours: &neighbours(self.neighbours(place)),
        };
        let list = self.own_list(place, wal);
        list.is_some_and(|list| matches!(trust::judge(facts, &list), Trust::Trusted(_)))
    }

    /// Whether an ID that was added may still start by itself.
    fn may_come(&self, incarnation: u8, id: Id) -> bool {
        self.pods().any(|(place, pod)| {
            let marked = self.volume(place).and_then(|volume| volume.mark).and_then(|mark| mark.ident.id);
            pod.incarnation == incarnation && (marked == Some(id) || pod.agent.answer == Some(Answer::Added(id)))
        })
    }
}
