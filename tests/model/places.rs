//! Ways to look at a world, and to make the first one.

use crate::world::{
    Agent, Entry, GHOST, GIVEN_OUT, Id, Ident, LOG, Life, Mark, Notes, Object, PLACES, Pod, Process, SEATS, Seat,
    Server, View, Volume, Wal, World,
};
use crate::{budget::Budget, config::Config};

impl World {
    /// A cluster that was just founded: EtcdMembers and a StatefulSet, no pod yet.
    #[must_use]
    pub fn founded(size: u8, budget: Budget) -> Self {
        let seat = |ordinal: usize| {
            let object = (ordinal < usize::from(size)).then(|| Object::new(0, 1, true, size));
            Seat { object, pod: None, volume: None, objects: 1, pods: 0, drawn: 0, added: 0 }
        };
        let life = Life {
            founders: size,
            restored: false,
            base: Config::of_founders(1, size),
            log: [Entry::Founded; LOG],
            len: 0,
            forgot: false,
        };
        Self {
            wish: size,
            replicas: size,
            lowering: None,
            incarnation: 1,
            ending: false,
            paused: false,
            formed: false,
            lives: [life, Life { founders: 0, base: Config::of_founders(2, 0), ..life }],
            seats: std::array::from_fn(seat),
            ghost: None,
            stray: None,
            copy: None,
            api: true,
            server: Server::Serves,
            ran: 0,
            started: 0,
            lost: 0,
            budget,
        }
    }

    #[must_use]
    pub fn pod(&self, place: usize) -> Option<&Pod> {
        if place == GHOST { self.ghost.as_ref().map(|ghost| &ghost.pod) } else { self.seats[place].pod.as_ref() }
    }

    pub fn pod_mut(&mut self, place: usize) -> Option<&mut Pod> {
        if place == GHOST { self.ghost.as_mut().map(|ghost| &mut ghost.pod) } else { self.seats[place].pod.as_mut() }
    }

    #[must_use]
    pub fn volume(&self, place: usize) -> Option<&Volume> {
        if place == GHOST { self.ghost.as_ref().map(|ghost| &ghost.volume) } else { self.seats[place].volume.as_ref() }
    }

    pub fn volume_mut(&mut self, place: usize) -> Option<&mut Volume> {
        if place == GHOST {
            self.ghost.as_mut().map(|ghost| &mut ghost.volume)
        } else {
            self.seats[place].volume.as_mut()
        }
    }

    /// The ordinal whose member a place is.
    #[must_use]
    pub fn ordinal(&self, place: usize) -> usize {
        if place == GHOST { self.ghost.as_ref().map_or(0, |ghost| usize::from(ghost.seat)) } else { place }
    }

    /// Places with a pod.
    pub fn pods(&self) -> impl Iterator<Item = (usize, &Pod)> {
        (0..PLACES).filter_map(|place| Some((place, self.pod(place)?)))
    }

    /// Places where an etcd of this incarnation's cluster runs, and what it has. One that was forced to be alone is in no
    /// cluster with the others.
    pub fn running(&self, incarnation: u8) -> impl Iterator<Item = (usize, Wal)> {
        (0..PLACES).filter_map(move |place| {
            let runs = matches!(self.pod(place)?.process, Process::Running { .. });
            let wal = self.volume(place)?.wal.filter(|wal| wal.incarnation == incarnation && !wal.forced)?;
            runs.then_some((place, wal))
        })
    }

    /// The place where an ID runs.
    #[must_use]
    pub fn place_of(&self, incarnation: u8, id: Id) -> Option<usize> {
        self.running(incarnation).find(|(_, wal)| wal.id == id).map(|(place, _)| place)
    }

    pub fn wal_mut(&mut self, place: usize) -> Option<&mut Wal> {
        self.volume_mut(place)?.wal.as_mut()
    }

    #[must_use]
    pub fn life(&self, incarnation: u8) -> &Life {
        &self.lives[usize::from(incarnation - 1)]
    }

    pub fn life_mut(&mut self, incarnation: u8) -> &mut Life {
        &mut self.lives[usize::from(incarnation - 1)]
    }

    /// The mark as the agent there knows it.
    #[must_use]
    pub fn known_mark(&self, place: usize) -> Option<Mark> {
        self.pod(place)?.agent.memory.or(self.volume(place)?.mark)
    }

    /// etcd at this place ends. With files that were unlinked, its data is gone.
    pub fn end_process(&mut self, place: usize, then: Process) {
        if let Some(pod) = self.pod_mut(place) {
            pod.process = then;
        }
        if let Some(volume) = self.volume_mut(place).filter(|volume| volume.unlinked) {
            volume.wal = None;
            volume.unlinked = false;
        }
    }

    /// Takes the pod of a seat away; its volume stays.
    pub fn end_pod(&mut self, seat: usize) {
        self.end_process(seat, Process::Idle);
        self.seats[seat].pod = None;
    }
}

impl Object {
    #[must_use]
    pub fn new(made: u8, incarnation: u8, initial: bool, size: u8) -> Self {
        let notes = Notes {
            made,
            incarnation,
            initial,
            size,
            stopped: false,
            paused: false,
            restore: None,
            claim: None,
            counter: 0,
            left: None,
        };
        Self { notes, spoke: None, told: None }
    }
}

impl Pod {
    #[must_use]
    pub fn new(uid: u8, incarnation: u8) -> Self {
        Self {
            uid,
            incarnation,
            agent: Agent::new(),
            order: None,
            process: Process::Idle,
            ordered: None,
            expelled: false,
            has_left: false,
        }
    }

    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.process, Process::Running { .. })
    }

    #[must_use]
    pub fn leads(&self) -> bool {
        self.process == Process::Running { leads: true }
    }
}

impl Agent {
    #[must_use]
    pub fn new() -> Self {
        Self {
            view: View::Unheard,
            memory: None,
            answer: None,
            blind: false,
            deaf: false,
            mute: false,
            heard: None,
            half: None,
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl Volume {
    #[must_use]
    pub fn blank() -> Self {
        Self { mark: None, lived: None, wal: None, database: false, unlinked: false, rolled: false }
    }

    /// Whether etcd would find a WAL.
    #[must_use]
    pub fn has_wal(&self) -> bool {
        self.wal.is_some() && !self.unlinked
    }
}

impl Wal {
    /// Whether it is a founder's with nothing but the founding in it, while the others have forgotten how they began.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.len == 0 && self.id < GIVEN_OUT
    }
}

impl Mark {
    /// A mark that nobody has started on.
    #[must_use]
    pub fn fresh(incarnation: u8, volume_id: u8, replacing: bool) -> Self {
        let ident = Ident { incarnation, volume_id, claim: 0, id: None };
        Self { ident, joined: false, replacing, retired: None, counter: 0, voters: 0, suspicion: None }
    }
}

/// Every seat.
pub fn seats() -> std::ops::Range<usize> {
    0..SEATS
}
