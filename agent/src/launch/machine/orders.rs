//! Whether an order is obeyed, and why not.

use super::{Action, BETWEEN, Disk, Machine, restores};
use crate::launch::protocol::{Message, Order, Process, Volume};

impl Machine {
    /// An order is obeyed when nothing runs, it is new, and the volume is the one that it speaks of.
    pub(super) fn ordered(&mut self, order: Order, disk: &impl Fn(&Volume) -> Disk) -> Vec<Action> {
        if let Some(why) = self.refusal(&order, disk) {
            let refused = Message::Refused { order: order.number, why };
            return (self.agent >= 3).then_some(Action::Send(refused)).into_iter().chain(self.tell()).collect();
        }
        self.order = Some(order.clone());
        self.quick_ends = 0;
        self.deadline = None;
        self.process = BETWEEN;
        vec![Action::Spawn(order)]
    }

    fn refusal(&self, order: &Order, disk: &impl Fn(&Volume) -> Disk) -> Option<String> {
        let known = self.order.as_ref().map_or(0, |order| order.number);
        if self.terminating.is_some() {
            return Some("the container is being stopped".into());
        }
        if !self.locked {
            return Some(format!("the volume's lock is not held: {}", self.waits_for));
        }
        if self.restoring.is_some() {
            return Some(restores::AT_IT.into());
        }
        if !matches!(self.process, Process::Idle | Process::Pausing { .. }) {
            return Some("etcd runs already".into());
        }
        if order.number <= known {
            return Some(format!("order {known} was given already"));
        }
        mismatch(disk(&order.volume), order.first)
    }
}

/// Why an order may not be obeyed on such a volume; `first` says that there must be no data. Asked by the model, too.
#[must_use]
pub fn mismatch(disk: Disk, first: bool) -> Option<String> {
    match (disk, first) {
        (Disk::Empty, true) | (Disk::Wal, false) => None,
        (Disk::Unreadable(why), _) => Some(format!("the volume cannot be read: {why}")),
        (Disk::Other, _) => Some("the volume's mark is not the one that the order was given for".into()),
        (Disk::Empty, false) => Some("the volume's data is gone".into()),
        (Disk::Database, _) => Some("there is a database without a WAL, which must be set aside first".into()),
        (Disk::Wal, true) => Some("there is data where etcd was to start for the first time".into()),
    }
}
