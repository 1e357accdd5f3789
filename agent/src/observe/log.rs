//! Whether etcd 3.7 could read this member's log, found out while 3.6 runs and the cluster's version is 3.6: from then on nobody
//! writes there what only 3.5 and 3.6 can read, and a raft snapshot covers what stands there.
//!
//! ```text
//!   not 3.6 in a cluster of 3.6 ──▶ nothing is known
//!   the log is plain            ──▶ 3.7
//!   it holds an entry of 3.5's  ──▶ 3.6; a few entries without a revision ─▶ a new snapshot? ─▶ the log is read again
//! ```
//! etcd makes a snapshot after so many entries (`--snapshot-count`), which an idle cluster never comes to. So etcd is asked for its
//! alarms again and again: it writes the question into its log and nothing into the store. Each agent asks its own etcd, and stops
//! when its own log is plain: whoever leads, and however many ask, the entries are those of all.

use std::time::Duration;

use etcd_operator_shared::version::Minor;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tracing::{info, warn};

use super::etcd::Observed;
use crate::{
    etcd::member::Member,
    volume::{Store, log::Log},
};

/// Questions between two looks for a new snapshot: half a second's.
const QUESTIONS: usize = 100;
/// Between two looks at what etcd says of itself.
const CALM: Duration = Duration::from_secs(1);
/// Before a log that could not be read is read again, and before etcd is asked again that took no question.
const LATER: Duration = Duration::from_secs(15);

/// Looks until the receiver of `told` is gone.
pub async fn follow(
    store: Store,
    member: Member,
    observed: watch::Receiver<Observed>,
    told: watch::Sender<Option<Minor>>,
) {
    let mut standing: Option<Log> = None;
    while !told.is_closed() {
        let seen = observed.borrow().clone();
        if !is_due(&seen) {
            standing = None;
        } else if standing != Some(Log::Plain) {
            standing = look(&store, standing).await;
            if matches!(standing, Some(Log::Old { .. })) && takes_questions(&seen) {
                ask(&member).await;
            }
        }
        tell(&told, standing);
        sleep(if standing.is_none() && is_due(&seen) { LATER } else { CALM }).await;
    }
}

/// Whether 3.7 may come next.
fn is_due(seen: &Observed) -> bool {
    seen.ran().is_some_and(|ran| ran.version.minor == Minor::V3_6 && ran.cluster == Some(Minor::V3_6))
}

/// Whether its etcd would take a question: one that learns does not.
fn takes_questions(seen: &Observed) -> bool {
    seen.status.as_ref().is_some_and(|status| status.leader_id.is_some() && !status.is_learner)
}

/// Reads the log, unless no new snapshot can have changed what it was.
async fn look(store: &Store, last: Option<Log>) -> Option<Log> {
    let store = store.clone();
    let looked = spawn_blocking(move || match last {
        Some(Log::Old { index }) if store.newest_snapshot()? < index => Ok(Log::Old { index }),
        Some(Log::Old { .. } | Log::Plain) | None => store.log(),
    });
    match looked.await.map_err(std::io::Error::other).flatten() {
        Ok(log) => Some(log),
        Err(error) => {
            warn!(%error, "cannot read etcd's log");
            None
        }
    }
}

async fn ask(member: &Member) {
    for _ in 0..QUESTIONS {
        if member.alarms().await.is_err() {
            sleep(LATER).await;
            return;
        }
    }
}

fn tell(told: &watch::Sender<Option<Minor>>, standing: Option<Log>) {
    let minor = standing.map(|log| match log {
        Log::Plain => Minor::V3_7,
        Log::Old { .. } => Minor::V3_6,
    });
    told.send_if_modified(|last| {
        let news = *last != minor;
        if news {
            info!(from = ?*last, to = ?minor, "the version of etcd that can read the log");
        }
        *last = minor;
        news
    });
}
