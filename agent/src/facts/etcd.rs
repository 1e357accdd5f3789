//! What this pod's etcd says, gathered by one task so that no probe ever waits for it.

use std::time::{Duration, Instant};

use etcd_operator_shared::names::PORT_METRICS;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::launcher::Launcher;
use crate::{
    etcd::member::{Entry, Member, Status},
    launch::protocol::Process,
    names::task::get,
};

/// The last answers of one run of etcd. All are gone when its process changes.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The process that answered.
    pub pid: Option<i32>,
    pub status: Option<Status>,
    /// When it last answered anything.
    pub answered: Option<Instant>,
    /// Why the last question failed.
    pub trouble: Option<String>,
    /// Whether a linearizable read has ever succeeded in this run.
    pub confirmed: bool,
    /// Why the last linearizable read failed; `None` while they succeed.
    pub no_quorum: Option<String>,
    /// The membership, from a confirmed read.
    pub members: Vec<Entry>,
    /// Peers that etcd has a live connection to.
    pub active_peers: Option<usize>,
}

/// How often etcd is asked while it is starting, and after that.
const EAGER: Duration = Duration::from_millis(20);
const CALM: Duration = Duration::from_secs(1);
/// How often the slower questions are asked: a linearizable read, the membership, the connections.
const SLOW: Duration = Duration::from_secs(5);

/// Asks until the receiver of `told` is gone.
pub async fn observe(member: Member, mut launcher: watch::Receiver<Launcher>, told: watch::Sender<Observed>) {
    let mut seen = Observed::default();
    let mut slow_due = Instant::now();
    loop {
        let pid = running(&launcher.borrow_and_update());
        if seen.pid != pid {
            seen = Observed { pid, ..Observed::default() };
            slow_due = Instant::now();
        }
        if pid.is_some() {
            ask_status(&member, &mut seen).await;
            let leads = seen.status.as_ref().is_some_and(|status| status.leader_id.is_some());
            if leads && (!seen.confirmed || Instant::now() >= slow_due) {
                ask_slowly(&member, &mut seen).await;
                slow_due = Instant::now() + SLOW;
            }
        }
        told.send_replace(seen.clone());
        let nap = if pid.is_some() && !seen.confirmed { EAGER } else { CALM };
        // Both arms are cancel-safe: a change stays pending in the watch, a nap has no effect.
        tokio::select! {
            changed = launcher.changed() => if changed.is_err() { return },
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

async fn ask_status(member: &Member, seen: &mut Observed) {
    match member.status().await {
        Ok(status) => {
            seen.status = Some(status);
            seen.answered = Some(Instant::now());
            seen.trouble = None;
        }
        Err(error) => seen.trouble = Some(error.to_string()),
    }
}

async fn ask_slowly(member: &Member, seen: &mut Observed) {
    match member.members().await {
        Ok(members) => {
            seen.members = members;
            seen.confirmed = true;
            seen.no_quorum = None;
        }
        Err(error) => seen.no_quorum = Some(error.to_string()),
    }
    seen.active_peers = active_peers().await;
}

/// Counts etcd's live connections: `etcd_network_active_peers` on its own metrics port.
/// Source: etcd `server/etcdserver/api/rafthttp/metrics.go`.
async fn active_peers() -> Option<usize> {
    let authority = format!("127.0.0.1:{PORT_METRICS}");
    let text = timeout(Duration::from_secs(2), get(&authority, "/metrics")).await.ok()?.ok()?;
    Some(count_active(&String::from_utf8_lossy(&text)))
}

fn count_active(metrics: &str) -> usize {
    let active = |line: &&str| line.starts_with("etcd_network_active_peers{") && line.ends_with(" 1");
    metrics.lines().filter(active).count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_live_connections_are_counted() {
        let text = "# HELP etcd_network_active_peers x\n\
                    etcd_network_active_peers{Local=\"a\",Remote=\"b\"} 1\n\
                    etcd_network_active_peers{Local=\"a\",Remote=\"c\"} 0\n";
        assert_eq!(super::count_active(text), 1);
    }
}
