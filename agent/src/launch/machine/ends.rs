//! What follows when etcd has ended.

use std::time::Duration;

use super::{Action, BETWEEN, Disk, Machine};
use crate::{
    launch::protocol::{Exit, Process, Volume},
    plan::exit::{Class, classify},
};

/// A run at least this long counts as healthy: the next pause starts from zero again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// Longest pause between two starts: short against kubelet's 5 minutes, long against a busy loop.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Machine {
    pub(super) fn ended(&mut self, exit: Exit, now: Duration, disk: &impl Fn(&Volume) -> Disk) -> Vec<Action> {
        let asked = matches!(self.process, Process::Stopping { .. });
        let lived = now.saturating_sub(self.started);
        self.last_exit = Some(Exit { ordered: asked, ..exit });
        self.idle();
        if self.terminating.is_some() {
            return vec![Action::Leave];
        }
        if asked {
            return vec![];
        }
        self.quick_ends = if lived >= HEALTHY_AFTER { 0 } else { self.quick_ends + 1 };
        let mut actions = self.make_room();
        if !self.may_go_on(disk) {
            return actions;
        }
        match pause(self.quick_ends) {
            Duration::ZERO => actions.extend(self.again()),
            pause => {
                self.process = Process::Pausing { millis: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) };
                self.deadline = Some(now + pause);
            }
        }
        actions
    }

    /// Room is made only when a start has failed for want of it. What ended after a longer run may well start again
    /// without, and what is given up too early is written full by clients.
    fn make_room(&self) -> Vec<Action> {
        let full = self.last_exit.as_ref().is_some_and(|exit| classify(&exit.ended()).class == Class::DiskFull);
        if full && self.quick_ends > 0 { vec![Action::MakeRoom] } else { vec![] }
    }

    /// Whether etcd may be started again without asking.
    pub(super) fn may_go_on(&self, disk: &impl Fn(&Volume) -> Disk) -> bool {
        let curable = self.last_exit.as_ref().is_none_or(|exit| !classify(&exit.ended()).class.is_permanent());
        curable && self.locked && self.order.as_ref().is_some_and(|order| disk(&order.volume) == Disk::Wal)
    }

    pub(super) fn again(&mut self) -> Vec<Action> {
        self.restarts += 1;
        self.process = BETWEEN;
        self.order.as_ref().map(|order| Action::Spawn(order.restart())).into_iter().collect()
    }
}

/// None for the first quick end, then 100 ms doubling up to the longest.
fn pause(quick_ends: u32) -> Duration {
    match quick_ends {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(100 << (n - 2).min(16)).min(LONGEST_PAUSE),
    }
}

/// An end before the beginning, as a shell tells it.
pub(super) fn not_started(why: String) -> Exit {
    Exit { code: Some(127), signal: None, ordered: false, out_of_memory: false, tail: vec![why], at: 0 }
}
