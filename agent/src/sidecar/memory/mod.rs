//! What the loop remembers from turn to turn. Time is handed in, so that every rule of it can be tried without waiting.

mod backups;
mod comparing;
mod membership;
mod orders;
mod upkeep;
mod users;

use std::time::{Duration, Instant};

use crate::{
    launch::protocol::Process,
    observe::{etcd::Observed, launcher::Launcher},
    plan::start::{Start, Wait},
};

pub(super) use self::{
    backups::Backups, comparing::Comparing, membership::Membership, orders::Orders, upkeep::Upkeep, users::Users,
};

/// Everything that is remembered.
#[derive(Default)]
pub(super) struct Memory {
    pub orders: Orders,
    pub membership: Membership,
    pub backups: Backups,
    pub upkeep: Upkeep,
    pub comparing: Comparing,
    pub users: Users,
    /// The last step towards a start, while etcd does not run.
    pub step: Option<Start>,
    /// Since when that is to ask the others.
    asking: Option<Instant>,
    /// etcd's process, and since when it was seen.
    pub running: Option<(i32, Instant)>,
    /// Since when it has been stopping, while it is.
    pub stopping: Option<Instant>,
    /// Whether the launcher that is there now was helped to stop etcd.
    pub handed_over: bool,
    /// Whether the EtcdMember is to be told something that it could not be told yet.
    pub owes_word: bool,
}

impl Memory {
    /// Takes what the launcher says of etcd's process. Returns whether it is a new one.
    pub(super) fn note_process(&mut self, launcher: &Launcher, observed: &Observed, now: Instant) -> bool {
        // A launcher that is asked to end a second time is another one: it needs help again.
        self.handed_over &= launcher.terminating;
        self.orders.heard(launcher);
        if observed.confirmed {
            self.orders.obeyed();
        }
        let process = launcher.state.as_ref().map(|state| &state.process);
        let stops = matches!(process, Some(Process::Stopping { .. }));
        self.stopping = stops.then(|| self.stopping.unwrap_or(now));
        let pid = process.and_then(|process| match *process {
            Process::Running { pid } => Some(pid),
            Process::Idle | Process::Stopping { .. } | Process::Pausing { .. } => None,
        });
        if pid == self.running.map(|(pid, _)| pid) {
            return false;
        }
        self.running = pid.map(|pid| (pid, now));
        self.membership.new_run();
        pid.is_some()
    }

    /// Takes the step that is about to be done. Returns whether it says something new to a person.
    pub(super) fn note_step(&mut self, step: &Start, now: Instant) -> bool {
        let waits = match step {
            Start::Left | Start::Stranded(_) | Start::Hold(_) => true,
            Start::Wait(Wait::Addresses(_) | Wait::Acquaintance(_)) => false,
            Start::Wait(_) => true,
            Start::Touch
            | Start::Claim { .. }
            | Start::SetLived
            | Start::Trust
            | Start::Bootstrap
            | Start::Restore(_)
            | Start::Resume
            | Start::SetAside(_)
            | Start::Renew { .. }
            | Start::Remove { .. }
            | Start::Add
            | Start::Join
            | Start::Retire => false,
        };
        if waits {
            self.orders.not_startable();
        }
        let asks = *step == Start::Wait(Wait::Answer);
        self.asking = asks.then(|| self.asking.filter(|_| self.step.is_some()).unwrap_or(now));
        let news = waits && self.step.as_ref() != Some(step) && !asks;
        self.step = Some(step.clone());
        news
    }

    /// For how long the step has been to ask the others.
    pub(super) fn asking_for(&self, now: Instant) -> Option<Duration> {
        self.step.as_ref().and(self.asking).map(|since| now.duration_since(since))
    }

    /// For how long etcd has run, as far as the agent saw it.
    pub(super) fn running_for(&self, now: Instant) -> Duration {
        self.running.map(|(_, since)| now.duration_since(since)).unwrap_or_default()
    }
}
