//! Signals of the two programs that are PID 1 of a container: blocked, and waited for by a thread.

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// Blocks the signals that PID 1 waits for, before any thread exists. Children inherit the mask: Go unblocks what it listens
/// for by itself, the sidecar does it with [`unblock`].
pub fn block() -> io::Result<SigSet> {
    let signals = awaited();
    signals.thread_block()?;
    Ok(signals)
}

/// Undoes what was inherited from a parent that blocks signals, before any thread exists.
pub fn unblock() -> io::Result<()> {
    Ok(awaited().thread_unblock()?)
}

fn awaited() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals
}
