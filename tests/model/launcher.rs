//! The launcher and etcd's start: the guard of every order, and what etcd makes of its flags and its disk.

use crate::{
    mistake::Rules,
    perform::Outcome,
    property::Broken,
    world::{Entry, How, Ident, Order, Process, Wal, World, bit, initial_id},
};

impl World {
    /// The order that is on its way arrives.
    #[must_use]
    pub fn order_arrives(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let Some(order) = self.pod(place).and_then(|pod| pod.order) else { return vec![] };
        let mut next = self.clone();
        if let Some(pod) = next.pod_mut(place) {
            pod.order = None;
        }
        let at_rest = !self.pod(place).is_some_and(|pod| pod.runs());
        if !at_rest || !self.fits(place, order.ident) || self.has_wal(place) == (order.how != How::OnDisk) {
            return vec![Ok(next)];
        }
        vec![next.started_so(place, order, rules)]
    }

    /// The launcher starts an etcd again that ended by itself, without asking anybody.
    #[must_use]
    pub fn restarts(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let Some(pod) = self.pod(place).filter(|pod| pod.process == Process::Pausing) else { return vec![] };
        let mut next = self.clone();
        match pod.ordered {
            Some(ident) if self.fits(place, ident) && self.has_wal(place) => {
                vec![next.started_so(place, Order { how: How::OnDisk, ident }, rules)]
            }
            _ => {
                next.end_process(place, Process::Idle);
                vec![Ok(next)]
            }
        }
    }

    fn fits(&self, place: usize, ident: Ident) -> bool {
        self.volume(place).and_then(|volume| volume.mark).is_some_and(|mark| mark.ident == ident)
    }

    fn has_wal(&self, place: usize) -> bool {
        self.volume(place).is_some_and(|volume| volume.has_wal())
    }

    fn started_so(mut self, place: usize, order: Order, rules: &Rules) -> Outcome {
        let seat = self.ordinal(place);
        match order.how {
            How::OnDisk => {
                rules.judge(self.check_restart(place))?;
                self.run(place, order.ident);
            }
            How::New(incarnation) => {
                let id = initial_id(incarnation, seat);
                let life = self.life_mut(incarnation);
                if life.len == 0 {
                    (life.log[0], life.len) = (Entry::Founded, 1);
                }
                // Where the first entry stands for more by now, it has less than that.
                let len = u8::from(!life.forgot);
                let wal = Wal { incarnation, id, term: 1, len, knows: true, slow: false, forced: false };
                self.first_start(place, order.ident, wal, rules)?;
            }
            // etcd takes its ID from the list of a member that runs, by its URL; without one, or not on it, it ends.
            How::Added => {
                let incarnation = order.ident.incarnation;
                let id = self.ids_of(incarnation, seat).filter(|_| self.answers(place, incarnation));
                if let Some(id) = id {
                    let wal = Wal { incarnation, id, term: 0, len: 0, knows: true, slow: false, forced: false };
                    self.first_start(place, order.ident, wal, rules)?;
                }
            }
        }
        Ok(self)
    }

    /// A first start writes a WAL, and the launcher records it: between the two is a millisecond that the model leaves out.
    fn first_start(&mut self, place: usize, ident: Ident, wal: Wal, rules: &Rules) -> Result<(), Broken> {
        let Wal { id, .. } = wal;
        rules.judge(self.check_first_start(id))?;
        self.ran |= bit(id);
        if let Some(volume) = self.volume_mut(place) {
            volume.wal = Some(wal);
            volume.lived = Some(ident.volume_id);
        }
        self.run(place, ident);
        Ok(())
    }

    fn run(&mut self, place: usize, ident: Ident) {
        if let Some(pod) = self.pod_mut(place) {
            pod.process = Process::Running { leads: false };
            pod.ordered = Some(ident);
            pod.expelled = false;
        }
    }

    /// etcd finds that it was removed, and ends.
    #[must_use]
    pub fn expelled(&self, place: usize) -> Vec<Outcome> {
        if !self.is_turned_away(place) {
            return vec![];
        }
        self.with(|next| {
            next.end_process(place, Process::Idle);
            if let Some(pod) = next.pod_mut(place) {
                pod.expelled = true;
            }
        })
    }
}
