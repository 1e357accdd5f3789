//! What the coordinator and the StatefulSet's controller do, a write at a time.
//!
//! What the coordinator does is what its real decision says ([`crate::coordinator`]); a fall of the replicas is decided now and
//! written later, if nobody has changed the replicas meanwhile.

use crate::{
    config::Config,
    coordinator::Orders,
    mistake::{Mistake, Rules},
    perform::Outcome,
    places::seats,
    property::Broken,
    world::World,
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

impl World {
    /// Every chore that is due.
    #[must_use]
    pub fn chores(&self, rules: &Rules) -> Vec<Chore> {
        if !self.api {
            return vec![];
        }
        let mut chores = self.controller_chores();
        let Orders { size: _, stopped: _, paused: _, replicas, succeeded, retired, ends, seats: members } =
            self.orders(rules);
        // Those above replicas that are to rise are made in the same breath.
        let apart = if replicas.is_some_and(|n| n > self.replicas) { members.min(self.replicas) } else { members };
        let missing = |seat: &usize| *seat < usize::from(apart) && self.seats[*seat].object.is_none();
        chores.extend(seats().filter(missing).map(Chore::Remake));
        chores.extend(self.lowering.map(Chore::Lower));
        chores.extend(replicas.and_then(|n| self.replica_chore(n, rules)));
        let among = |set: u8| move |seat: &usize| set & 1 << seat != 0;
        chores.extend(seats().filter(among(succeeded)).map(Chore::Succeed));
        let clear = |seat: usize| match self.seats[seat].volume {
            Some(_) if !rules.keeps_volumes => Chore::ClearVolume(seat),
            _ => Chore::ClearObject(seat),
        };
        chores.extend(seats().filter(among(retired)).map(clear));
        chores.extend((ends && self.wish > 0).then_some(Chore::Begin));
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

    fn replica_chore(&self, replicas: u8, rules: &Rules) -> Option<Chore> {
        if replicas > self.replicas {
            return Some(Chore::Raise(replicas));
        }
        if rules.mistake == Some(Mistake::LowerBeforeLeft) {
            return Some(Chore::Lower(replicas));
        }
        self.lowering.is_none().then_some(Chore::DecideLower(replicas))
    }

    /// A chore done.
    #[must_use]
    pub fn done(&self, chore: Chore) -> Vec<Outcome> {
        if let Err(broken) = self.check_peace(chore) {
            return vec![Err(broken)];
        }
        self.with(|next| match chore {
            Chore::Raise(replicas) => {
                for seat in usize::from(self.replicas)..usize::from(replicas) {
                    next.make_object(seat, false);
                }
                (next.replicas, next.lowering) = (replicas, None);
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

    /// Property (g), of the coordinator. What was decided before all rests may still be written.
    fn check_peace(&self, chore: Chore) -> Result<(), Broken> {
        let stirs = match chore {
            Chore::Raise(_)
            | Chore::DecideLower(_)
            | Chore::Succeed(_)
            | Chore::ClearVolume(_)
            | Chore::ClearObject(_)
            | Chore::Begin => true,
            Chore::Lower(_) | Chore::Remake(_) | Chore::MakePod(_) | Chore::EndPod(_) => false,
        };
        let sentence = || format!("the coordinator goes on while all rests: {chore:?}");
        if self.paused && stirs { Err(Broken::Stirred(sentence())) } else { Ok(()) }
    }

    /// No pod of the former incarnation is left: the next one has its members.
    fn begin(&mut self) {
        self.incarnation += 1;
        (self.ending, self.formed) = (false, false);
        (self.replicas, self.lowering) = (0, None);
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
}
