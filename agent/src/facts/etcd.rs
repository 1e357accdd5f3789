//! What this pod's etcd says, gathered by one task so that no probe ever waits for it.

use std::time::{Duration, Instant};

use etcd_operator_shared::names::PORT_METRICS;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{launcher::Launcher, links::Links};
use crate::{
    etcd::member::{Member, Status},
    launch::protocol::Process,
    names::task::get,
    plan::list::Entry,
};

/// The last answers of one run of etcd. All are gone when its process changes.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The process that answered.
    pub pid: Option<i32>,
    pub status: Option<Status>,
    /// Raft index up to which it had applied everything when its metrics were read before its first answer.
    pub applied: Option<u64>,
    /// When it last answered anything.
    pub answered: Option<Instant>,
    /// Why the last question failed.
    pub trouble: Option<String>,
    /// Whether a linearizable read has ever succeeded in this run.
    pub confirmed: bool,
    /// Why the last linearizable read failed; `None` while they succeed.
    pub no_quorum: Option<String>,
    /// The membership, from a confirmed read, and when it was asked for.
    pub members: Vec<Entry>,
    pub members_asked: Option<Instant>,
    /// Members that etcd has a live connection to; `None` until it was asked.
    pub links: Option<Links>,
}

/// How often etcd is asked while it is starting, and after that.
const EAGER: Duration = Duration::from_millis(20);
const CALM: Duration = Duration::from_secs(1);
/// Between two looks at the metrics while etcd does not answer: it serves them before it serves clients.
const SILENT: Duration = Duration::from_millis(50);
/// How often the slower questions are asked: a linearizable read, the membership, the connections.
const SLOW: Duration = Duration::from_secs(5);
/// The same while the membership changes.
const HURRIED: Duration = Duration::from_millis(100);

/// Asks until the receiver of `told` is gone. `hurry` is true while the membership changes.
pub async fn observe(
    member: Member,
    mut launcher: watch::Receiver<Launcher>,
    mut hurry: watch::Receiver<bool>,
    told: watch::Sender<Observed>,
) {
    let mut seen = Observed::default();
    let mut slow_due = Instant::now();
    loop {
        let pid = running(&launcher.borrow_and_update());
        let hurried = *hurry.borrow_and_update();
        if seen.pid != pid {
            seen = Observed { pid, ..Observed::default() };
            slow_due = Instant::now();
        }
        if pid.is_some() {
            ask_status(&member, &mut seen, &told).await;
            // A member that was removed answers this and nothing else.
            told.send_replace(seen.clone());
            let leads = seen.status.as_ref().is_some_and(|status| status.leader_id.is_some());
            if leads && (!seen.confirmed || hurried || Instant::now() >= slow_due) {
                ask_slowly(&member, &mut seen).await;
                slow_due = Instant::now() + SLOW;
            }
        }
        told.send_replace(seen.clone());
        let nap = match pid {
            Some(_) if !seen.confirmed => EAGER,
            Some(_) if hurried => HURRIED,
            Some(_) | None => CALM,
        };
        // All arms are cancel-safe: a change stays pending in its watch, a nap has no effect.
        tokio::select! {
            changed = launcher.changed() => if changed.is_err() { return },
            changed = hurry.changed() => if changed.is_err() { return },
            () = sleep(nap) => {}
        }
    }
}

fn running(launcher: &Launcher) -> Option<i32> {
    match launcher.state.as_ref()?.process {
        Process::Running { pid } | Process::Stopping { pid } => Some(pid),
        Process::Idle | Process::Pausing { .. } => None,
    }
}

async fn ask_status(member: &Member, seen: &mut Observed, told: &watch::Sender<Observed>) {
    let asking = member.status();
    tokio::pin!(asking);
    let said = loop {
        // Cancel-safe: the question goes on, a nap has no effect.
        tokio::select! {
            said = &mut asking => break said,
            () = sleep(SILENT), if seen.answered.is_none() => {
                seen.applied = metrics().await.as_deref().and_then(applied);
                told.send_replace(seen.clone());
            }
        }
    };
    match said {
        Ok(status) => {
            seen.status = Some(status);
            seen.answered = Some(Instant::now());
            seen.trouble = None;
        }
        Err(error) => seen.trouble = Some(error.to_string()),
    }
}

async fn ask_slowly(member: &Member, seen: &mut Observed) {
    let asked = Instant::now();
    match member.members().await {
        Ok((_, members)) => {
            let ids = members.iter().map(|member| member.id.as_str());
            seen.links.get_or_insert_default().list(ids, asked);
            seen.members = members;
            seen.members_asked = Some(asked);
            seen.confirmed = true;
            seen.no_quorum = None;
        }
        Err(error) => seen.no_quorum = Some(error.to_string()),
    }
    if let Some(metrics) = metrics().await {
        seen.links.get_or_insert_default().take(&metrics, Instant::now());
    }
}

async fn metrics() -> Option<String> {
    let authority = format!("127.0.0.1:{PORT_METRICS}");
    let text = timeout(Duration::from_secs(2), get(&authority, "/metrics")).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// `etcd_server_proposals_applied_total` is no count but the applied index, also after a snapshot.
/// Source: etcd `server/etcdserver/server.go`, `applyAll`.
fn applied(metrics: &str) -> Option<u64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix("etcd_server_proposals_applied_total "))?;
    let index: f64 = value.trim().parse().ok()?;
    // Exact up to 2^53, which no log reaches.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some(index as u64)
}

#[cfg(test)]
mod tests {
    use super::applied;

    #[test]
    fn the_applied_index_is_read_as_etcd_writes_it() {
        let metrics =
            "# TYPE etcd_server_proposals_applied_total gauge\netcd_server_proposals_applied_total 1.7936e+04\n";
        assert_eq!(applied(metrics), Some(17_936));
        assert_eq!(applied("etcd_server_proposals_pending 0\n"), None);
    }
}
