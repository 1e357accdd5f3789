//! The data that the cluster begins with: fetched, made a data directory by the launcher, and written out, one after
//! the other.
//!
//! ```text
//!   Nothing ─ fetch ─▶ Fetching ─▶ Fetched ─ ask the launcher ─▶ Asked ─▶ Made ─ write out ─▶ Sealing ─▶ Sealed ─▶ Disk::place
//!      ▲                  └──────────┴──────── failed: a pause, then from the beginning ─────────┘
//!      └── not the next step any more, or other data is told: what is fetched is let go
//! ```
//!
//! All of it goes on beside the loop, in a folder that is nobody's data. The rename is not done here: it is the
//! volume's, in a turn whose facts allow it. What is known here is forgotten with the process: the next one begins
//! anew.

mod work;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngExt;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::work::{blocking, fetched};
use super::lane::Lane;
use crate::{
    crash,
    launch::protocol::{Process, Request, Restore, Volume},
    observe::launcher::Launcher,
    plan::start::Snapshot,
    tls::Identity,
    volume::{Store, restore::Owner},
};

/// Pause after a failure: doubled each time, up to the longest.
const AGAIN: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A request that a launcher at rest has not answered by then was lost, and is made again.
const UNHEARD: Duration = Duration::from_secs(3);
/// From this version of the protocol on a launcher can do it.
const CAN: u32 = 4;

pub(in crate::sidecar) struct Restores {
    store: Store,
    identity: watch::Receiver<Option<Arc<Identity>>>,
    /// Whether traffic between members is encrypted.
    encrypted: bool,
    lane: Lane<(u64, Result<(), String>)>,
    /// Number of the work under way: the end of one that was let go counts for nothing.
    work: u64,
    cancel: CancellationToken,
    stage: Stage,
    wanted: Option<Snapshot>,
    got: Arc<AtomicU64>,
    trouble: Option<String>,
    failures: u32,
    not_before: Instant,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    Fetching,
    Fetched,
    Asked { number: u64, at: Instant },
    Made,
    Sealing,
    Sealed,
}

/// What is to be done with other hands.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sidecar) enum Due {
    Nothing,
    /// Ask the launcher with this number.
    Ask(u64),
    /// Put what was sealed in its place.
    Place,
}

impl Restores {
    pub(in crate::sidecar) fn new(
        store: Store,
        identity: watch::Receiver<Option<Arc<Identity>>>,
        encrypted: bool,
    ) -> Self {
        Self {
            store,
            identity,
            encrypted,
            lane: Lane::new(),
            work: 0,
            cancel: CancellationToken::new(),
            stage: Stage::Nothing,
            wanted: None,
            got: Arc::default(),
            trouble: None,
            failures: 0,
            not_before: Instant::now(),
        }
    }

    /// One step, where the plan says that this is to be restored.
    pub(in crate::sidecar) fn turn(
        &mut self,
        wanted: &Snapshot,
        owner: &Owner,
        launcher: &Launcher,
        now: Instant,
    ) -> Due {
        if self.wanted.as_ref().is_none_or(|former| !is_same(former, wanted)) {
            self.let_go();
        }
        self.wanted = Some(wanted.clone());
        // Else etcdutl may be at work on what would be touched here.
        if launcher.state.as_ref().is_none_or(|state| state.process != Process::Idle) || now < self.not_before {
            return Due::Nothing;
        }
        match self.stage {
            Stage::Nothing => self.fetch(wanted.clone()),
            Stage::Fetching | Stage::Sealing => {}
            Stage::Fetched if launcher.protocol < CAN => {
                self.fail("the launcher is of an older version and cannot restore: start this pod anew".into(), now);
            }
            Stage::Fetched => {
                let number = rand::rng().random();
                self.stage = Stage::Asked { number, at: now };
                return Due::Ask(number);
            }
            Stage::Asked { number, at } => match &launcher.restored {
                Some((answered, Some(why))) if *answered == number => self.fail(why.clone(), now),
                Some((answered, None)) if *answered == number => self.stage = Stage::Made,
                Some(_) | None if now.duration_since(at) >= UNHEARD => self.stage = Stage::Fetched,
                Some(_) | None => {}
            },
            Stage::Made => {
                crash::point("after-restore");
                self.seal(owner.clone());
            }
            Stage::Sealed => return Due::Place,
        }
        Due::Nothing
    }

    /// The request to the launcher. Half a directory, which an etcdutl that was killed may have left, is thrown away
    /// first.
    pub(in crate::sidecar) async fn request(&self, number: u64, args: Vec<String>, volume: Volume) -> Request {
        let store = self.store.clone();
        if let Err(why) = blocking(move || store.clear_restored()).await {
            warn!(why, "half a data directory cannot be thrown away");
        }
        Request::Restore(Restore { number, args, volume })
    }

    /// Something else is the next step: nothing more is fetched.
    pub(in crate::sidecar) fn rest(&mut self) {
        if self.stage == Stage::Fetching {
            self.let_go();
        }
    }

    /// What was sealed is in its place, or could not be put there.
    pub(in crate::sidecar) fn placed(&mut self, outcome: Result<(), String>, now: Instant) {
        match outcome {
            Ok(()) => {
                info!("the data that the cluster begins with is in its place");
                self.let_go();
            }
            Err(why) => self.fail(format!("the data cannot be put in its place: {why}"), now),
        }
    }

    /// Throws away what is left, before etcd starts.
    pub(in crate::sidecar) async fn clear(&mut self) {
        self.let_go();
        let store = self.store.clone();
        if let Ok(Err(error)) = spawn_blocking(move || store.clear_restore()).await {
            warn!(%error, "what was fetched for the cluster to begin with cannot be thrown away");
        }
    }

    /// Whether the loop need not hurry: something goes on beside it, or a pause.
    pub(in crate::sidecar) fn goes_on(&self, now: Instant) -> bool {
        self.lane.is_busy() || matches!(self.stage, Stage::Asked { .. }) || now < self.not_before
    }

    /// What is being done, in a sentence.
    pub(in crate::sidecar) fn said(&self) -> Option<String> {
        let mib = |bytes: u64| bytes >> 20;
        match (self.stage, &self.wanted) {
            (Stage::Nothing, _) | (_, None) => None,
            (Stage::Fetching, Some(wanted)) => {
                let got = self.got.load(Ordering::Relaxed);
                let (got, size) = (mib(got), mib(wanted.size));
                Some(format!("the data that the cluster begins with is fetched: {got} of {size} MiB"))
            }
            (Stage::Fetched | Stage::Asked { .. }, Some(_)) => {
                Some("etcdutl makes a data directory of the data that the cluster begins with".into())
            }
            (Stage::Made | Stage::Sealing | Stage::Sealed, Some(_)) => {
                Some("the data that the cluster begins with is written out".into())
            }
        }
    }

    /// Why it failed last, until it is done.
    pub(in crate::sidecar) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The end of the work under way; pends while there is none. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> (u64, Result<(), String>) {
        self.lane.ended().await
    }

    /// Takes it.
    pub(in crate::sidecar) fn finish(&mut self, (work, outcome): (u64, Result<(), String>), now: Instant) {
        if work != self.work {
            return;
        }
        match (outcome, self.stage) {
            (Ok(()), Stage::Fetching) => (self.stage, self.trouble) = (Stage::Fetched, None),
            (Ok(()), Stage::Sealing) => self.stage = Stage::Sealed,
            (Ok(()), Stage::Nothing | Stage::Fetched | Stage::Asked { .. } | Stage::Made | Stage::Sealed) => {}
            (Err(why), _) => self.fail(why, now),
        }
    }

    fn fetch(&mut self, wanted: Snapshot) {
        let tls = match (self.encrypted, self.identity.borrow().clone()) {
            (false, _) => None,
            (true, Some(identity)) => identity.anyone.clone().map(|config| (config, identity.name.clone())),
            (true, None) => return,
        };
        if self.encrypted && tls.is_none() {
            return;
        }
        let (store, got, cancel) = (self.store.clone(), Arc::clone(&self.got), CancellationToken::new());
        let (number, cancelled) = (self.work + 1, cancel.clone());
        got.store(0, Ordering::Relaxed);
        info!(from = wanted.from, bytes = wanted.size, "the data that the cluster begins with is fetched");
        let begun = self.lane.begin(async move { (number, fetched(&store, &wanted, tls, &got, &cancelled).await) });
        if begun {
            (self.work, self.cancel, self.stage) = (number, cancel, Stage::Fetching);
        }
    }

    fn seal(&mut self, owner: Owner) {
        let (store, number) = (self.store.clone(), self.work + 1);
        let begun = self.lane.begin(async move { (number, blocking(move || store.seal_restored(&owner)).await) });
        if begun {
            (self.work, self.stage) = (number, Stage::Sealing);
        }
    }

    fn let_go(&mut self) {
        self.cancel.cancel();
        (self.stage, self.trouble, self.failures) = (Stage::Nothing, None, 0);
        self.work += 1;
    }

    /// From the beginning, after a pause.
    fn fail(&mut self, why: String, now: Instant) {
        if self.trouble.as_ref() != Some(&why) {
            warn!(why, "the data that the cluster begins with is not there yet; it is tried again");
        }
        self.not_before = now + AGAIN.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        (self.stage, self.trouble) = (Stage::Nothing, Some(why));
        self.failures += 1;
    }
}

/// The same bytes: where they are served may change while they are fetched.
fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    let Snapshot { digest, size, bump, from: _ } = one;
    (digest, size, bump) == (&other.digest, &other.size, &other.bump)
}

#[cfg(test)]
mod tests;
