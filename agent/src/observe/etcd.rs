//! What this pod's etcd says, gathered by one task so that no probe ever waits for it.

use std::time::{Duration, Instant};

use etcd_operator_shared::{names::PORT_METRICS, version::Minor};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{launcher::Launcher, links::Links, served::Served};
use crate::{
    etcd::{
        member::{EtcdError, Listing, Member, Status},
        refusal::AUTH,
    },
    http,
    launch::protocol::Process,
    plan::{
        list::Entry,
        upkeep::{Alarm, Kind},
        version::Ran,
    },
};

/// The last answers of one run of etcd. All are gone when its process changes.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The process that answered.
    pub pid: Option<i32>,
    /// What it said of itself, and when. Gone when it refuses to say more: what it was says nothing of what it is.
    pub status: Option<Status>,
    pub stated: Option<Instant>,
    /// Which version it is, and which the cluster and its database are.
    pub versions: Option<Versions>,
    /// Raft index up to which it had applied everything when its metrics were read before its first answer.
    pub applied: Option<u64>,
    /// When it last answered anything, be it with a no.
    pub answered: Option<Instant>,
    /// What it refuses this agent, while it does.
    pub refuses: Option<String>,
    /// The alarms that are raised for any member, as last asked.
    pub alarms: Vec<Alarm>,
    /// What etcd hinted at when they were last asked.
    pub hint: Vec<String>,
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

/// What etcd says of versions at `/version`. It needs no user.
/// Source: etcd `server/etcdserver/api/etcdhttp/version.go`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Versions {
    /// Such as `3.5.21`.
    #[serde(rename = "etcdserver")]
    pub server: String,
    /// Such as `3.5.0`; `not_decided` before the cluster has one.
    #[serde(rename = "etcdcluster", default)]
    cluster: String,
    /// Such as `3.6.0`; 3.5 does not say.
    #[serde(default)]
    storage: String,
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
    mut served: Served,
    told: watch::Sender<Observed>,
) {
    let mut seen = Observed::default();
    let (mut slow_due, mut versions_due) = (Instant::now(), Instant::now());
    loop {
        let pid = running(&launcher.borrow_and_update());
        let hurried = *hurry.borrow_and_update();
        if launcher.borrow().state.is_some() && pid.is_none() {
            served.forget();
        }
        if seen.pid != pid {
            let confirmed = served.is_of(run(&launcher.borrow()).as_deref());
            seen = Observed { pid, confirmed, ..Observed::default() };
            (slow_due, versions_due) = (Instant::now(), Instant::now());
        }
        if pid.is_some() {
            let began = Instant::now();
            ask_status(&member, &mut seen, &told).await;
            // A member that was removed answers this and nothing else.
            told.send_replace(seen.clone());
            if seen.answered.is_some_and(|at| at >= began) && began >= versions_due {
                seen.versions = versions(&member).await.or(seen.versions);
                versions_due = Instant::now() + if seen.versions_change() { CALM } else { SLOW };
            }
            if seen.may_have_a_quorum() && (!seen.confirmed || hurried || Instant::now() >= slow_due) {
                ask_slowly(&member, &mut seen).await;
                if seen.confirmed {
                    served.note(run(&launcher.borrow()));
                }
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

/// What tells this run of etcd from every other in its pod.
fn run(launcher: &Launcher) -> Option<String> {
    let (state, pid) = (launcher.state.as_ref()?, running(launcher)?);
    Some(format!("{} {} {pid}", state.order, state.restarts))
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
    seen.take_status(said, Instant::now());
}

async fn ask_slowly(member: &Member, seen: &mut Observed) {
    let asked = Instant::now();
    let said = member.members().await;
    seen.take_list(said, asked, Instant::now());
    if seen.is_hinted_at() {
        let said = member.alarms().await;
        seen.take_alarms(said);
    }
    if let Some(metrics) = metrics().await {
        seen.links.get_or_insert_default().take(&metrics, Instant::now());
    }
}

impl Observed {
    fn take_status(&mut self, said: Result<Status, EtcdError>, now: Instant) {
        self.note_answer(&said, now);
        match said {
            Ok(status) => {
                if status.errors.is_empty() {
                    (self.alarms, self.hint) = (vec![], vec![]);
                }
                (self.status, self.stated) = (Some(status), Some(now));
            }
            Err(error) if error.is_auth() => (self.status, self.refuses) = (None, Some(AUTH.into())),
            Err(error) if error.is_answer() => self.refuses = Some(error.to_string()),
            Err(_) => {}
        }
    }

    /// A refusal to show the list for want of a user comes after the read that needs a quorum.
    fn take_list(&mut self, said: Result<Listing, EtcdError>, asked: Instant, now: Instant) {
        self.note_answer(&said, now);
        let barred = said.as_ref().map_or_else(EtcdError::is_auth, |listing| listing.barred);
        self.refuses = barred.then(|| AUTH.into());
        match said {
            Ok(Listing { members, .. }) => {
                let ids = members.iter().map(|member| member.id.as_str());
                self.links.get_or_insert_default().list(ids, asked);
                (self.members, self.members_asked) = (members, Some(asked));
                (self.confirmed, self.no_quorum) = (true, None);
            }
            Err(_) if barred => (self.confirmed, self.no_quorum) = (true, None),
            Err(error) => self.no_quorum = Some(error.to_string()),
        }
    }

    fn take_alarms(&mut self, said: Result<Vec<Alarm>, EtcdError>) {
        if let (Ok(alarms), Some(status)) = (said, &self.status) {
            (self.alarms, self.hint) = (alarms, status.errors.clone());
        }
    }

    /// Which etcd runs, once it has said so.
    #[must_use]
    pub fn ran(&self) -> Option<Ran> {
        let Versions { server, .. } = self.versions.as_ref()?;
        Some(Ran { version: server.parse().ok()?, cluster: self.cluster_version() })
    }

    /// Version of the cluster.
    #[must_use]
    pub fn cluster_version(&self) -> Option<Minor> {
        self.versions.as_ref()?.cluster.parse().ok()
    }

    /// Version that the database is written in.
    #[must_use]
    pub fn storage_version(&self) -> Option<Minor> {
        self.versions.as_ref()?.storage.parse().ok()
    }

    /// The minor version that the cluster may go down to, while it may.
    #[must_use]
    pub fn allowed_downgrade(&self) -> Option<Minor> {
        self.status.as_ref()?.downgrade.as_ref()?.parse().ok()
    }

    /// Whether what etcd says of versions is not what it will say in a moment: others wait for that.
    fn versions_change(&self) -> bool {
        let Some(ran) = self.ran() else { return true };
        let downgrade = self.allowed_downgrade().is_some();
        let storage = self.storage_version().is_some_and(|storage| Some(storage) != ran.cluster);
        downgrade || storage || ran.cluster != Some(ran.version.minor)
    }

    /// Any answer shows that etcd is there, also a no.
    fn note_answer<T>(&mut self, said: &Result<T, EtcdError>, now: Instant) {
        if said.as_ref().map_or_else(EtcdError::is_answer, |_| true) {
            self.answered = Some(now);
        }
    }

    /// Whether a linearizable read may succeed: it knows a leader, or does not say.
    fn may_have_a_quorum(&self) -> bool {
        match &self.status {
            Some(status) => status.leader_id.is_some(),
            None => self.answered.is_some(),
        }
    }

    /// Names of the alarms that are raised for this member.
    #[must_use]
    pub fn own_alarms(&self) -> Vec<String> {
        let name = |kind| match kind {
            Kind::NoSpace => "NOSPACE".to_owned(),
            Kind::Corrupt => "CORRUPT".to_owned(),
        };
        let own = |alarm: &&Alarm| self.status.as_ref().is_some_and(|status| status.member_id == alarm.id);
        self.alarms.iter().filter(own).map(|alarm| name(alarm.kind)).collect()
    }

    /// Whether etcd hints at alarms that were not asked for yet.
    fn is_hinted_at(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.errors != self.hint)
    }
}

async fn versions(member: &Member) -> Option<Versions> {
    serde_json::from_slice(&member.page("/version").await.ok()?).ok()
}

async fn metrics() -> Option<String> {
    let authority = format!("127.0.0.1:{PORT_METRICS}");
    let text = timeout(Duration::from_secs(2), http::get(&authority, "/metrics", http::METRICS)).await.ok()?.ok()?;
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
    use super::*;
    use crate::etcd::refusal::Refusal;

    fn no(words: &str) -> EtcdError {
        EtcdError::Said(Refusal::of(words), words.to_owned())
    }

    fn status(errors: &[&str]) -> Status {
        Status {
            member_id: "a".into(),
            leader_id: Some("a".into()),
            errors: errors.iter().map(|words| (*words).to_owned()).collect(),
            ..Status::default()
        }
    }

    fn listing(barred: bool) -> Listing {
        Listing { cluster_id: "c".into(), members: vec![], barred }
    }

    #[test]
    fn a_no_is_an_answer_and_silence_is_none() {
        let (mut seen, start) = (Observed::default(), Instant::now());
        seen.take_status(Err(EtcdError::TimedOut), start);
        seen.take_list(Err(EtcdError::Unreachable("refused".into())), start, start);
        assert_eq!(seen.answered, None);
        seen.take_status(Err(no("etcdserver: user name is empty")), start);
        assert_eq!((seen.answered, seen.refuses.as_deref()), (Some(start), Some(AUTH)));
        let later = start + SLOW;
        seen.take_list(Ok(listing(false)), start, later);
        assert_eq!(seen.answered, Some(later), "also of the slower questions");
    }

    #[test]
    fn a_member_that_may_not_be_asked_has_a_quorum_all_the_same() {
        let (mut seen, now) = (Observed::default(), Instant::now());
        seen.take_status(Err(no("etcdserver: user name is empty")), now);
        assert!(seen.may_have_a_quorum(), "it is asked, though it does not say who leads");
        seen.take_list(Err(EtcdError::TimedOut), now, now);
        assert!(!seen.confirmed && seen.no_quorum.is_some());
        seen.take_list(Err(no("etcdserver: permission denied")), now, now);
        assert!(seen.confirmed && seen.no_quorum.is_none());
    }

    #[test]
    fn what_etcd_was_before_it_refused_to_say_is_not_what_it_is() {
        let (mut seen, now) = (Observed::default(), Instant::now());
        seen.take_status(Ok(status(&[])), now);
        seen.take_status(Err(no("etcdserver: user name is empty")), now);
        assert_eq!(seen.status, None);
        seen.take_status(Ok(status(&[])), now);
        seen.take_list(Ok(listing(true)), now, now);
        assert_eq!(seen.refuses.as_deref(), Some(AUTH), "older versions refuse only a part");
        seen.take_list(Ok(listing(false)), now, now);
        assert_eq!(seen.refuses, None, "authentication was switched off again");
    }

    #[test]
    fn alarms_are_asked_for_when_etcd_hints_at_them_and_only_then() {
        let (mut seen, now) = (Observed::default(), Instant::now());
        seen.take_status(Ok(status(&[])), now);
        assert!(!seen.is_hinted_at());
        seen.take_status(Ok(status(&["memberID:11 alarm:NOSPACE "])), now);
        assert!(seen.is_hinted_at());
        assert!(seen.alarms.is_empty(), "the hint does not say whose it is");
        seen.take_alarms(Err(EtcdError::TimedOut));
        assert!(seen.is_hinted_at());
        let alarm = |id: &str, kind| Alarm { id: id.into(), kind };
        seen.take_alarms(Ok(vec![alarm("a", Kind::NoSpace), alarm("b", Kind::Corrupt)]));
        assert_eq!((seen.is_hinted_at(), seen.own_alarms()), (false, vec!["NOSPACE".to_owned()]));
        seen.take_status(Ok(status(&[])), now);
        assert!(seen.alarms.is_empty());
    }

    #[test]
    fn versions_are_read_as_each_etcd_says_them() {
        let seen = |text: &str| Observed { versions: serde_json::from_str(text).ok(), ..Observed::default() };
        let old = seen(r#"{"etcdserver":"3.5.35","etcdcluster":"3.5.0"}"#);
        assert_eq!(
            old.ran().map(|ran| (ran.version.to_string(), ran.cluster)),
            Some(("v3.5.35".into(), Some(Minor::V3_5)))
        );
        assert_eq!((old.storage_version(), old.versions_change()), (None, false));
        let new = seen(r#"{"etcdserver":"3.6.16","etcdcluster":"3.5.0","storage":"3.5.0"}"#);
        assert_eq!((new.storage_version(), new.versions_change()), (Some(Minor::V3_5), true));
        let fresh = seen(r#"{"etcdserver":"3.6.16","etcdcluster":"not_decided","storage":""}"#);
        assert_eq!((fresh.cluster_version(), fresh.versions_change()), (None, true));
        let newer = seen(r#"{"etcdserver":"3.8.0","etcdcluster":"3.8.0","storage":"3.8.0"}"#);
        assert_eq!((newer.ran(), newer.cluster_version()), (None, None), "what is not known says nothing");
    }

    #[test]
    fn the_applied_index_is_read_as_etcd_writes_it() {
        let metrics =
            "# TYPE etcd_server_proposals_applied_total gauge\netcd_server_proposals_applied_total 1.7936e+04\n";
        assert_eq!(applied(metrics), Some(17_936));
        assert_eq!(applied("etcd_server_proposals_pending 0\n"), None);
    }
}
