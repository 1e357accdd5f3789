//! What Ctrl-C does. The terminal tells every program that runs, and each cleans up after itself: this one waits for them, so
//! that nothing is still being removed when the prompt is back. SIGTERM is told to one process only, so it is passed on. A
//! second signal ends at once.

use crate::process;
use nix::sys::signal::{SigSet, Signal};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a shell says of a program that was interrupted.
pub const INTERRUPTED: u8 = 130;
const LOOK: Duration = Duration::from_millis(100);

static HEARD: AtomicBool = AtomicBool::new(false);

/// Whether there was one.
#[must_use]
pub fn heard() -> bool {
    HEARD.load(Ordering::Relaxed)
}

/// Begins to heed signals. Called before any thread starts: threads inherit that the signals wait, programs do not.
pub fn heed() {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
    if set.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        let signal = set.wait();
        HEARD.store(true, Ordering::Relaxed);
        match signal {
            Ok(Signal::SIGTERM) => process::dismiss(),
            _ => process::let_none_begin(),
        }
        std::thread::spawn(|| {
            while process::any_runs() {
                std::thread::sleep(LOOK);
            }
            exit(INTERRUPTED.into());
        });
        let _ = set.wait();
        exit(INTERRUPTED.into());
    });
}
