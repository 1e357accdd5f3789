//! Forgets what cannot matter any more, so that situations that differ only in their past are one.
//!
//! Numbers of volume IDs, pods, objects, claims, counters and terms matter only by equality and order: those that are still
//! written somewhere are numbered anew, in their order. Of the log goes what everybody has who has any of it.

use crate::world::{
    Answer, Entry, FRESH, GHOST, GIVEN_OUT, Id, Ident, Ids, LOG, Mark, Notes, PLACES, SEATS, Stray, View, Volume,
    World, bit, seat_of,
};

/// A number that stands somewhere.
enum Spot<'a> {
    VolumeId(&'a mut u8),
    Pod(&'a mut u8),
    Object(&'a mut u8),
    Claim(&'a mut u8),
    Counter(&'a mut u8),
    Id(&'a mut Id),
    Ids(&'a mut Ids),
}

/// What a seat's numbers are, as sets.
#[derive(Default, Clone, Copy)]
struct Seen {
    volume_ids: u32,
    pods: u32,
    objects: u32,
    claims: u32,
    counters: u32,
}

/// The place of a number in a set.
fn rank(set: u32, number: u8) -> u8 {
    (set & (bit(number) - 1)).count_ones() as u8
}

impl World {
    /// Forgets; `blots`: also what nobody reads any more, which is known once the logs are short.
    pub fn forget(&mut self, blots: bool) {
        (1..=2).for_each(|incarnation| self.forget_log(incarnation));
        if blots {
            self.blot();
        }
        (1..=2).for_each(|incarnation| self.forget_terms(incarnation));
        let mut ids: Ids = 0;
        for seat in 0..SEATS {
            ids |= self.forget_seat(seat);
        }
        self.forget_ids(ids);
    }

    /// Numbers a seat's things anew; returns the IDs that are written at it.
    fn forget_seat(&mut self, seat: usize) -> Ids {
        let (mut seen, mut ids) = (Seen { claims: 1, ..Seen::default() }, 0);
        self.walk(seat, &mut |spot| match spot {
            Spot::VolumeId(n) => seen.volume_ids |= bit(*n),
            Spot::Pod(n) => seen.pods |= bit(*n),
            Spot::Object(n) => seen.objects |= bit(*n),
            Spot::Claim(n) => seen.claims |= bit(*n),
            Spot::Counter(n) => seen.counters |= bit(*n),
            Spot::Id(n) => ids |= bit(*n),
            Spot::Ids(set) => ids |= *set,
        });
        self.walk(seat, &mut |spot| match spot {
            Spot::VolumeId(n) => *n = rank(seen.volume_ids, *n),
            Spot::Pod(n) => *n = rank(seen.pods, *n),
            Spot::Object(n) => *n = rank(seen.objects, *n),
            Spot::Claim(n) => *n = rank(seen.claims, *n),
            Spot::Counter(n) => *n = rank(seen.counters, *n),
            Spot::Id(_) | Spot::Ids(_) => {}
        });
        let count = |set: u32| set.count_ones() as u8;
        let at = &mut self.seats[seat];
        (at.drawn, at.pods, at.objects) = (count(seen.volume_ids), count(seen.pods), count(seen.objects));
        ids
    }

    /// Numbers the IDs that were given out anew. Those of founders stay.
    fn forget_ids(&mut self, at_seats: Ids) {
        let mut live = at_seats;
        for life in &self.lives {
            live |= life.base.all();
            live |= life.log[..usize::from(life.len)].iter().filter_map(|e| e.id()).fold(0, |set, id| set | bit(id));
        }
        if let Some(Stray::Act(entry)) = self.stray {
            live |= entry.id().map_or(0, bit);
        }
        let of_seat = |seat: usize| ((1 << FRESH) - 1) << (usize::from(GIVEN_OUT) + seat * usize::from(FRESH));
        let renamed = |id: Id| {
            if id < GIVEN_OUT {
                id
            } else {
                let first = first_of(id);
                first + rank(live & of_seat(seat_of(id)), id)
            }
        };
        let all =
            |set: Ids| crate::world::ids(set & (live | (bit(GIVEN_OUT) - 1))).fold(0, |new, id| new | bit(renamed(id)));
        (self.ran, self.started, self.lost) = (all(self.ran), all(self.started), all(self.lost));
        for life in &mut self.lives {
            (life.base.voters, life.base.learners) = (all(life.base.voters), all(life.base.learners));
            for entry in &mut life.log[..usize::from(life.len)] {
                *entry = entry.with(&renamed);
            }
        }
        if let Some(Stray::Act(entry)) = &mut self.stray {
            *entry = entry.with(&renamed);
        }
        for seat in 0..SEATS {
            self.seats[seat].added = (live & of_seat(seat)).count_ones() as u8;
            self.walk(seat, &mut |spot| match spot {
                Spot::Id(id) => *id = renamed(*id),
                Spot::Ids(set) => *set = all(*set),
                Spot::VolumeId(_) | Spot::Pod(_) | Spot::Object(_) | Spot::Claim(_) | Spot::Counter(_) => {}
            });
        }
    }

    /// Drops from the log what every WAL has.
    fn forget_log(&mut self, incarnation: u8) {
        let life = *self.life(incarnation);
        let mut keep = life.len;
        for place in 0..=PLACES {
            let wal = if place == PLACES { self.copy.as_ref().map(|(_, v)| v) } else { self.volume(place) };
            if let Some(wal) = wal.and_then(|v| v.wal).filter(|wal| wal.incarnation == incarnation && wal.len > 0) {
                let known = &life.log[..usize::from(wal.len)];
                let dark = known.iter().rposition(|entry| entry.changes()).filter(|_| !wal.knows);
                keep = keep.min(dark.map_or(wal.len, |at| at as u8));
            }
            let heard = if place < PLACES { self.pod(place).filter(|p| p.incarnation == incarnation) } else { None };
            keep = keep.min(heard.and_then(|pod| pod.agent.heard).unwrap_or(life.len));
        }
        if keep <= 1 {
            return;
        }
        let gone = keep - 1;
        let new = self.life_mut(incarnation);
        new.base = life.config(keep);
        new.len -= gone;
        new.forgot = true;
        new.log = [Entry::Founded; LOG];
        for at in 1..new.len {
            new.log[usize::from(at)] = life.log[usize::from(at + gone)];
        }
        let shift = |volume: &mut Volume| {
            if let Some(wal) = volume.wal.as_mut().filter(|wal| wal.incarnation == incarnation && wal.len > 0) {
                wal.len -= gone;
            }
        };
        for place in 0..PLACES {
            self.volume_mut(place).into_iter().for_each(shift);
            if let Some(pod) = self.pod_mut(place).filter(|pod| pod.incarnation == incarnation) {
                pod.agent.heard = pod.agent.heard.map(|heard| heard - gone);
            }
        }
        if let Some((_, volume)) = self.copy.as_mut() {
            shift(volume);
        }
    }

    fn forget_terms(&mut self, incarnation: u8) {
        let mut terms = 1;
        self.walk_terms(incarnation, &mut |term| terms |= bit(*term));
        self.walk_terms(incarnation, &mut |term| *term = rank(terms, *term));
    }

    fn walk_terms(&mut self, incarnation: u8, visit: &mut dyn FnMut(&mut u8)) {
        for place in 0..PLACES {
            if let Some(wal) = self.wal_mut(place).filter(|wal| wal.incarnation == incarnation) {
                visit(&mut wal.term);
            }
        }
        if let Some(wal) = self.copy.as_mut().and_then(|(_, v)| v.wal.as_mut()).filter(|w| w.incarnation == incarnation)
        {
            visit(&mut wal.term);
        }
        for object in self.seats.iter_mut().filter_map(|seat| seat.object.as_mut()) {
            if let Some(told) = object.told.as_mut().filter(|_| object.notes.incarnation == incarnation) {
                visit(&mut told.term);
            }
        }
    }

    /// Every number that stands at a seat.
    fn walk(&mut self, seat: usize, visit: &mut dyn FnMut(Spot<'_>)) {
        let ghost = self.ghost.as_ref().is_some_and(|ghost| usize::from(ghost.seat) == seat);
        for place in [seat, GHOST].into_iter().filter(|place| *place != GHOST || ghost) {
            if let Some(volume) = self.volume_mut(place) {
                walk_volume(volume, visit);
            }
            if let Some(pod) = self.pod_mut(place) {
                walk_pod(pod, visit);
            }
        }
        if let Some((_, volume)) = self.copy.as_mut().filter(|(of, _)| usize::from(*of) == seat) {
            walk_volume(volume, visit);
        }
        if let Some(object) = &mut self.seats[seat].object {
            walk_notes(&mut object.notes, visit);
            object.spoke.iter_mut().for_each(|pod| visit(Spot::Pod(pod)));
        }
        if let Some(Stray::Claim { seat: of, over, number, volume_id, counter }) = &mut self.stray
            && usize::from(*of) == seat
        {
            walk_notes(over, visit);
            visit(Spot::Claim(number));
            visit(Spot::VolumeId(volume_id));
            visit(Spot::Counter(counter));
        }
    }
}

/// The first ID that is given out for the seat of this one.
fn first_of(id: Id) -> Id {
    GIVEN_OUT + (id - GIVEN_OUT) / FRESH * FRESH
}

fn walk_pod(pod: &mut crate::world::Pod, visit: &mut dyn FnMut(Spot<'_>)) {
    visit(Spot::Pod(&mut pod.uid));
    pod.ordered.iter_mut().for_each(|order| walk_ident(&mut order.ident, visit));
    pod.order.iter_mut().for_each(|order| walk_ident(&mut order.ident, visit));
    let agent = &mut pod.agent;
    if let View::Seen(notes) = &mut agent.view {
        walk_notes(notes, visit);
    }
    agent.memory.iter_mut().for_each(|mark| walk_mark(mark, visit));
    match &mut agent.answer {
        Some(Answer::Claimed { number, volume_id, id }) => {
            visit(Spot::Claim(number));
            visit(Spot::VolumeId(volume_id));
            id.iter_mut().for_each(|id| visit(Spot::Id(id)));
        }
        Some(Answer::Added(id)) => visit(Spot::Id(id)),
        Some(Answer::Rename) | None => {}
    }
}

fn walk_notes(notes: &mut Notes, visit: &mut dyn FnMut(Spot<'_>)) {
    visit(Spot::Object(&mut notes.made));
    visit(Spot::Counter(&mut notes.counter));
    notes.left.iter_mut().for_each(|pod| visit(Spot::Pod(pod)));
    if let Some((number, volume_id)) = &mut notes.claim {
        visit(Spot::Claim(number));
        visit(Spot::VolumeId(volume_id));
    }
}

fn walk_volume(volume: &mut Volume, visit: &mut dyn FnMut(Spot<'_>)) {
    volume.mark.iter_mut().for_each(|mark| walk_mark(mark, visit));
    volume.lived.iter_mut().for_each(|volume_id| visit(Spot::VolumeId(volume_id)));
    if let Some(wal) = &mut volume.wal {
        visit(Spot::Id(&mut wal.id));
    }
}

fn walk_mark(mark: &mut Mark, visit: &mut dyn FnMut(Spot<'_>)) {
    walk_ident(&mut mark.ident, visit);
    visit(Spot::Ids(&mut mark.voters));
    visit(Spot::Counter(&mut mark.counter));
    mark.retired.iter_mut().for_each(|pod| visit(Spot::Pod(pod)));
}

fn walk_ident(ident: &mut Ident, visit: &mut dyn FnMut(Spot<'_>)) {
    visit(Spot::VolumeId(&mut ident.volume_id));
    visit(Spot::Claim(&mut ident.claim));
    ident.id.iter_mut().for_each(|id| visit(Spot::Id(id)));
}
