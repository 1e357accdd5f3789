//! The launcher's decisions, as a machine without I/O: events in, actions out.
//!
//! ```text
//!                 Start                       ended, may go on
//!   Idle ───────────────────▶ Running ───────────────────────────▶ Pausing
//!    ▲ ▲                        │  ▲ └── ended, must ask ──▶ Idle     │
//!    │ └── ended ── Stopping ◀──┘  └──────────── pause over ──────────┘
//!    │                 Halt, or SIGTERM after the agent's Release
//!    ├─ SIGTERM while nothing runs: exit
//!    └─ Restore: etcdutl works on the volume; no state is said, and nothing is started, until it has ended
//! ```
//!
//! Guarantees: without an order nothing is started; a first start is done once per order; by itself etcd is started
//! again only where a WAL exists and the mark is the order's; after an exit that no restart can cure, the agent is
//! asked; nothing is started while another launcher may work on the volume.
//! Assumption: time is handed in and only rises.

use std::time::Duration;

use super::protocol::{Exit, Message, Order, Process, Request, Restore, State, VERSION, Volume};
use crate::plan::exit::Ended;

/// How long the agent may take to hand leadership over. Measured: 0.2 s; an unreachable cluster must not eat the grace
/// period of 60 s.
pub const RELEASE_WITHIN: Duration = Duration::from_secs(8);
/// How long etcd may take to stop before SIGKILL. etcd drains clients for up to 7 s (5 s + 2 elections).
pub const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Between the decision to start etcd and its process: an agent that heard of rest now would move data, or give another
/// order.
const BETWEEN: Process = Process::Pausing { millis: 0 };

/// What happens to the launcher.
#[derive(Debug)]
pub enum Event {
    Connected,
    Disconnected,
    Asked(Request),
    /// The volume's lock was taken: no other launcher works on it.
    Locked,
    /// It was not, or not any more, for this reason.
    Unlocked {
        why: String,
    },
    /// etcd was started.
    Spawned {
        pid: i32,
    },
    /// etcd could not be started.
    SpawnFailed {
        why: String,
    },
    /// etcdutl has ended, or could not be started; why it failed.
    Restored {
        failed: Option<String>,
    },
    Ended(Exit),
    Terminate,
    /// Time has passed.
    Tick,
}

/// What the launcher must do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Spawn(Order),
    /// Start etcdutl.
    Restore(Restore),
    /// SIGTERM to etcd.
    Stop,
    /// SIGKILL to etcd, or to etcdutl.
    Kill,
    Send(Message),
    /// Give the volume's reserve up: etcd finds no room to start.
    MakeRoom,
    Leave,
}

/// What the volume says about an order at the moment of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// It cannot be read, for this reason: unknown is neither data nor its absence.
    Unreadable(String),
    /// Its mark is not the one that the order was given for, or there is none.
    Other,
    /// The mark is, and there is neither a WAL nor a database.
    Empty,
    /// The mark is, and there is a database without a WAL: etcd would open it and take it for its own.
    Database,
    /// The mark is, and a WAL is there.
    Wal,
}

/// The machine. `now` is any clock that only rises.
#[derive(Debug, Default)]
pub struct Machine {
    /// Version that the image's etcd says it is, where it says one.
    etcd: Option<String>,
    order: Option<Order>,
    /// Number of the request that etcdutl works on.
    restoring: Option<u64>,
    process: Process,
    started: Duration,
    /// When a pause is over, or a stop becomes a kill.
    deadline: Option<Duration>,
    quick_ends: u32,
    restarts: u32,
    last_exit: Option<Exit>,
    connected: bool,
    /// Version of the protocol that the agent speaks; 0 until it has said so.
    agent: u32,
    /// Whether the volume's lock is held, and why not while it is not.
    locked: bool,
    waits_for: String,
    /// Set by the first SIGTERM; the release is still awaited while `Some(true)`.
    terminating: Option<bool>,
}

impl Machine {
    /// In a container whose etcd says that it is this version.
    #[must_use]
    pub fn of(etcd: Option<String>) -> Self {
        Self { etcd, ..Self::default() }
    }

    /// When [`Event::Tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// The order that etcd runs under, while it runs.
    #[must_use]
    pub fn running(&self) -> Option<&Order> {
        matches!(self.process, Process::Running { .. }).then_some(self.order.as_ref()).flatten()
    }

    /// Takes one event; `disk` is looked at only when a decision needs it.
    pub fn step(&mut self, event: Event, now: Duration, disk: impl Fn(&Volume) -> Disk) -> Vec<Action> {
        let before = self.word();
        let mut actions = match event {
            Event::Connected => {
                (self.connected, self.agent) = (true, 0);
                let version = env!("CARGO_PKG_VERSION").to_owned();
                [Message::Hello { protocol: VERSION, version, etcd: self.etcd.clone() }]
                    .into_iter()
                    .chain(self.word())
                    .map(Action::Send)
                    .collect()
            }
            Event::Disconnected => {
                self.connected = false;
                self.release(now)
            }
            Event::Asked(request) => self.asked(request, now, &disk),
            Event::Locked => {
                self.locked = true;
                vec![]
            }
            Event::Unlocked { why } => {
                (self.locked, self.waits_for) = (false, why);
                vec![]
            }
            Event::Spawned { pid } => self.spawned(pid, now),
            Event::SpawnFailed { why } => self.ended(ends::not_started(why), now, &disk),
            Event::Restored { failed } => self.restored(failed),
            Event::Ended(exit) => self.ended(exit, now, &disk),
            Event::Terminate => self.terminate(now),
            Event::Tick => self.tick(now, &disk),
        };
        let word = self.word();
        if word != before {
            actions.extend(word.map(Action::Send));
        }
        actions
    }

    fn state(&self) -> State {
        State {
            process: self.process.clone(),
            order: self.order.as_ref().map_or(0, |order| order.number),
            restarts: self.restarts,
            last_exit: self.last_exit.clone(),
            options: self.order.as_ref().and_then(|order| order.options.clone()),
            pools: self.order.as_ref().and_then(|order| order.pools.clone()),
        }
    }

    /// What an agent is told. Without the lock nothing is said that would let it touch the volume.
    fn word(&self) -> Option<Message> {
        if self.restoring.is_some() {
            return (self.agent >= 3).then(|| Message::Waiting { why: restores::AT_IT.into() });
        }
        if self.locked || self.process != Process::Idle {
            return Some(Message::State(self.state()));
        }
        // Before the first look at the lock there is nothing to say: it takes no time.
        let known = self.agent >= 3 && !self.waits_for.is_empty();
        known.then(|| Message::Waiting { why: self.waits_for.clone() })
    }

    fn tell(&self) -> Vec<Action> {
        self.word().map(Action::Send).into_iter().collect()
    }

    fn asked(&mut self, request: Request, now: Duration, disk: &impl Fn(&Volume) -> Disk) -> Vec<Action> {
        match request {
            Request::Hello { protocol } => {
                self.agent = protocol;
                vec![]
            }
            Request::Release => self.release(now),
            Request::Halt => self.halt(now, Action::Stop),
            Request::Kill => self.halt(now, Action::Kill),
            Request::Restore(request) => self.restore(request, disk),
            Request::Start(order) => self.ordered(order, disk),
        }
    }

    /// Stops etcd so, for good.
    fn halt(&mut self, now: Duration, how: Action) -> Vec<Action> {
        match self.process {
            Process::Running { pid } => {
                self.stopping(pid, now);
                vec![how]
            }
            Process::Pausing { .. } => {
                self.idle();
                vec![]
            }
            // Said again, so that an agent that asks twice is answered twice.
            Process::Idle => self.tell(),
            Process::Stopping { .. } if how == Action::Kill => vec![how],
            Process::Stopping { .. } => vec![],
        }
    }

    fn spawned(&mut self, pid: i32, now: Duration) -> Vec<Action> {
        self.process = Process::Running { pid };
        self.started = now;
        self.deadline = None;
        if self.terminating.is_some() { self.stop(now) } else { vec![] }
    }

    fn terminate(&mut self, now: Duration) -> Vec<Action> {
        match (&self.process, self.terminating) {
            _ if self.restoring.is_some() => {
                self.terminating = Some(false);
                vec![Action::Kill]
            }
            (Process::Idle | Process::Pausing { .. }, _) => {
                self.terminating = Some(false);
                vec![Action::Leave]
            }
            (Process::Running { .. }, None) if self.connected => {
                self.terminating = Some(true);
                self.deadline = Some(now + RELEASE_WITHIN);
                vec![Action::Send(Message::Terminating)]
            }
            (Process::Running { .. }, _) => {
                self.terminating = Some(false);
                self.stop(now)
            }
            (Process::Stopping { .. }, _) => {
                self.terminating = Some(false);
                vec![]
            }
        }
    }

    fn release(&mut self, now: Duration) -> Vec<Action> {
        if self.terminating == Some(true) {
            self.terminating = Some(false);
            return self.stop(now);
        }
        vec![]
    }

    fn stop(&mut self, now: Duration) -> Vec<Action> {
        let Process::Running { pid } = self.process else { return vec![] };
        self.stopping(pid, now);
        vec![Action::Stop]
    }

    fn stopping(&mut self, pid: i32, now: Duration) {
        self.process = Process::Stopping { pid };
        self.deadline = Some(now + STOP_WITHIN);
    }

    fn tick(&mut self, now: Duration, disk: &impl Fn(&Volume) -> Disk) -> Vec<Action> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return vec![];
        }
        self.deadline = None;
        match self.process {
            Process::Idle => vec![],
            Process::Running { .. } => self.release(now),
            Process::Stopping { .. } => vec![Action::Kill],
            Process::Pausing { .. } => {
                self.idle();
                if self.may_go_on(disk) { self.again() } else { vec![] }
            }
        }
    }

    fn idle(&mut self) {
        self.process = Process::Idle;
        self.deadline = None;
    }
}

impl Exit {
    /// The exit as [`classify`] reads it.
    #[must_use]
    pub fn ended(&self) -> Ended {
        let Self { code, signal, ordered, out_of_memory, tail, at: _ } = self.clone();
        Ended { code, signal, ordered, out_of_memory, tail }
    }
}

mod ends;
mod orders;
mod restores;

pub use orders::mismatch;

#[cfg(test)]
mod tests;
