//! The launcher's threads: each turns one source of news into inputs of the main loop.

use std::{
    fs, io,
    os::unix::{
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    path::Path,
    process::Child,
    sync::mpsc::Sender,
    thread,
    time::{Duration, SystemTime},
};

use nix::sys::signal::SigSet;

use super::{
    machine::Event,
    output::{self, Tail},
    protocol::{self, Exit},
};
use crate::volume::lock::{Holder, Keeper};

/// Starts a thread. Where none can be had, at a limit of processes, that is an error: a panic would take etcd's parent.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop)
}

/// How often the lock is tried while another has it: its end is a member's start.
const LOCK_WANTED: Duration = Duration::from_millis(100);
/// How often it is seen to that the locked file is still the one on the volume.
const LOCK_KEPT: Duration = Duration::from_secs(1);

/// What reaches the main loop.
pub(super) enum Input {
    Machine(Event),
    /// A new agent connected; the older connection is dropped.
    Agent(UnixStream),
    /// The connection with this number ended.
    AgentGone(u64),
    AgentSaid(u64, protocol::Request),
}

pub(super) fn watch_signals(signals: SigSet, tx: Sender<Input>) {
    thread::spawn(move || while signals.wait().is_ok() && tx.send(Input::Machine(Event::Terminate)).is_ok() {});
}

/// Keeps the volume's lock and says when it was taken or lost. A look at a hung volume never returns: so it has a thread.
pub(super) fn keep_lock(mut keeper: Keeper, tx: Sender<Input>) -> io::Result<()> {
    spawn("lock", move || {
        let mut known = None;
        loop {
            let holder = keeper.look();
            let pause = if holder == Holder::Me { LOCK_KEPT } else { LOCK_WANTED };
            if known.as_ref() != Some(&holder) {
                let event = news(&holder);
                known = Some(holder);
                if tx.send(Input::Machine(event)).is_err() {
                    return;
                }
            }
            thread::sleep(pause);
        }
    })
}

fn news(holder: &Holder) -> Event {
    let why = match holder {
        Holder::Me => return Event::Locked,
        Holder::Other => "another launcher works on the volume; etcd is started when it has ended".to_owned(),
        Holder::Nobody(why) => format!("the volume cannot be locked: {why}"),
    };
    eprintln!("launcher: {why}");
    Event::Unlocked { why }
}

pub(super) fn listen(path: &Path, tx: Sender<Input>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A peer that stops reading must not block the parent of etcd.
            let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
            if tx.send(Input::Agent(stream)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

pub(super) fn read_requests(number: u64, mut stream: UnixStream, tx: Sender<Input>) {
    thread::spawn(move || {
        while let Ok(request) = protocol::read(&mut stream) {
            if tx.send(Input::AgentSaid(number, request)).is_err() {
                return;
            }
        }
        let _ = tx.send(Input::AgentGone(number));
    });
}

/// Waits for etcd's end and the last of its output.
pub(super) fn wait_for(mut child: Child, oom_before: u64, tx: Sender<Input>) {
    let tail = Tail::default();
    let out = child.stdout.take().map(|from| output::pass(from, io::stdout(), tail.clone()));
    let err = child.stderr.take().map(|from| output::pass(from, io::stderr(), tail.clone()));
    thread::spawn(move || {
        let status = child.wait();
        for pipe in [out, err].into_iter().flatten() {
            let _ = pipe.join();
        }
        let (code, signal) = status.map_or((None, None), |status| (status.code(), status.signal()));
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let exit = Exit {
            code,
            signal,
            ordered: false,
            out_of_memory: oom_kills() > oom_before,
            tail: tail.lines(),
            at: i64::try_from(at).unwrap_or_default(),
        };
        let _ = tx.send(Input::Machine(Event::Ended(exit)));
    });
}

/// How many processes of this container the kernel has killed for memory: `memory.events` of cgroup v2,
/// `memory.oom_control` of v1. 0 where neither can be read.
pub(super) fn oom_kills() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let text = read("/sys/fs/cgroup/memory.events").or_else(|| read("/sys/fs/cgroup/memory/memory.oom_control"));
    let count = |line: &str| line.strip_prefix("oom_kill ").and_then(|n| n.trim().parse().ok());
    text.and_then(|text| text.lines().find_map(count)).unwrap_or(0)
}
