//! Work that may take long, in a task of its own and one at a time: the loop never waits for it.
//!
//! Each kind of work has a lane: writes to the EtcdMember, changes of the membership. Lanes do not wait for each other.

use std::future::{Future, pending};

use tokio::sync::mpsc;

/// One piece of work at a time, and its end.
pub(super) struct Lane<T> {
    busy: bool,
    ends: (mpsc::Sender<T>, mpsc::Receiver<T>),
}

impl<T: Send + 'static> Lane<T> {
    pub(super) fn new() -> Self {
        Self { busy: false, ends: mpsc::channel(1) }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins, unless something is under way. Returns whether it began.
    pub(super) fn begin(&mut self, work: impl Future<Output = T> + Send + 'static) -> bool {
        if self.busy {
            return false;
        }
        self.busy = true;
        let ends = self.ends.0.clone();
        tokio::spawn(async move {
            let end = work.await;
            // Closed: the loop has ended, and the next one looks at what was done.
            let _ = ends.send(end).await;
        });
        true
    }

    /// The end of the work under way; pends while there is none. Cancel-safe: an end that is not taken stays in the channel.
    pub(super) async fn ended(&mut self) -> T {
        match self.ends.1.recv().await {
            Some(end) => {
                self.busy = false;
                end
            }
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_thing_at_a_time_and_its_end_is_not_lost_when_nobody_waits() {
        let mut lane = Lane::new();
        assert!(lane.begin(async { 1 }));
        assert!(!lane.begin(async { 2 }), "the first is under way");
        let waited = tokio::time::timeout(std::time::Duration::ZERO, lane.ended()).await;
        let end = match waited {
            Ok(end) => end,
            Err(_) => lane.ended().await,
        };
        assert_eq!(end, 1);
        assert!(lane.begin(async { 3 }));
        assert_eq!(lane.ended().await, 3);
    }
}
