//! Which kind of step a turn is for, by what the launcher says.

use super::running::Process;
use crate::{launch::protocol, observe::launcher::Launcher};

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The launcher was asked to end and waits for help.
    Ending,
    /// No launcher is known that runs etcd, or will by itself: a start may be prepared.
    Starting,
    /// etcd runs, or will by itself, or is ending.
    Running(Process),
    /// An order is on its way, or etcd's process is just being made: it may run by now. Nothing is planned on what was said
    /// before.
    Unclear,
}

/// Decides it. `awaited` says that the launcher has not answered the last order yet.
#[must_use]
pub fn turn(launcher: &Launcher, awaited: bool) -> Turn {
    if launcher.terminating {
        return Turn::Ending;
    }
    match launcher.state.as_ref().map(|state| &state.process) {
        None | Some(protocol::Process::Idle) if awaited => Turn::Unclear,
        None | Some(protocol::Process::Idle) => Turn::Starting,
        Some(protocol::Process::Running { .. }) => Turn::Running(Process::Running),
        Some(protocol::Process::Pausing { millis: 0 }) => Turn::Unclear,
        Some(protocol::Process::Pausing { .. }) => Turn::Running(Process::Pausing),
        Some(protocol::Process::Stopping { .. }) => Turn::Running(Process::Stopping),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::protocol::State;

    fn said(process: protocol::Process) -> Launcher {
        let state = State { process, order: 1, restarts: 0, last_exit: None, options: None, pools: None };
        Launcher { connected: true, state: Some(state), ..Launcher::default() }
    }

    #[test]
    fn a_start_is_prepared_only_where_nothing_runs_or_is_about_to() {
        assert_eq!(turn(&said(protocol::Process::Idle), false), Turn::Starting);
        assert_eq!(turn(&Launcher::default(), false), Turn::Starting);
        assert_eq!(turn(&said(protocol::Process::Idle), true), Turn::Unclear, "an order is on its way");
        for (process, wanted) in [
            (protocol::Process::Running { pid: 1 }, Process::Running),
            (protocol::Process::Stopping { pid: 1 }, Process::Stopping),
            (protocol::Process::Pausing { millis: 1 }, Process::Pausing),
        ] {
            assert_eq!(turn(&said(process), false), Turn::Running(wanted));
        }
        assert_eq!(turn(&said(protocol::Process::Pausing { millis: 0 }), false), Turn::Unclear, "it is being made");
    }

    #[test]
    fn a_launcher_that_was_asked_to_end_comes_first() {
        let ending = Launcher { terminating: true, ..said(protocol::Process::Idle) };
        assert_eq!(turn(&ending, true), Turn::Ending);
    }
}
