//! What goes through the API server: agents that watch and publish, the coordinator, the StatefulSet's controller.
//!
//! The coordinator's rules stand here a second time and small: its program is no library. One of them acts at a time, on what
//! stands there; only a fall of the replicas is decided now and written later. The addresses of pods are left out.

use etcd_agent::plan::start::Start;

use crate::{
    config::Config,
    mistake::{Mistake, Rules},
    perform::Outcome,
    places::seats,
    world::{Notes, Object, Pod, SEATS, Told, View, Volume, World, bit, initial_id},
};

/// A step of the coordinator or of the StatefulSet's controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// The replicas rise.
    Raise(u8),
    /// It is decided that they fall, or written.
    DecideLower(u8),
    Lower(u8),
    /// A pod that has left is deleted: its ordinal is wanted again.
    Succeed(usize),
    ClearVolume(usize),
    ClearObject(usize),
    /// An EtcdMember is made again.
    Remake(usize),
    /// The next incarnation begins.
    Begin,
    MakePod(usize),
    EndPod(usize),
}

/// Whether an ordinal is a member, as far as it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Member,
    Doubtful,
    Left,
    Absent,
}

impl World {
    /// The watch shows the agent at this place what stands there, unless it hangs. Whether that is news.
    pub fn watch(&mut self, place: usize) -> bool {
        let shown = self.seats[self.ordinal(place)].object.map_or(View::Missing, |object| View::Seen(object.notes));
        let api = self.api;
        let Some(pod) = self.pod_mut(place).filter(|pod| api && !pod.agent.blind) else { return false };
        std::mem::replace(&mut pod.agent.view, shown) != shown
    }

    /// The agent at this place writes its status, by compare-and-swap. Whether it changes anything.
    pub fn publish(&mut self, place: usize, rules: &Rules) -> bool {
        let seat = self.ordinal(place);
        let (Some(pod), Some(object), Some(mark)) = (self.pod(place), self.seats[seat].object, self.known_mark(place))
        else {
            return false;
        };
        if !self.api || pod.agent.mute || pod.agent.view != View::Seen(object.notes) {
            return false;
        }
        let left =
            !pod.runs() && self.question(place, None, rules).is_some_and(|question| question.ask() == Start::Left);
        let mine = object.notes.claim.is_none_or(|(_, volume_id)| volume_id == mark.ident.volume_id);
        // Of twins only the one with the claim speaks: the real agent without it is the quieter, and here it is silent.
        let claimed = object.notes.claim.is_some_and(|(_, volume_id)| volume_id == mark.ident.volume_id);
        if self.ghost.as_ref().is_some_and(|ghost| usize::from(ghost.seat) == seat) && !claimed {
            return false;
        }
        let falls = rules.mistake == Some(Mistake::CounterFalls);
        let counter = match mine {
            true if falls => mark.counter,
            true => mark.counter.max(object.notes.counter),
            false => object.notes.counter,
        };
        let notes = Notes { counter, left: left.then_some(pod.uid), ..object.notes };
        let leader = self.leader(pod.incarnation).filter(|(at, _)| *at == place);
        let seats = self.config(pod.incarnation).seats();
        let told = leader.map(|(_, wal)| Told { term: wal.term, seats, fresh: true });
        let next = Object { notes, spoke: Some(pod.uid), told };
        self.formed |= told.is_some();
        if let Some(pod) = self.pod_mut(place) {
            pod.agent.view = View::Seen(notes);
            pod.has_left |= left;
        }
        self.seats[seat].object.replace(next) != Some(next)
    }

    /// The leader's list as the coordinator believes it, and whether the leader serves.
    fn told(&self) -> (Option<Told>, bool) {
        let heard = |seat: usize| {
            let (object, pod) = (self.seats[seat].object?, self.seats[seat].pod.as_ref()?);
            let told = object.told.filter(|_| object.spoke == Some(pod.uid))?;
            Some((told, self.leader(self.incarnation).is_some_and(|(at, _)| at == seat)))
        };
        let newest = seats().filter_map(heard).max_by_key(|(told, _)| told.term);
        (newest.map(|(told, _)| told), newest.is_some_and(|(_, serves)| serves))
    }

    fn standing(&self, seat: usize, told: Option<Told>) -> Standing {
        let (object, pod) = (self.seats[seat].object, self.seats[seat].pod.as_ref());
        let left = object.and_then(|object| object.notes.left);
        let listed = told.is_some_and(|told| told.seats & 1 << seat != 0);
        let fresh = told.is_some_and(|told| told.fresh && self.is_told(seat));
        let unheard = pod.is_none_or(|pod| object.is_none_or(|object| object.spoke != Some(pod.uid)));
        if !self.formed && !fresh && seat < usize::from(self.life(self.incarnation).founders) {
            return Standing::Member;
        }
        match (pod, told) {
            (Some(pod), _) if left == Some(pod.uid) => Standing::Left,
            (None, Some(_)) if left.is_some() && listed => Standing::Doubtful,
            (None, _) if left.is_some() => Standing::Left,
            (_, None) => Standing::Member,
            (_, Some(_)) if listed => Standing::Member,
            (_, Some(_)) if fresh && unheard => Standing::Absent,
            (_, Some(_)) => Standing::Doubtful,
        }
    }

    /// Whether an EtcdMember has been told what is wanted.
    fn is_told(&self, seat: usize) -> bool {
        self.seats[seat].object.is_none_or(|object| object.notes == self.word(object.notes))
    }

    fn word(&self, notes: Notes) -> Notes {
        let size = if self.wish == 0 { notes.size } else { self.wish };
        Notes { size, stopped: self.wish == 0, ..notes }
    }

    /// Every chore that is due.
    #[must_use]
    pub fn chores(&self, rules: &Rules) -> Vec<Chore> {
        if !self.api {
            return vec![];
        }
        let mut chores = self.controller_chores();
        if self.ending {
            let over = seats().all(|seat| self.seats[seat].pod.is_none());
            chores.extend(match self.replicas {
                0 => over.then_some(Chore::Begin),
                _ => Some(Chore::Lower(0)),
            });
            return chores;
        }
        let missing = |seat: &usize| *seat < usize::from(self.replicas) && self.seats[*seat].object.is_none();
        chores.extend(seats().filter(missing).map(Chore::Remake));
        chores.extend(self.lowering.map(Chore::Lower));
        chores.extend(self.replica_chore(rules));
        let left = |seat: &usize| {
            let (object, pod) = (&self.seats[*seat].object, &self.seats[*seat].pod);
            let left = object.and_then(|object| object.notes.left);
            *seat < usize::from(self.wish) && pod.as_ref().is_some_and(|pod| left == Some(pod.uid))
        };
        chores.extend(seats().filter(left).map(Chore::Succeed));
        chores.extend(self.clearing(rules));
        chores
    }

    fn controller_chores(&self) -> Vec<Chore> {
        let chore = |seat: usize| match (seat < usize::from(self.replicas), &self.seats[seat].pod) {
            (true, None) => Some(Chore::MakePod(seat)),
            (false, Some(_)) => Some(Chore::EndPod(seat)),
            _ => None,
        };
        seats().filter_map(chore).collect()
    }

    fn replica_chore(&self, rules: &Rules) -> Option<Chore> {
        let (told, serves) = self.told();
        let (now, wish) = (self.replicas, self.wish);
        let standings: Vec<Option<Standing>> = (0..SEATS)
            .map(|seat| {
                let counts = self.seats[seat].object.is_some() || seat < usize::from(now);
                counts.then(|| self.standing(seat, told))
            })
            .collect();
        let above = |of: &dyn Fn(Standing) -> bool| {
            standings.iter().rposition(|standing| standing.is_some_and(of)).map_or(0, |seat| seat as u8 + 1)
        };
        let floor = above(&|standing| matches!(standing, Standing::Member | Standing::Doubtful));
        let least = if serves && told.is_none() { 0 } else { above(&|standing| standing == Standing::Member) };
        let all_told = seats().all(|seat| self.is_told(seat));
        if rules.mistake == Some(Mistake::LowerBeforeLeft) && wish < now && wish > 0 {
            return Some(Chore::Lower(wish));
        }
        if wish == 0 {
            return (now > 0 && all_told).then_some(Chore::Lower(0));
        }
        if now < least && rules.mistake != Some(Mistake::LowerBeforeLeft) || now == 0 {
            return Some(Chore::Raise(if least == 0 { wish } else { least }));
        }
        if now < wish && serves {
            let vacant = |seat: &u8| standings[usize::from(*seat)] != Some(Standing::Left);
            return (now..wish).take_while(vacant).last().map(|seat| Chore::Raise(seat + 1));
        }
        let target = wish.max(floor);
        (target < now && self.lowering.is_none()).then_some(Chore::DecideLower(target))
    }

    fn clearing(&self, rules: &Rules) -> Vec<Chore> {
        let (told, _) = self.told();
        let gone = |seat: &usize| {
            let at = &self.seats[*seat];
            let proven = match self.standing(*seat, told) {
                Standing::Left => true,
                Standing::Absent => *seat >= usize::from(self.wish),
                Standing::Member | Standing::Doubtful => false,
            };
            told.is_some() && *seat >= usize::from(self.replicas) && at.pod.is_none() && at.object.is_some() && proven
        };
        let chore = |seat: usize| match self.seats[seat].volume {
            Some(_) if !rules.keeps_volumes => Chore::ClearVolume(seat),
            _ => Chore::ClearObject(seat),
        };
        seats().filter(gone).map(chore).collect()
    }

    /// A chore done.
    #[must_use]
    pub fn done(&self, chore: Chore) -> Vec<Outcome> {
        self.with(|next| match chore {
            Chore::Raise(replicas) => {
                for seat in usize::from(self.replicas)..usize::from(replicas) {
                    next.make_object(seat, false);
                }
                next.replicas = replicas;
                next.lowering = None;
            }
            Chore::DecideLower(replicas) => next.lowering = Some(replicas),
            Chore::Lower(replicas) => (next.replicas, next.lowering) = (replicas, None),
            Chore::Succeed(seat) => next.end_pod(seat),
            Chore::ClearVolume(seat) => next.seats[seat].volume = None,
            Chore::ClearObject(seat) => next.seats[seat].object = None,
            Chore::Remake(seat) => next.make_object(seat, false),
            Chore::Begin => next.begin(),
            Chore::MakePod(seat) => next.make_pod(seat),
            Chore::EndPod(seat) => {
                next.end_pod(seat);
                next.doubt_lists();
            }
        })
    }

    /// The coordinator writes what is wanted into every EtcdMember.
    pub fn tell(&mut self) -> bool {
        let untold = seats().filter(|seat| self.api && !self.ending && !self.is_told(*seat));
        let untold: Vec<usize> = untold.collect();
        for seat in &untold {
            let Some(notes) = self.seats[*seat].object.map(|object| self.word(object.notes)) else { continue };
            if let Some(object) = self.seats[*seat].object.as_mut() {
                object.notes = notes;
                object.told = object.told.map(|told| Told { fresh: false, ..told });
            }
        }
        !untold.is_empty()
    }

    /// Lists that were read before what just happened prove nothing of it.
    fn doubt_lists(&mut self) {
        for object in self.seats.iter_mut().filter_map(|seat| seat.object.as_mut()) {
            object.told = object.told.map(|told| Told { fresh: false, ..told });
        }
    }

    fn make_object(&mut self, seat: usize, initial: bool) {
        let (made, size) = (self.seats[seat].objects, self.wish.max(1));
        if self.seats[seat].object.is_none() {
            self.seats[seat].object = Some(Object::new(made, self.incarnation, initial, size));
            self.seats[seat].objects += 1;
        }
    }

    fn make_pod(&mut self, seat: usize) {
        let uid = self.seats[seat].pods;
        self.seats[seat].pods += 1;
        self.seats[seat].pod = Some(Pod::new(uid, self.incarnation));
        if self.seats[seat].volume.is_none() {
            self.seats[seat].volume = Some(Volume::blank());
        }
    }

    /// No pod of the former incarnation is left: the next one has its members.
    fn begin(&mut self) {
        self.incarnation += 1;
        (self.ending, self.formed) = (false, false);
        (self.replicas, self.lowering) = (self.wish, None);
        let founders = self.wish;
        let incarnation = self.incarnation;
        let life = self.life_mut(incarnation);
        (life.founders, life.base) = (founders, Config::of_founders(incarnation, founders));
        for seat in seats() {
            self.seats[seat].object = None;
            if seat < usize::from(founders) {
                self.make_object(seat, true);
            }
        }
    }

    /// Deletes an EtcdMember; with it goes the proof that an initial member never started.
    pub fn lose_object(&mut self, seat: usize) {
        let id = initial_id(self.incarnation, seat);
        if self.ran & bit(id) == 0 && self.seats[seat].object.is_some_and(|object| object.notes.initial) {
            self.lost |= bit(id);
        }
        self.seats[seat].object = None;
    }
}
