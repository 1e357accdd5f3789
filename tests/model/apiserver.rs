//! What goes through the API server: what agents see and say, what the coordinator tells them, and the objects that are made.

use etcd_agent::plan::start::Start;

use crate::{
    coordinator::Orders,
    mistake::{Mistake, Rules},
    world::{Notes, Object, Pod, Server, Told, View, Volume, World, bit, initial_id},
};

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
        let leaves = || self.question(place, None, rules).is_some_and(|question| question.ask() == Start::Left);
        let left = object.notes.left == Some(pod.uid) || (!pod.runs() && leaves());
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

    /// The coordinator tells every EtcdMember what is wanted. Whether that is news.
    pub fn tell(&mut self, rules: &Rules) -> bool {
        if !self.api {
            return false;
        }
        let Orders { size, stopped, paused, .. } = self.orders(rules);
        let objects = self.seats.iter_mut().filter_map(|seat| seat.object.as_mut());
        let served = (self.server != Server::Untold).then_some(self.server != Server::Away);
        let restore = self.lives.map(|life| served.filter(|_| life.restored));
        let told = |notes: &Notes| {
            let restore = restore[usize::from(notes.incarnation - 1)];
            Notes { size, stopped, paused, restore, ..*notes }
        };
        let untold = objects.filter(|object| told(&object.notes) != object.notes);
        untold.fold(false, |_, object| {
            object.notes = told(&object.notes);
            object.told = object.told.map(|told| Told { fresh: false, ..told });
            true
        })
    }

    /// Lists that were read before what just happened prove nothing of it.
    pub fn doubt_lists(&mut self) {
        for object in self.seats.iter_mut().filter_map(|seat| seat.object.as_mut()) {
            object.told = object.told.map(|told| Told { fresh: false, ..told });
        }
    }

    pub fn make_object(&mut self, seat: usize, initial: bool) {
        let (made, size) = (self.seats[seat].objects, self.wish.max(1));
        if self.seats[seat].object.is_none() {
            self.seats[seat].object = Some(Object::new(made, self.incarnation, initial, size));
            self.seats[seat].objects += 1;
        }
    }

    pub fn make_pod(&mut self, seat: usize) {
        let uid = self.seats[seat].pods;
        self.seats[seat].pods += 1;
        self.seats[seat].pod = Some(Pod::new(uid, self.incarnation));
        if self.seats[seat].volume.is_none() {
            self.seats[seat].volume = Some(Volume::blank());
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
