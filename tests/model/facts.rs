//! From the world to what the real plans take. Answers of the plans are remembered: they are pure.

use std::{cell::RefCell, sync::LazyLock, time::Duration};

use etcd_agent::{
    plan::{
        addresses::Addresses,
        list::{Cluster, Entry},
        start::{self, Claim, Identity, Known, Object, Start},
        trust::Neighbours,
    },
    volume::{
        Volume,
        mark::{self, Voter, Wish},
        store::Marked,
    },
};

use etcd_operator_shared::api::member::ToldRestore;

use crate::{
    config::Config,
    hash::Memo,
    mistake::{Mistake, Rules},
    places::seats,
    world::{GHOST, Id, Ids, Life, Mark, Notes, SEATS, Suspicion, View, World, bit, ids, initial_id, seat_of},
};

/// Everything that [`start::start`] is asked with, as small values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    seat: usize,
    uid: u8,
    incarnation: u8,
    mark: Option<Mark>,
    lived: bool,
    wal: bool,
    remains: bool,
    deaf: bool,
    /// `None`: not heard, and not to be awaited.
    object: Option<Option<Notes>>,
    awaited: bool,
    current: bool,
    founders: u8,
    /// Whether the token says that the life begins with data.
    restored: bool,
    list: Option<Config>,
    started: Ids,
    expelled: bool,
    neighbours: [Neighbour; SEATS],
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Blank,
    Unmarked,
    Marked,
}

thread_local! {
    static ANSWERS: RefCell<Memo<Question, Start>> = RefCell::default();
}

/// Name of an ID, as etcd would print one.
#[must_use]
pub fn id_name(id: Id) -> String {
    format!("{id:x}")
}

/// The ID with this name.
#[must_use]
pub fn id_of(name: &str) -> Id {
    u8::from_str_radix(name, 16).unwrap_or(u8::MAX)
}

#[must_use]
pub fn member(seat: usize) -> String {
    format!("demo-{seat}")
}

#[must_use]
pub fn identity(seat: usize, uid: u8, incarnation: u8) -> Identity {
    Identity {
        cluster_uid: "u".into(),
        incarnation: incarnation.into(),
        member: member(seat),
        ordinal: seat as u32,
        pod_uid: format!("pod{uid}"),
    }
}

/// The list as etcd gives it.
#[must_use]
pub fn list(config: Config, started: Ids) -> Vec<Entry> {
    let entry = |id: Id| Entry {
        id: id_name(id),
        member: member(seat_of(id)),
        ordinal: Some(seat_of(id) as u32),
        learner: config.learners & bit(id) != 0,
        started: started & bit(id) != 0,
    };
    ids(config.all()).map(entry).collect()
}

/// What is known of an EtcdMember.
#[must_use]
pub fn known(seat: usize, notes: Notes, founders: u8, current: bool) -> Known {
    let claim = |(number, volume_id): (u8, u8)| Claim { number: number.into(), volume_id: volume_name(volume_id) };
    Known {
        cluster_uid: "u".into(),
        incarnation: notes.incarnation.into(),
        initial: notes.initial,
        initial_members: (0..usize::from(founders)).map(member).collect(),
        initial_id: id_name(initial_id(notes.incarnation, seat)),
        begins_with: None,
        restore: notes.restore.map(|served| told_of_data(notes.incarnation, served)),
        claim: notes.claim.map(claim),
        counter: notes.counter.into(),
        stopped: notes.stopped,
        wish: Wish { paused: notes.paused, held: false },
        size: notes.size.into(),
        left: notes.left.map(|uid| format!("pod{uid}")),
        current,
    }
}

fn told_of_data(incarnation: u8, served: bool) -> ToldRestore {
    ToldRestore { digest: digest(incarnation), size: 1, from: served.then(|| "there".into()), bump: None }
}

fn digest(incarnation: u8) -> String {
    format!("life{incarnation}")
}

fn volume_name(volume_id: u8) -> String {
    format!("v{volume_id}")
}

/// The real mark.
#[must_use]
pub fn real_mark(seat: usize, mark: Mark) -> etcd_agent::volume::Mark {
    let Mark { ident, joined, replacing, retired, counter, voters, suspicion } = mark;
    let voter = |id: Id| Voter { id: id_name(id), member: member(seat_of(id)), ordinal: Some(seat_of(id) as u32) };
    let voters: Vec<Voter> = ids(voters).map(voter).collect();
    let lost = || voters.iter().filter(|voter| Some(&voter.id) != ident.id.map(id_name).as_ref()).cloned().collect();
    let suspicion = suspicion.map(|suspicion| match suspicion {
        Suspicion::OtherId => mark::Suspicion::OtherId { found: "another".into() },
        Suspicion::Forced => mark::Suspicion::Forced { lost: lost() },
    });
    let identity = mark::Identity {
        cluster_uid: "u".into(),
        incarnation: ident.incarnation.into(),
        member: member(seat),
        volume_id: volume_name(ident.volume_id),
        claim: ident.claim.into(),
        member_id: ident.id.map(id_name),
    };
    let retired = retired.map(|uid| format!("pod{uid}"));
    let counter = counter.into();
    let fresh = etcd_agent::volume::Mark::new(identity);
    etcd_agent::volume::Mark { joined, replacing, retired, counter, voters, suspicion, ..fresh }
}

/// What the agent at a seat says of its volume, if there is one to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Neighbour {
    Silent,
    Holds(Option<Id>),
}

/// What the agents of the others say, by member.
#[must_use]
pub fn neighbours(said: [Neighbour; SEATS]) -> Neighbours {
    let said = said.into_iter().enumerate();
    let answered = said.filter_map(|(seat, said)| match said {
        Neighbour::Silent => None,
        Neighbour::Holds(id) => Some((member(seat), id.map(id_name))),
    });
    answered.collect()
}

fn known_addresses() -> &'static Addresses {
    static LONG_AGO: LazyLock<Addresses> =
        LazyLock::new(|| Addresses { waited: Duration::from_secs(3600), ..Addresses::default() });
    &LONG_AGO
}

impl World {
    /// What the other agents say of their volumes. The node that was cut off is not asked: its successor has its address.
    #[must_use]
    pub fn neighbours(&self, place: usize) -> [Neighbour; SEATS] {
        let own = self.ordinal(place);
        std::array::from_fn(|seat| {
            let volume = self.seats[seat].volume.filter(|_| self.seats[seat].pod.is_some() && seat != own);
            let mark = volume.map(|volume| volume.mark.filter(|mark| mark.retired.is_none()));
            mark.map_or(Neighbour::Silent, |mark| Neighbour::Holds(mark.and_then(|mark| mark.ident.id)))
        })
    }

    /// What the EtcdMember is to the agent at this place.
    #[must_use]
    pub fn object_of(&self, place: usize) -> Object {
        let Some(pod) = self.pod(place) else { return Object::Away };
        let founders = self.life(pod.incarnation).founders;
        match pod.agent.view {
            View::Seen(notes) => Object::Known(known(self.ordinal(place), notes, founders, self.api)),
            View::Missing => Object::Missing,
            View::Unheard if self.api => Object::Awaited,
            View::Unheard => Object::Away,
        }
    }

    /// A seat whose etcd was forced to be alone and whose agent vouches for it all the same.
    #[must_use]
    pub fn trusted_alone(&self, rules: &Rules) -> Option<usize> {
        seats().find(|seat| {
            let forced = self.seats[*seat].volume.and_then(|v| v.wal).is_some_and(|wal| wal.forced);
            let runs = self.pod(*seat).is_some_and(|pod| pod.runs());
            forced && runs && *seat != GHOST && self.trusts_itself(*seat, rules)
        })
    }

    /// The question that the agent at this place asks the plan, with this list or none.
    #[must_use]
    pub fn question(&self, place: usize, list: Option<Config>, rules: &Rules) -> Option<Question> {
        let (pod, volume) = (self.pod(place)?, self.volume(place)?);
        let object = match pod.agent.view {
            View::Unheard => None,
            View::Missing => Some(None),
            View::Seen(notes) => Some(Some(notes)),
        };
        let wal = volume.has_wal();
        let kind = match volume.mark {
            Some(_) => Kind::Marked,
            None if wal || volume.database => Kind::Unmarked,
            None => Kind::Blank,
        };
        let lived = volume.mark.is_some_and(|mark| volume.lived == Some(mark.ident.volume_id));
        let seat = self.ordinal(place);
        let Life { founders, restored, .. } = *self.life(pod.incarnation);
        let mut question = Question {
            seat,
            uid: pod.uid,
            incarnation: pod.incarnation,
            mark: volume.mark,
            lived,
            wal,
            remains: wal || volume.database,
            deaf: pod.agent.deaf,
            object,
            awaited: object.is_none() && self.api,
            current: self.api,
            founders,
            restored,
            list,
            started: list.map_or(0, |config| config.all() & self.started),
            expelled: pod.expelled,
            neighbours: self.neighbours(place),
            kind,
        };
        question.twist(rules);
        Some(question)
    }
}

impl Question {
    /// What a planted mistake makes of the facts.
    fn twist(&mut self, rules: &Rules) {
        let notes = self.object.as_mut().and_then(Option::as_mut);
        match rules.mistake {
            Some(Mistake::NoInitial) => {
                if let Some(notes) = notes {
                    notes.initial = true;
                }
            }
            Some(Mistake::BeginsEmpty) => {
                notes.into_iter().for_each(|notes| notes.restore = None);
                self.restored = false;
            }
            Some(Mistake::UntoldIsEmpty) => self.restored = false,
            Some(Mistake::RestoresUnclaimed) => {
                let presumed = self.mark.filter(|mark| mark.ident.id.is_some() && !mark.joined);
                if let (Some(notes), Some(mark)) = (notes, presumed) {
                    notes.claim = Some((mark.ident.claim, mark.ident.volume_id));
                }
            }
            Some(Mistake::NoRest) => notes.into_iter().for_each(|notes| notes.paused = false),
            Some(Mistake::NoLived) => self.lived = self.wal,
            Some(Mistake::DatabaseIsNoData) => self.remains = self.wal,
            Some(Mistake::LeftNotFinal) => {
                let wanted = notes.as_ref().is_some_and(|notes| usize::from(notes.size) > self.seat);
                if let (Some(notes), true) = (notes, wanted) {
                    notes.left = None;
                    let retired = self.mark.as_mut().filter(|mark| mark.retired == Some(self.uid));
                    retired.into_iter().for_each(|mark| mark.retired = Some(u8::MAX));
                }
            }
            Some(Mistake::OlderIncarnation) => {
                if let Some(mark) = self.mark.as_mut() {
                    mark.ident.incarnation = self.incarnation;
                }
            }
            Some(Mistake::SilenceIsAbsence) => self.list = self.list.or(Some(Config { voters: 0, learners: 0 })),
            Some(Mistake::NoCounter) => {
                if let Some(notes) = notes {
                    notes.counter = 0;
                }
            }
            _ => {}
        }
    }

    /// The real plan's answer.
    #[must_use]
    pub fn ask(&self) -> Start {
        ANSWERS.with_borrow_mut(|answers| answers.entry(*self).or_insert_with(|| self.ask_plan()).clone())
    }

    fn ask_plan(&self) -> Start {
        let me = identity(self.seat, self.uid, self.incarnation);
        let volume = match (self.kind, self.mark) {
            (Kind::Marked, Some(mark)) => Volume::Marked(Marked {
                mark: real_mark(self.seat, mark),
                lived: self.lived,
                wal: self.wal,
                remains: self.remains,
            }),
            (Kind::Unmarked, _) => Volume::Unmarked,
            (Kind::Blank | Kind::Marked, _) => Volume::Blank,
        };
        let object = match self.object {
            Some(Some(notes)) => {
                let begins_with = self.restored.then(|| digest(notes.incarnation));
                Object::Known(Known { begins_with, ..known(self.seat, notes, self.founders, self.current) })
            }
            Some(None) => Object::Missing,
            None if self.awaited => Object::Awaited,
            None => Object::Away,
        };
        let cluster = match self.list {
            Some(config) => Cluster::Answers(list(config, self.started)),
            None => Cluster::Silent("nobody answers".into()),
        };
        start::start(start::Facts {
            me: &me,
            volume: &volume,
            object: &object,
            cluster: &cluster,
            expelled: self.expelled,
            neighbours: &neighbours(self.neighbours),
            // Names are known: they only hold a start up.
            addresses: known_addresses(),
            // Certificates too.
            certified: true,
            launcher: if self.deaf { start::Launcher::Unheard } else { start::Launcher::Rests },
        })
    }
}
