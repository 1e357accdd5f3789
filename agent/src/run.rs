//! PID 1 of the agent's container: starts the sidecar, and starts it again whenever it ends.
//!
//! A container that exits takes its pod out of Endpoints, for a second the first time and fifteen the second; a child that
//! is started again costs nothing. It does nothing else and has no second thread, so that nothing in it can fail: at a limit of
//! processes it waits.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};

use crate::signals;

/// Pause before a sidecar that ended quickly, or could not be started, is started again.
const PAUSE: Duration = Duration::from_millis(500);
/// A sidecar that ran this long is started again without a pause.
const LONG: Duration = Duration::from_secs(5);

/// Runs until SIGTERM has ended the sidecar.
///
/// # Errors
/// When signals cannot be waited for.
pub fn run() -> io::Result<()> {
    let signals = signals::block_with_children()?;
    loop {
        let started = Instant::now();
        let status = match Command::new("/proc/self/exe").arg("sidecar").spawn() {
            Ok(child) => match attend(child, || wait(&signals))? {
                Some(status) => status,
                None => return Ok(()),
            },
            Err(error) => {
                eprintln!("agent: cannot start the sidecar: {error}; it is tried again");
                thread::sleep(PAUSE);
                continue;
            }
        };
        eprintln!("agent: the sidecar ended ({status}); it is started again");
        if status.signal() != Some(Signal::SIGKILL as i32) && started.elapsed() < LONG {
            thread::sleep(PAUSE);
        }
    }
}

/// Waits for the child's end. `None` when it was asked to end: then so do we.
fn attend(mut child: Child, mut next: impl FnMut() -> io::Result<Signal>) -> io::Result<Option<ExitStatus>> {
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let mut leaving = false;
    loop {
        // SIGCHLD may come for two ends at once, or for one that was seen already.
        if let Some(status) = child.try_wait()? {
            return Ok((!leaving).then_some(status));
        }
        if next()? != Signal::SIGCHLD {
            leaving = true;
            // It is there: its end has not been waited for.
            let _ = kill(pid, Signal::SIGTERM);
        }
    }
}

fn wait(signals: &SigSet) -> io::Result<Signal> {
    Ok(signals.wait()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says these signals one after the other, then SIGCHLD again and again.
    fn says(signals: &[Signal]) -> impl FnMut() -> io::Result<Signal> + '_ {
        let mut signals = signals.iter().copied();
        move || {
            thread::sleep(Duration::from_millis(5));
            Ok(signals.next().unwrap_or(Signal::SIGCHLD))
        }
    }

    #[test]
    fn a_child_that_ends_by_itself_is_to_be_started_again() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        assert_eq!(attend(child, says(&[])).unwrap().and_then(|status| status.code()), Some(7));
    }

    #[test]
    fn a_child_is_asked_to_end_when_we_are_and_is_not_started_again() {
        let began = Instant::now();
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(attend(child, says(&[Signal::SIGCHLD, Signal::SIGTERM])).unwrap(), None);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
