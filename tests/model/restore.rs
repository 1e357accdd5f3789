//! A founder's way to the data that its life begins with: fetched, made a data directory beside the place, and renamed.
//!
//! Nothing of it counts before the rename, and an agent that dies forgets it. That etcdutl gives the IDs of a first
//! start is tested where its arguments are made.

use etcd_agent::launch::machine::mismatch;

use crate::{
    mistake::{Mistake, Rules},
    perform::Outcome,
    world::{Half, Process, Server, Wal, World, initial_id},
};

impl World {
    /// One step further; none while nobody serves the right bytes, or the launcher is not heard.
    pub fn restored(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let Some(pod) = self.pod(place).filter(|pod| !pod.agent.deaf && pod.process == Process::Idle) else {
            return vec![];
        };
        match pod.agent.half {
            None => self.fetched(place, rules),
            Some(Half::Fetched { right }) => self.made(place, right),
            Some(Half::Made { .. }) => self.place_restored(place, rules),
        }
    }

    fn fetched(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let right = match self.server {
            Server::Away | Server::Untold => return vec![],
            Server::Lies if rules.mistake != Some(Mistake::AnyBytes) => return vec![],
            Server::Lies => false,
            Server::Serves => true,
        };
        self.with(|next| next.half(place, Some(Half::Fetched { right })))
    }

    /// The launcher has etcdutl do it where etcd could start for the first time.
    fn made(&self, place: usize, right: bool) -> Vec<Outcome> {
        let Some(mark) = self.known_mark(place) else { return vec![] };
        if mismatch(self.disk(place, mark.ident), true).is_some() {
            return vec![];
        }
        self.with(|next| next.half(place, Some(Half::Made { right })))
    }

    /// The rename.
    pub fn place_restored(&self, place: usize, rules: &Rules) -> Vec<Outcome> {
        let (Some(pod), Some(volume)) = (self.pod(place), self.volume(place)) else { return vec![] };
        let Some(Half::Made { right }) = pod.agent.half else { return vec![] };
        let (incarnation, seat) = (self.order_incarnation(place), self.ordinal(place));
        let id = initial_id(incarnation, seat);
        // Neither over data, nor for another ID than the mark's: the real one looks again.
        let unasked = rules.mistake == Some(Mistake::PlacesUnasked);
        let fits = volume.mark.is_some_and(|mark| mark.ident.id == Some(id));
        if volume.has_wal() || volume.database || !(fits || unasked) {
            return vec![];
        }
        if let Err(broken) = rules.judge(self.check_restored(id, right)) {
            return vec![Err(broken)];
        }
        self.with(|next| {
            let wal = Wal { fresh: true, ..next.founds(incarnation, seat) };
            if let Some(volume) = next.volume_mut(place) {
                volume.wal = Some(wal);
            }
            next.half(place, None);
        })
    }

    fn half(&mut self, place: usize, half: Option<Half>) {
        if let Some(pod) = self.pod_mut(place) {
            pod.agent.half = half;
        }
    }
}
