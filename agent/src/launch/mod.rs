//! The launcher: PID 1 of the etcd container and parent of etcd.
//!
//! ```text
//!   agent ══ unix socket ══ reader thread ──┐
//!   SIGTERM ─────────────── signal thread ──┼──▶ channel ──▶ main: Machine ──▶ actions (spawn, kill, send, leave)
//!   etcd ends ───────────── waiter thread ──┤                        └── 1 ms polls until a WAL is seen: `lived`
//!   the volume's lock ───── lock thread ────┘
//!   etcd's output ───────── two threads, passed through, tail kept
//! ```
//!
//! It lives on without the agent, keeps no state on disk but `lived`, and holds no async runtime: it is in every etcd
//! container and must stay below 4 MiB.

pub(crate) mod limits;
mod lived;
pub mod look;
pub mod machine;
pub(crate) mod output;
pub(crate) mod program;
pub mod protocol;
mod restore;
mod threads;

use std::{
    ffi::OsString,
    io,
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use self::{
    limits::{CGROUP, Limits},
    lived::{Look, Record},
    look::look,
    machine::{Action, Event, Machine},
    protocol::{Message, Order, Restore},
    threads::{Input, keep_lock, listen, oom_kills, read_requests, wait_for, watch_signals},
};
use crate::{
    signals,
    volume::{
        Store,
        lock::{self, Keeper},
    },
};

/// Name of the socket in the directory that both containers share.
pub const SOCKET: &str = "launcher.sock";
/// How long the main loop sleeps at most when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// Where the launcher works.
#[derive(Debug, Clone)]
pub struct Places {
    /// The volume's root.
    pub volume: PathBuf,
    /// The directory shared with the agent.
    pub shared: PathBuf,
    /// The container's PATH, to find etcd by.
    pub path: Option<OsString>,
}

/// Runs until SIGTERM has stopped etcd.
///
/// # Errors
/// When the socket cannot be had, or no thread.
pub fn run(places: &Places, ignored: &[String]) -> io::Result<()> {
    if !ignored.is_empty() {
        eprintln!("launcher: etcd's flags are the agent's alone; these words do nothing: {}", ignored.join(" "));
    }
    let signals = signals::block()?;
    // Before the agent can connect: what it orders depends on it.
    let etcd = program::version(places.path.as_deref(), Limits::read(Path::new(CGROUP)));
    let said = etcd.as_deref().unwrap_or("of a version that it does not say");
    eprintln!("launcher {} with etcd {said} waits for the agent", env!("CARGO_PKG_VERSION"));
    let store = Store::new(places.volume.clone());
    let (tx, rx) = mpsc::channel();
    // Another launcher on the volume means another pod: two etcds on one disk destroy it.
    keep_lock(Keeper::new(store.lock_path(lock::LAUNCHER)), tx.clone())?;
    listen(&places.shared.join(SOCKET), tx.clone())?;
    watch_signals(signals, tx.clone())?;
    let path = places.path.clone();
    let (machine, record, epoch) = (Machine::of(etcd), Record::default(), Instant::now());
    Launcher { machine, store, record, path, epoch, agent: None, child: None, tx }.serve(&rx);
    Ok(())
}

struct Launcher {
    machine: Machine,
    store: Store,
    record: Record,
    path: Option<OsString>,
    epoch: Instant,
    agent: Option<(u64, UnixStream)>,
    child: Option<Pid>,
    tx: Sender<Input>,
}

impl Launcher {
    fn serve(mut self, rx: &Receiver<Input>) {
        let mut connections = 0;
        loop {
            let look = self.look_for_wal();
            let input = match rx.recv_timeout(self.nap(look)) {
                Ok(input) => input,
                Err(RecvTimeoutError::Timeout) => Input::Machine(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let event = match input {
                Input::Machine(event) => event,
                Input::Agent(stream) => {
                    connections += 1;
                    match self.connect(connections, stream) {
                        true => Event::Connected,
                        false => continue,
                    }
                }
                Input::AgentSaid(n, request) if self.is_current(n) => Event::Asked(request),
                Input::AgentGone(n) if self.is_current(n) => {
                    self.agent = None;
                    Event::Disconnected
                }
                Input::AgentSaid(..) | Input::AgentGone(_) => continue,
            };
            if self.step(event) {
                return;
            }
        }
    }

    /// Sees to the record of a first start; returns when it must look again.
    fn look_for_wal(&mut self) -> Option<Duration> {
        let order = self.machine.running().filter(|order| order.first)?;
        let Look { again, say } = self.record.look(&self.store, order.number, &order.volume.volume_id);
        if let Some(why) = say {
            eprintln!("launcher: cannot record that etcd has made a WAL: {why}");
        }
        again
    }

    fn nap(&self, look: Option<Duration>) -> Duration {
        let due = self.machine.deadline().map_or(IDLE, |deadline| deadline.saturating_sub(self.epoch.elapsed()));
        due.min(look.unwrap_or(IDLE))
    }

    fn is_current(&self, connection: u64) -> bool {
        self.agent.as_ref().is_some_and(|(n, _)| *n == connection)
    }

    /// Takes an event and does what follows, including the events that this causes. True when the launcher must leave.
    fn step(&mut self, event: Event) -> bool {
        let mut pending = vec![event];
        while let Some(event) = pending.pop() {
            let store = self.store.clone();
            for action in self.machine.step(event, self.epoch.elapsed(), |ordered| look(&store, ordered)) {
                match action {
                    Action::Leave => return true,
                    Action::Send(message) => self.send(&message),
                    Action::Stop => self.signal(Signal::SIGTERM),
                    Action::Kill => self.signal(Signal::SIGKILL),
                    Action::MakeRoom => self.make_room(),
                    Action::Spawn(order) => pending.push(self.spawn(&order)),
                    Action::Restore(request) => pending.extend(self.restore(&request)),
                }
            }
        }
        false
    }

    fn spawn(&mut self, order: &Order) -> Event {
        let out_of_memory = oom_kills();
        let limits = Limits::read(Path::new(CGROUP));
        let spawned = program::command("etcd", &order.args, self.path.as_deref(), limits)
            .and_then(|mut etcd| etcd.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn());
        let waited_for = spawned.and_then(|child| {
            let pid = i32::try_from(child.id()).unwrap_or_default();
            wait_for(child, out_of_memory, self.tx.clone()).map(|()| pid)
        });
        match waited_for {
            Ok(pid) => {
                self.child = Some(Pid::from_raw(pid));
                Event::Spawned { pid }
            }
            Err(error) => {
                let why = format!("cannot start etcd: {error}");
                eprintln!("launcher: {why}");
                Event::SpawnFailed { why }
            }
        }
    }

    /// Its end is an event; one that cannot begin has ended.
    fn restore(&mut self, request: &Restore) -> Option<Event> {
        match restore::begin(&request.args, self.path.as_deref(), self.tx.clone()) {
            Ok(pid) => {
                self.child = Some(pid);
                None
            }
            Err(error) => {
                let why = format!("cannot start etcdutl: {error}");
                eprintln!("launcher: {why}");
                Some(Event::Restored { failed: Some(why) })
            }
        }
    }

    fn make_room(&self) {
        match self.store.give_up_reserve() {
            Ok(0) => eprintln!("launcher: the volume is full, and nothing is held in reserve"),
            Ok(bytes) => eprintln!("launcher: the volume is full; {} MiB held in reserve are given up", bytes >> 20),
            Err(error) => eprintln!("launcher: the volume is full, and the reserve cannot be given up: {error}"),
        }
    }

    fn signal(&self, signal: Signal) {
        // ESRCH: it ended by itself; its end is already in the channel.
        if let Some(pid) = self.child {
            let _ = kill(pid, signal);
        }
    }

    fn connect(&mut self, number: u64, stream: UnixStream) -> bool {
        let reading = stream.try_clone().and_then(|reading| read_requests(number, reading, self.tx.clone()));
        match reading {
            Ok(()) => self.agent = Some((number, stream)),
            // `stream` is closed here: the agent tries again.
            Err(error) => eprintln!("launcher: cannot listen to the agent: {error}"),
        }
        self.is_current(number)
    }

    fn send(&mut self, message: &Message) {
        if let Some((_, stream)) = &mut self.agent
            && let Err(error) = protocol::write(stream, message)
        {
            eprintln!("launcher: the agent does not listen: {error}");
            // Half a frame may be out: nothing that follows could be understood. The agent connects anew.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests;
