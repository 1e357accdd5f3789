//! What the other members say of the membership, asked only while somebody needs it.

use std::time::{Duration, Instant};

use tokio::{sync::watch, time::sleep};

use crate::{etcd::peers::Peers, plan::list::Cluster};

/// Whom to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Client URLs of the other members.
    pub endpoints: Vec<String>,
    /// Whether an answer is needed now.
    pub wanted: bool,
}

/// The last answer.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When it was asked for: what the member did later is not in it.
    pub asked: Instant,
    pub cluster: Cluster,
    /// Raft index at or before which all that the list shows was decided; 0 without a list.
    pub index: u64,
}

/// Between two questions while answers are needed: a step of joining or leaving waits for each.
const EAGER: Duration = Duration::from_millis(30);
/// Between two questions that nobody answered.
const UNANSWERED: Duration = Duration::from_millis(250);

impl Default for Heard {
    fn default() -> Self {
        Self { asked: Instant::now(), cluster: Cluster::Awaited, index: 0 }
    }
}

/// Asks until the receiver of `told` is gone.
pub async fn listen(peers: Peers, mut ask: watch::Receiver<Ask>, told: watch::Sender<Heard>) {
    loop {
        let Ask { endpoints, wanted } = ask.borrow_and_update().clone();
        let mut nap = None;
        if wanted {
            let asked = Instant::now();
            let (cluster, index) = match peers.list(&endpoints).await {
                Ok((list, index)) => (Cluster::Answers(list), index),
                Err(error) => (Cluster::Silent(error.to_string()), 0),
            };
            nap = Some(if cluster.list().is_some() { EAGER } else { UNANSWERED });
            told.send_replace(Heard { asked, cluster, index });
        }
        // All arms are cancel-safe: a change stays pending in the watch, a nap has no effect.
        tokio::select! {
            changed = ask.changed() => if changed.is_err() { return },
            () = async { match nap { Some(nap) => sleep(nap).await, None => std::future::pending().await } } => {}
            () = told.closed() => return,
        }
    }
}
