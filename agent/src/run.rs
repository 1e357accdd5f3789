//! PID 1 of the agent's container: starts the sidecar, and starts it again whenever it ends.
//!
//! A container that exits takes its pod out of Endpoints, for a second the first time and fifteen the second; a child that
//! is started again costs nothing. It does nothing else, so that nothing in it can fail.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};

use crate::signals;

/// Pause before a sidecar that ended quickly is started again.
const PAUSE: Duration = Duration::from_millis(500);
/// A sidecar that ran this long is started again without a pause.
const LONG: Duration = Duration::from_secs(5);

enum Happened {
    Signal,
    Ended(ExitStatus),
}

/// Runs until SIGTERM has ended the sidecar.
///
/// # Errors
/// When the sidecar cannot be started at all.
pub fn run() -> io::Result<()> {
    let signals = signals::block()?;
    let (tx, rx) = mpsc::channel();
    watch_signals(signals, tx.clone());
    loop {
        let started = Instant::now();
        let child = Command::new("/proc/self/exe").arg("sidecar").spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
        wait_for(child, tx.clone());
        let Some(status) = attend(pid, &rx) else { return Ok(()) };
        eprintln!("agent: the sidecar ended ({status}); it is started again");
        if status.signal() != Some(Signal::SIGKILL as i32) && started.elapsed() < LONG {
            thread::sleep(PAUSE);
        }
    }
}

/// Waits for the sidecar's end. `None` when it was asked to end: then so do we.
fn attend(pid: Pid, rx: &Receiver<Happened>) -> Option<ExitStatus> {
    let mut leaving = false;
    loop {
        match rx.recv() {
            Ok(Happened::Signal) => {
                leaving = true;
                // ESRCH: it has ended, and its end is already in the channel.
                let _ = kill(pid, Signal::SIGTERM);
            }
            Ok(Happened::Ended(status)) => return (!leaving).then_some(status),
            Err(mpsc::RecvError) => return None,
        }
    }
}

fn watch_signals(signals: SigSet, tx: Sender<Happened>) {
    thread::spawn(move || while signals.wait().is_ok() && tx.send(Happened::Signal).is_ok() {});
}

fn wait_for(mut child: Child, tx: Sender<Happened>) {
    thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = tx.send(Happened::Ended(status));
        }
    });
}
