//! Blots out what nobody reads any more, so that situations that can only go on alike are one.
//!
//! Each of these is exact: no step, no plan and no property can tell a situation from the same one blotted, now or later.
//! A mark that an agent remembers may come back under a volume by a planted mistake: beside one nothing of it is blotted.

use crate::{
    places::seats,
    world::{Ids, PLACES, Process, Stray, World, bit},
};

impl World {
    /// Blots out.
    pub fn blot(&mut self) {
        for seat in seats() {
            self.blot_speaker(seat);
        }
        for place in 0..PLACES {
            self.blot_process(place);
            self.blot_volume(place);
        }
        self.blot_ids();
    }

    /// The coordinator hears an agent only for the pod that is there, and a pod's UID never returns.
    fn blot_speaker(&mut self, seat: usize) {
        let there = self.seats[seat].pod.as_ref().map(|pod| pod.uid);
        if let Some(object) =
            self.seats[seat].object.as_mut().filter(|object| object.spoke.is_none_or(|uid| Some(uid) != there))
        {
            (object.spoke, object.told) = (None, None);
        }
    }

    /// The launcher starts an etcd again only while the mark is what it was ordered for, and a mark's identity never returns.
    /// Whether etcd was expelled matters until it is started again, and only beside its data.
    fn blot_process(&mut self, place: usize) {
        let (mark, has_wal) =
            self.volume(place).map_or((None, false), |v| (v.mark.map(|mark| mark.ident), v.has_wal()));
        let Some(pod) = self.pod_mut(place) else { return };
        let idle = pod.process == Process::Idle;
        pod.expelled &= idle && has_wal;
        if idle || pod.agent.memory.is_none() {
            pod.ordered = pod.ordered.filter(|order| !idle && mark == Some(order.ident));
        }
    }

    /// A record `lived` counts only beside the mark with its volume ID.
    fn blot_volume(&mut self, place: usize) {
        if self.pod(place).is_some_and(|pod| pod.agent.memory.is_some()) {
            return;
        }
        if let Some(volume) = self.volume_mut(place) {
            let volume_id = volume.mark.map(|mark| mark.ident.volume_id);
            volume.lived = volume.lived.filter(|lived| Some(*lived) == volume_id);
        }
    }

    /// An ID that no log and no request names is in no membership, and never will be: whether it has told that it runs, and
    /// whether its volume is lost, are asked of members. Whether it ran before is asked also of founders, who can start with
    /// `new`.
    fn blot_ids(&mut self) {
        let mut named: Ids = 0;
        for life in &self.lives {
            let log = life.log[..usize::from(life.len)].iter().filter_map(|entry| entry.id());
            named |= life.base.all() | log.fold(0, |set, id| set | bit(id));
        }
        if let Some(Stray::Act(entry)) = self.stray {
            named |= entry.id().map_or(0, bit);
        }
        self.started &= named;
        self.lost &= named;
        self.ran &= named | 0x3f;
    }
}
