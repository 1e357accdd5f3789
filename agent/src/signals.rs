//! Signals of the two programs that are PID 1 of a container: blocked, and waited for.

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// Blocks the signals that ask a program to end, before any thread exists. Children inherit the mask. etcd's Go runtime unblocks
/// at its start whatever can end a process (Go `runtime/signal_unix.go`, `blockableSig`); the sidecar does it with [`unblock`].
pub fn block() -> io::Result<SigSet> {
    let signals = asking();
    signals.thread_block()?;
    Ok(signals)
}

/// The same, and the one that tells of a child's end.
pub fn block_with_children() -> io::Result<SigSet> {
    let mut signals = asking();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    Ok(signals)
}

/// Undoes what was inherited from a parent that blocks signals, before any thread exists.
pub fn unblock() -> io::Result<()> {
    let mut signals = asking();
    signals.add(Signal::SIGCHLD);
    Ok(signals.thread_unblock()?)
}

fn asking() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals
}
