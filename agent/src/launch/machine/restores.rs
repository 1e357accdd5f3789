//! Whether a data directory is made of a snapshot, and what follows when that has ended.

use super::{Action, Disk, Machine, mismatch};
use crate::launch::protocol::{Message, Process, Restore, Volume};

/// What is said while etcdutl works on the volume.
pub(super) const AT_IT: &str = "etcdutl is at work on the volume";

impl Machine {
    /// Only where etcd could start for the first time, and one at a time.
    pub(super) fn restore(&mut self, request: Restore, disk: &impl Fn(&Volume) -> Disk) -> Vec<Action> {
        match self.restore_refusal(&request, disk) {
            Some(why) => vec![Action::Send(Message::Restored { number: request.number, failed: Some(why) })],
            None => {
                self.restoring = Some(request.number);
                vec![Action::Restore(request)]
            }
        }
    }

    fn restore_refusal(&self, request: &Restore, disk: &impl Fn(&Volume) -> Disk) -> Option<String> {
        if self.terminating.is_some() {
            return Some("the container is being stopped".into());
        }
        if !self.locked {
            return Some(format!("the volume's lock is not held: {}", self.waits_for));
        }
        if self.restoring.is_some() {
            return Some(AT_IT.into());
        }
        match self.process {
            Process::Idle => mismatch(disk(&request.volume), true),
            Process::Running { .. } | Process::Stopping { .. } | Process::Pausing { .. } => Some("etcd runs".into()),
        }
    }

    /// etcdutl has ended. The agent of before may be gone by now: its successor begins anew.
    pub(super) fn restored(&mut self, failed: Option<String>) -> Vec<Action> {
        let Some(number) = self.restoring.take() else { return vec![] };
        if self.terminating.is_some() {
            return vec![Action::Leave];
        }
        let told = self.connected && self.agent >= 4;
        told.then_some(Action::Send(Message::Restored { number, failed })).into_iter().collect()
    }
}
