//! Backups: what was told of them, kept on the volume, and the process that takes one.
//!
//! The process is this same program, one at a time. What it holds of a store and of a database is gone with it, and it
//! ends with this one: a dropped lane kills it, and the kernel does where nobody is left to drop it.

use std::{io, process::Stdio, sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{
        cluster,
        member::{TakenBackup, ToldBackups},
    },
    validate::{self, Backup},
};
use jiff::Timestamp;
use tokio::{process::Command, task::spawn_blocking, time::timeout};
use tracing::{info, warn};

use super::lane::Lane;
use crate::{cli::snapshot::failed, volume::Store};

/// How long a backup may take: 80 GB at 12 MB/s. Each answer within it has a bound of its own.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// What is told of backups, as it is gone by.
#[derive(Debug, Clone)]
pub(in crate::sidecar) struct Wanted {
    told: ToldBackups,
    pub policy: Arc<Backup>,
}

pub(in crate::sidecar) struct Backups {
    store: Store,
    wanted: Option<Wanted>,
    /// What that was made of, understood or not.
    heard: Option<ToldBackups>,
    /// What the volume keeps, once it was read.
    kept: Option<Option<ToldBackups>>,
    /// What could not be understood: said once.
    strange: Option<String>,
    lane: Lane<TakenBackup>,
}

impl Backups {
    pub(in crate::sidecar) fn new(store: Store) -> Self {
        Self { store, wanted: None, heard: None, kept: None, strange: None, lane: Lane::new() }
    }

    /// What was told last, where it is understood.
    pub(in crate::sidecar) fn wanted(&self) -> Option<&Wanted> {
        self.wanted.as_ref()
    }

    /// Goes by what the EtcdMember says, and keeps it; by what is kept where the EtcdMember is not known. `path` is how
    /// the cluster's own ends: a volume may have been another's.
    pub(in crate::sidecar) async fn hear(&mut self, said: Option<Option<&ToldBackups>>, uid: &str) {
        if self.kept.is_none() {
            let store = self.store.clone();
            match blocking(move || store.read_backups()).await {
                Ok(kept) => self.kept = Some(kept.filter(|told| told.path.ends_with(uid))),
                // It is written anew below, where there is something to write.
                Err(error) => {
                    warn!(%error, "what is kept of backups cannot be read");
                    self.kept = Some(None);
                }
            }
        }
        // An order is for now, and not for whoever starts later.
        let told = match said {
            Some(told) => told.map(|told| ToldBackups { now: None, ..told.clone() }),
            None => self.kept.clone().flatten(),
        };
        if self.heard != told {
            self.wanted = told.as_ref().and_then(|told| self.understood(told));
            self.heard.clone_from(&told);
        }
        if said.is_some() && self.kept.as_ref() != Some(&told) {
            self.keep(told).await;
        }
    }

    fn understood(&mut self, told: &ToldBackups) -> Option<Wanted> {
        let raw = serde_json::from_str::<cluster::Backup>(&told.policy).map_err(|error| error.to_string());
        match raw.and_then(|raw| validate::backup(&raw).map_err(|error| error.to_string())) {
            Ok(policy) => Some(Wanted { told: told.clone(), policy: Arc::new(policy) }),
            Err(why) => {
                if self.strange.as_ref() != Some(&why) {
                    warn!(why, "what is said of backups is not understood; none are taken");
                    self.strange = Some(why);
                }
                None
            }
        }
    }

    /// On a disk that takes nothing it is kept the next time that something else is told: backups are taken all the
    /// same.
    async fn keep(&mut self, told: Option<ToldBackups>) {
        let (store, keeps) = (self.store.clone(), told.clone());
        if let Err(error) = blocking(move || store.keep_backups(keeps.as_ref())).await {
            warn!(%error, "what is said of backups cannot be kept on the volume");
        }
        self.kept = Some(told);
    }

    pub(in crate::sidecar) fn is_free(&self) -> bool {
        !self.lane.is_busy()
    }

    /// Begins to take the backup of this name; its end comes from [`Self::ended`]. `endpoints` are the other members'.
    pub(in crate::sidecar) fn begin(&mut self, name: &str, endpoints: &[String]) {
        let Some(wanted) = &self.wanted else { return };
        info!(name, "a backup is taken");
        let mut child = Command::new("/proc/self/exe");
        child.args(["snapshot", "save", "--store", "--json", "--name", name]);
        child.args(["--told", &serde_json::to_string(&wanted.told).unwrap_or_default()]);
        child.args(endpoints.iter().flat_map(|endpoint| ["--endpoint", endpoint]));
        child.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let name = name.to_owned();
        self.lane.begin(async move {
            let started = Timestamp::now();
            run(child).await.unwrap_or_else(|why| failed(&name, started, &why))
        });
    }

    /// The end of what was begun; pends while there is nothing. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> TakenBackup {
        let taken = self.lane.ended().await;
        match &taken.message {
            None => info!(name = taken.name, location = taken.location, "the backup is in the store"),
            Some(why) => warn!(name = taken.name, why, "the backup was not taken; it is tried again"),
        }
        taken
    }
}

/// Runs the process to its end; its last line says what became of it.
async fn run(mut child: Command) -> Result<TakenBackup, String> {
    let ended = timeout(DEADLINE, child.output()).await;
    let output = ended
        .map_err(|_| format!("it took longer than {} s", DEADLINE.as_secs()))?
        .map_err(|error| format!("its process cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last).map_err(|_| format!("its process ended without a word ({})", output.status))
}

/// Runs a piece of disk I/O where it may hang without stopping the probes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bucket: &str, now: Option<&str>) -> ToldBackups {
        let policy = format!(r#"{{"store": {{"s3": {{"bucket": "{bucket}"}}}}}}"#);
        ToldBackups { policy, path: "ns/demo/u".into(), now: now.map(Into::into) }
    }

    fn bucket(backups: &Backups) -> Option<&str> {
        backups.wanted().map(|wanted| wanted.policy.store.s3.bucket.as_str())
    }

    #[tokio::test]
    async fn what_was_told_is_gone_by_while_the_api_server_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let start = || Backups::new(Store::new(dir.path().to_owned()));
        let mut first = start();
        first.hear(None, "u").await;
        assert_eq!(bucket(&first), None);
        first.hear(Some(Some(&told("backups", Some("once-a")))), "u").await;
        assert_eq!(bucket(&first), Some("backups"));
        let mut later = start();
        later.hear(None, "u").await;
        assert_eq!(bucket(&later), Some("backups"));
        let mut others = start();
        others.hear(None, "other").await;
        assert_eq!(bucket(&others), None, "a volume that was another cluster's");
        later.hear(Some(None), "u").await;
        assert_eq!(bucket(&later), None, "none are wanted any more");
        let mut last = start();
        last.hear(None, "u").await;
        assert_eq!(bucket(&last), None);
    }

    #[tokio::test]
    async fn an_order_alone_writes_nothing_and_what_is_not_understood_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut backups = Backups::new(Store::new(dir.path().to_owned()));
        backups.hear(Some(Some(&told("backups", None))), "u").await;
        std::fs::remove_file(dir.path().join("backup.json")).unwrap();
        backups.hear(Some(Some(&told("backups", Some("once-a")))), "u").await;
        assert!(!dir.path().join("backup.json").exists());
        backups.hear(Some(Some(&told("-", None))), "u").await;
        assert_eq!(bucket(&backups), None);
    }

    #[tokio::test]
    async fn a_process_without_a_word_and_one_that_speaks_are_told_apart() {
        let mut silent = Command::new("sh");
        silent.args(["-c", "exit 6"]).stdout(Stdio::piped());
        assert!(run(silent).await.unwrap_err().contains("exit status: 6"));
        let mut speaks = Command::new("sh");
        let said = serde_json::to_string(&failed("once-a", Timestamp::now(), "the store is away")).unwrap();
        speaks.args(["-c", &format!("echo noise; echo '{said}'; exit 6")]).stdout(Stdio::piped());
        let taken = run(speaks).await.unwrap();
        assert_eq!((taken.name.as_str(), taken.message.as_deref()), ("once-a", Some("the store is away")));
    }
}
