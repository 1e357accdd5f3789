//! Whether the volume takes writes, tried now and then by a task of its own: a write on a hung disk never returns.

use std::time::{Duration, Instant};

use tokio::{sync::watch, time::sleep};

use crate::volume::Store;

/// The last trial.
#[derive(Debug, Clone, Default)]
pub struct Writable {
    /// Why the last trial failed.
    pub trouble: Option<String>,
    /// When the trial that is under way began.
    pub trying_since: Option<Instant>,
}

/// A trial that takes longer means that the disk hangs: an fsync on a healthy one takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried: a few bytes, so that a volume costs nothing.
const EVERY: Duration = Duration::from_secs(15);

impl Writable {
    /// Why the volume does not take writes, if so.
    #[must_use]
    pub fn trouble(&self, now: Instant) -> Option<String> {
        let hung = self.trying_since.map(|since| now.duration_since(since)).filter(|time| *time > PATIENCE);
        match hung {
            Some(time) => Some(format!("a write to the volume has not returned for {} s", time.as_secs())),
            None => self.trouble.clone(),
        }
    }
}

/// Tries until the receiver is gone.
pub async fn try_now_and_then(store: Store, told: watch::Sender<Writable>) {
    while !told.is_closed() {
        told.send_modify(|known| known.trying_since = Some(Instant::now()));
        let store = store.clone();
        let outcome = tokio::task::spawn_blocking(move || store.check_writable()).await;
        let trouble = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("the volume does not take writes: {error}")),
            Err(error) => Some(error.to_string()),
        };
        told.send_replace(Writable { trouble, trying_since: None });
        sleep(EVERY).await;
    }
}
