//! What goes wrong, as often as the budget says, and what the user does.

use crate::{
    budget::Budget,
    mistake::{Mistake, Rules},
    places::seats,
    world::{Agent, Ghost, Mark, Process, Server, Volume, World, bit},
};

/// A fault, or an act of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The user asks for this size.
    Edit(u8),
    /// The user gives the incarnation up.
    Abandon,
    /// The user lets all rest.
    Pause,
    /// The agent's process dies with an answer that it has not written down.
    AgentDies(usize),
    /// etcd's process is killed.
    EtcdDies(usize),
    /// The pod is deleted and made again on its volume; `ordered`: its agent hears of it first.
    PodDies { seat: usize, ordered: bool },
    /// The pod and its volume are gone.
    DiskLost(usize),
    /// Everything on the volume is deleted under the running pod.
    Emptied(usize),
    /// The data directory is deleted beside its mark, or its WAL alone.
    DataLost { seat: usize, database_left: bool },
    /// The agent begins anew, and does not hear its launcher.
    Deaf(usize),
    /// The EtcdMember is deleted.
    ObjectDeleted(usize),
    /// The API server does not answer any more.
    Outage,
    /// The agent's watch hangs without its knowing.
    Blind(usize),
    /// What the agent writes is not taken by the API server.
    Mute(usize),
    /// The node is cut off: its pod goes on, and another is made with a blank volume.
    CutOff(usize),
    /// A copy of the volume is taken.
    Copied(usize),
    /// The copy is put back in place of the volume.
    PutBack,
    /// Nobody serves what the life begins with any more.
    Unserved,
    /// The members are told of no data any more.
    Untold,
    /// Where it was served, others' bytes are.
    Misserved,
    /// The etcd of this voter is started with `--force-new-cluster`.
    Forced(usize),
}

impl World {
    /// Every fault that may happen now.
    #[must_use]
    pub fn faults(&self, rules: &Rules) -> Vec<(Fault, World)> {
        let mut faults = vec![];
        self.edits(rules, &mut faults);
        self.deaths(rules, &mut faults);
        self.losses(&mut faults);
        self.wonders(&mut faults);
        self.forcings(&mut faults);
        faults
    }

    /// A fault that this pays for.
    fn fault(
        &self,
        faults: &mut Vec<(Fault, World)>,
        fault: Fault,
        pay: impl Fn(&mut Budget) -> &mut u8,
        change: impl FnOnce(&mut World),
    ) {
        let mut next = self.clone();
        let left = pay(&mut next.budget);
        if *left == 0 {
            return;
        }
        *left -= 1;
        change(&mut next);
        faults.push((fault, next));
    }

    fn edits(&self, rules: &Rules, faults: &mut Vec<(Fault, World)>) {
        let done = rules.sizes.len() - usize::from(self.budget.edits);
        if let Some(size) = rules.sizes.get(done) {
            self.fault(faults, Fault::Edit(*size), |b| &mut b.edits, |next| next.wish = *size);
        }
        if !self.ending && self.wish > 0 {
            self.fault(faults, Fault::Abandon, |b| &mut b.ends, |next| next.ending = true);
        }
        if !self.paused && self.api {
            self.fault(faults, Fault::Pause, |b| &mut b.pauses, |next| next.paused = true);
        }
    }

    fn deaths(&self, rules: &Rules, faults: &mut Vec<(Fault, World)>) {
        for (place, pod) in self.pods() {
            // Without an answer an agent that dies only reads again what it knew.
            if pod.agent.answer.is_some() {
                self.fault(
                    faults,
                    Fault::AgentDies(place),
                    |b| &mut b.crashes,
                    |next| {
                        if let Some(pod) = next.pod_mut(place) {
                            pod.agent = Agent::new();
                        }
                    },
                );
            }
            if pod.runs() {
                let die = |next: &mut World| next.end_process(place, Process::Pausing);
                self.fault(faults, Fault::EtcdDies(place), |b| &mut b.crashes, die);
            }
        }
        for seat in seats().filter(|seat| self.seats[*seat].pod.is_some()) {
            let die = |next: &mut World| next.end_pod(seat);
            self.fault(faults, Fault::PodDies { seat, ordered: false }, |b| &mut b.crashes, die);
            let stale = self.seats[seat].pod.as_ref().is_some_and(|pod| pod.agent.memory.is_some());
            if rules.counts || stale {
                let blindly = rules.mistake == Some(Mistake::MarkFromMemory);
                self.fault(
                    faults,
                    Fault::PodDies { seat, ordered: true },
                    |b| &mut b.crashes,
                    |next| {
                        let counted = |mark: Mark| Mark { counter: mark.counter + u8::from(rules.counts), ..mark };
                        next.write_mark(seat, blindly, counted);
                        next.end_pod(seat);
                    },
                );
            }
        }
    }

    fn losses(&self, faults: &mut Vec<(Fault, World)>) {
        for seat in seats() {
            let Some(volume) = self.seats[seat].volume else { continue };
            self.fault(
                faults,
                Fault::DiskLost(seat),
                |b| &mut b.disks,
                |next| {
                    next.lose(seat);
                    next.end_pod(seat);
                    next.seats[seat].volume = None;
                },
            );
            if volume.mark.is_some() && self.seats[seat].pod.is_some() && !volume.unlinked {
                self.fault(faults, Fault::Emptied(seat), |b| &mut b.emptied, |next| next.empty(seat));
            }
            for database_left in [false, true].into_iter().filter(|_| volume.has_wal()) {
                let lose = |next: &mut World| next.lose_data(seat, database_left);
                self.fault(faults, Fault::DataLost { seat, database_left }, |b| &mut b.data, lose);
            }
            if self.seats[seat].object.is_some() && self.api {
                self.fault(faults, Fault::ObjectDeleted(seat), |b| &mut b.objects, |next| next.lose_object(seat));
            }
        }
    }

    /// The log is gone, and with it etcd, should it run.
    pub fn lose_data(&mut self, place: usize, database_left: bool) {
        self.lose(place);
        if let Some(process) = self.pod(place).map(|pod| if pod.runs() { Process::Pausing } else { pod.process }) {
            self.end_process(place, process);
        }
        if let Some(volume) = self.volume_mut(place) {
            (volume.wal, volume.unlinked, volume.database) = (None, false, database_left);
        }
    }

    /// The files are gone; an etcd that runs still has them open, and an agent beside it remembers the mark.
    fn empty(&mut self, seat: usize) {
        self.lose(seat);
        let remembered = self.known_mark(seat);
        let Some(pod) = self.seats[seat].pod.as_mut() else { return };
        let runs = pod.runs();
        if pod.process != Process::Idle || pod.agent.answer.is_some() {
            pod.agent.memory = remembered;
        }
        if let Some(volume) = self.seats[seat].volume.as_mut() {
            (volume.mark, volume.lived) = (None, None);
            volume.unlinked = runs && volume.wal.is_some();
            volume.wal = volume.wal.filter(|_| runs);
        }
    }

    fn wonders(&self, faults: &mut Vec<(Fault, World)>) {
        if self.life(self.incarnation).restored && self.server == Server::Serves {
            self.fault(faults, Fault::Unserved, |b| &mut b.serves, |next| next.server = Server::Away);
            self.fault(faults, Fault::Untold, |b| &mut b.serves, |next| next.server = Server::Untold);
            self.fault(faults, Fault::Misserved, |b| &mut b.serves, |next| next.server = Server::Lies);
        }
        if self.api {
            self.fault(faults, Fault::Outage, |b| &mut b.outages, |next| next.api = false);
        }
        for (place, pod) in self.pods().filter(|(_, pod)| !pod.agent.blind && !pod.agent.mute) {
            let deaf = |next: &mut World| {
                if let Some(pod) = next.pod_mut(place) {
                    pod.agent = Agent { deaf: true, ..Agent::new() };
                }
            };
            if !pod.agent.deaf {
                self.fault(faults, Fault::Deaf(place), |b| &mut b.deaf, deaf);
            }
            self.fault(
                faults,
                Fault::Mute(place),
                |b| &mut b.blind,
                |next| {
                    if let Some(pod) = next.pod_mut(place) {
                        pod.agent.mute = true;
                    }
                },
            );
            self.fault(
                faults,
                Fault::Blind(place),
                |b| &mut b.blind,
                |next| {
                    if let Some(pod) = next.pod_mut(place) {
                        pod.agent.blind = true;
                    }
                },
            );
        }
        for seat in seats() {
            if let (Some(pod), Some(volume), None) = (&self.seats[seat].pod, self.seats[seat].volume, &self.ghost) {
                self.fault(
                    faults,
                    Fault::CutOff(seat),
                    |b| &mut b.cuts,
                    |next| {
                        next.lose(seat);
                        next.ghost = Some(Ghost { seat: seat as u8, pod: pod.clone(), volume });
                        (next.seats[seat].pod, next.seats[seat].volume) = (None, None);
                    },
                );
            }
            if let (Some(volume), None) = (self.seats[seat].volume.filter(|v| v.has_wal()), self.copy) {
                self.fault(
                    faults,
                    Fault::Copied(seat),
                    |b| &mut b.copies,
                    |next| {
                        next.copy = Some((seat as u8, volume));
                    },
                );
            }
        }
        if let Some((seat, copy)) = self.copy.filter(|(seat, copy)| self.is_seen_to_be_older(usize::from(*seat), copy))
        {
            self.fault(
                faults,
                Fault::PutBack,
                |b| &mut b.copies,
                |next| {
                    let seat = usize::from(seat);
                    next.lose(seat);
                    next.end_pod(seat);
                    next.seats[seat].volume = Some(Volume { rolled: true, ..copy });
                    next.copy = None;
                },
            );
        }
    }

    /// A voter that is suddenly the only member of a cluster of its own, beside others.
    fn forcings(&self, faults: &mut Vec<(Fault, World)>) {
        for seat in seats() {
            let wal = self.seats[seat].volume.and_then(|volume| volume.wal).filter(|wal| wal.len > 0 && !wal.forced);
            let Some(wal) = wal else { continue };
            let config = self.config(wal.incarnation);
            let runs = self.seats[seat].pod.as_ref().is_some_and(|pod| pod.runs());
            // Its agent has seen who votes: one that has not cannot miss anybody.
            let recorded = self.known_mark(seat).is_some_and(|mark| mark.voters == config.voters);
            if !runs || !recorded || config.voters & bit(wal.id) == 0 || config.voters.count_ones() < 2 {
                continue;
            }
            let force = |next: &mut World| {
                next.lost |= bit(wal.id);
                if let Some(wal) = next.wal_mut(seat) {
                    wal.forced = true;
                }
                if let Some(pod) = next.pod_mut(seat) {
                    pod.process = Process::Running { leads: true };
                }
            };
            self.fault(faults, Fault::Forced(seat), |b| &mut b.forced, force);
        }
    }

    /// Whether the counter can show that a copy is older: a younger one is a known limit.
    fn is_seen_to_be_older(&self, seat: usize, copy: &Volume) -> bool {
        let (Some(now), Some(object)) = (self.seats[seat].volume, self.seats[seat].object) else { return false };
        let (Some(old), Some(new)) = (copy.mark, now.mark) else { return false };
        old.counter < object.notes.counter && old.ident.volume_id == new.ident.volume_id
    }
}
