//! When the next order to start etcd may be given.

use std::time::{Duration, Instant};

/// An order that the launcher did not obey is given again after this.
const UNHEARD: Duration = Duration::from_secs(1);
/// Longest pause between orders for an etcd that keeps ending.
const LONGEST: Duration = Duration::from_secs(10);

/// Orders given since etcd last served.
#[derive(Debug, Default)]
pub(super) struct Orders {
    given: u32,
    last: Option<Instant>,
    /// Since when the plan says that etcd may start.
    startable: Option<Instant>,
}

impl Orders {
    /// The plan says that etcd may start; returns for how long it has said so.
    pub(super) fn startable(&mut self) -> Duration {
        self.startable.get_or_insert_with(Instant::now).elapsed()
    }

    pub(super) fn not_startable(&mut self) {
        self.startable = None;
    }

    pub(super) fn is_startable(&self) -> bool {
        self.startable.is_some()
    }

    /// The last order did what it was for: etcd served, or was stopped on purpose. The next one need not wait.
    pub(super) fn obeyed(&mut self) {
        self.given = 0;
    }

    pub(super) fn give(&mut self) {
        self.given += 1;
        self.last = Some(Instant::now());
    }

    /// An etcd that ended again and again without serving is started ever more rarely.
    pub(super) fn is_due(&self) -> bool {
        let pause = match self.given {
            0 => Duration::ZERO,
            1 => UNHEARD,
            n => LONGEST.min(Duration::from_secs(1 << (n - 1).min(4))),
        };
        self.last.is_none_or(|at| at.elapsed() >= pause)
    }
}
