//! The launcher and etcd's start: the guard of every order, and what etcd makes of its flags and its disk.

use etcd_agent::launch::{
    look::{Seal, fits},
    machine::{Disk, mismatch},
    protocol,
};

use crate::{
    facts::id_name,
    mistake::{Mistake, Rules},
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
        let disk = match self.disk(place, order.ident) {
            Disk::Database if rules.mistake == Some(Mistake::DatabaseIsNoData) => Disk::Empty,
            disk => disk,
        };
        let obeyed = at_rest && mismatch(disk, order.how != How::OnDisk).is_none();
        vec![if obeyed { next.started_so(place, order, rules) } else { Ok(next) }]
    }

    /// The launcher starts an etcd again that ended by itself, without asking anybody. The data may vanish between its look and
    /// etcd's own: then the arguments decide.
    #[must_use]
    pub fn restarts(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let Some(pod) = self.pod(place).filter(|pod| pod.process == Process::Pausing) else { return vec![] };
        let mut next = self.clone();
        let Some(order) = pod.ordered.filter(|order| self.disk(place, order.ident) == Disk::Wal) else {
            next.end_process(place, Process::Idle);
            return vec![Ok(next)];
        };
        let mut outcomes = vec![next.started_so(place, Order { how: How::OnDisk, ..order }, rules)];
        if self.budget.data > 0 {
            let how = if rules.mistake == Some(Mistake::RestartsAsFirst) { order.how } else { restarted(order.how) };
            let mut gone = self.clone();
            gone.budget.data -= 1;
            gone.lose_data(place, false);
            gone.end_process(place, Process::Idle);
            // Without a WAL `existing` with itself alone is refused by etcd.
            let refused = how == How::OnDisk;
            outcomes.push(if refused { Ok(gone) } else { gone.started_so(place, Order { how, ..order }, rules) });
        }
        outcomes
    }

    /// What the real launcher finds when it looks at the volume for an order.
    pub fn disk(&self, place: usize, ident: Ident) -> Disk {
        let name = |ident: Ident| (ident.volume_id.to_string(), ident.id.map(id_name));
        let (volume_id, member_id) = name(ident);
        let ordered = protocol::Volume { volume_id, member_id, rest: protocol::Rest::default() };
        let Some(volume) = self.volume(place) else { return Disk::Other };
        let Some((volume_id, member_id)) = volume.mark.map(|mark| name(mark.ident)) else { return Disk::Other };
        match fits(&Seal { volume_id, member_id }, &ordered) {
            false => Disk::Other,
            true if volume.has_wal() => Disk::Wal,
            true if volume.database => Disk::Database,
            true => Disk::Empty,
        }
    }

    fn started_so(mut self, place: usize, order: Order, rules: &Rules) -> Outcome {
        let seat = self.ordinal(place);
        match order.how {
            How::OnDisk => {
                rules.judge(self.check_restart(place))?;
                self.first_run(place, rules)?;
                self.run(place, order);
            }
            How::New(incarnation) => {
                rules.judge(self.check_begins_empty(incarnation))?;
                let wal = self.founds(incarnation, seat);
                self.first_start(place, order, wal, rules)?;
            }
            // etcd takes its ID from the list of a member that runs, by its URL; without one, or not on it, it ends.
            How::Added => {
                let incarnation = order.ident.incarnation;
                let id = self.ids_of(incarnation, seat).filter(|_| self.answers(place, incarnation));
                if let Some(id) = id {
                    let wal =
                        Wal { incarnation, id, term: 0, len: 0, knows: true, slow: false, forced: false, fresh: false };
                    self.first_start(place, order, wal, rules)?;
                }
            }
        }
        Ok(self)
    }

    /// A founder's data as it begins; the life begins with the first one.
    pub fn founds(&mut self, incarnation: u8, seat: usize) -> Wal {
        let life = self.life_mut(incarnation);
        if life.len == 0 {
            (life.log[0], life.len) = (Entry::Founded, 1);
        }
        // Where the first entry stands for more by now, it has less than that.
        let len = u8::from(!life.forgot);
        let id = initial_id(incarnation, seat);
        Wal { incarnation, id, term: 1, len, knows: true, slow: false, forced: false, fresh: false }
    }

    /// An etcd on data that was restored begins under its ID now, if it has not yet.
    fn first_run(&mut self, place: usize, rules: &Rules) -> Result<(), Broken> {
        let Some(id) = self.volume(place).and_then(|v| v.wal).filter(|wal| wal.fresh).map(|wal| wal.id) else {
            return Ok(());
        };
        rules.judge(self.check_first_start(place, id))?;
        self.ran |= bit(id);
        if let Some(wal) = self.wal_mut(place) {
            wal.fresh = false;
        }
        Ok(())
    }

    /// A first start writes a WAL, and the launcher records it: between the two is a millisecond that the model leaves out.
    fn first_start(&mut self, place: usize, order: Order, wal: Wal, rules: &Rules) -> Result<(), Broken> {
        let Wal { id, .. } = wal;
        rules.judge(self.check_first_start(place, id))?;
        self.ran |= bit(id);
        if let Some(volume) = self.volume_mut(place) {
            volume.wal = Some(wal);
            volume.lived = Some(order.ident.volume_id);
        }
        self.run(place, order);
        Ok(())
    }

    fn run(&mut self, place: usize, order: Order) {
        if let Some(pod) = self.pod_mut(place) {
            pod.process = Process::Running { leads: false };
            pod.ordered = Some(order);
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

/// With what the real order starts etcd again: as what its arguments say.
fn restarted(how: How) -> How {
    let state = if matches!(how, How::New(_)) { "new" } else { "existing" };
    let order = protocol::Order {
        number: 1,
        first: how != How::OnDisk,
        args: vec![format!("--initial-cluster-state={state}")],
        again: vec![],
        options: None,
        pools: None,
        volume: protocol::Volume { volume_id: String::new(), member_id: None, rest: protocol::Rest::default() },
    };
    let says_new = order.restart().args.iter().any(|flag| flag == "--initial-cluster-state=new");
    if says_new { how } else { How::OnDisk }
}
