//! The volume: all I/O where it may hang without stopping the probes, and what was last known.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::RngExt;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::{
    crash,
    plan::start::{Fate, Identity, Lost, fate},
    volume::{
        Mark, Store, Volume,
        lock::{self, Holder, Keeper, Lock},
        log::Log,
        mark::{self, Address, Suspicion, Voter, Wish},
        room::is_full,
        store::Marked,
    },
};

/// How often the counter rises while nothing else makes it.
const COUNTER: Duration = Duration::from_secs(15 * 60);

mod place;

pub(in crate::sidecar) struct Disk {
    store: Store,
    /// Held from the first look on.
    lock: Arc<Mutex<Keeper>>,
    volume: Volume,
    counted: Instant,
    /// Whether the counter has risen for the next start already.
    counted_for_start: bool,
    /// Whether the last write of the mark found no room.
    full: bool,
    /// What etcd's log was found to hold. It stays so until etcd runs.
    log: Option<Log>,
    /// Why the last write of the mark failed: said once, since it is tried again and again.
    trouble: Option<String>,
}

impl Disk {
    pub(in crate::sidecar) fn new(store: Store) -> Self {
        let volume = Volume::Unreadable("it has not been looked at yet".into());
        let lock = Arc::new(Mutex::new(Keeper::new(store.lock_path(lock::AGENT))));
        let counted = Instant::now();
        Self { store, lock, volume, counted, counted_for_start: false, full: false, log: None, trouble: None }
    }

    pub(in crate::sidecar) fn store(&self) -> &Store {
        &self.store
    }

    pub(in crate::sidecar) fn mark(&self) -> Option<&Mark> {
        match &self.volume {
            Volume::Marked(marked) => Some(&marked.mark),
            Volume::Unreadable(_) | Volume::InUse | Volume::Blank | Volume::Unmarked => None,
        }
    }

    /// Whether no launcher works on the volume: its lock is free. One that begins just now finds it taken for a moment
    /// and tries again.
    pub(in crate::sidecar) async fn has_no_launcher(&self) -> bool {
        let path = self.store.lock_path(lock::LAUNCHER);
        blocking(move || Lock::take(&path)).await.is_ok()
    }

    /// Looks at the volume afresh, when no other agent has it.
    pub(in crate::sidecar) async fn look(&mut self) -> &Volume {
        let (store, lock) = (self.store.clone(), Arc::clone(&self.lock));
        let looked = blocking(move || {
            let holder = lock.lock().unwrap_or_else(PoisonError::into_inner).look();
            Ok(match holder {
                Holder::Me => store.look(),
                Holder::Other => Volume::InUse,
                Holder::Nobody(why) => Volume::Unreadable(format!("it cannot be locked: {why}")),
            })
        });
        self.volume = match looked.await {
            Ok(volume) => volume,
            Err(error) => Volume::Unreadable(error.to_string()),
        };
        &self.volume
    }

    /// Writes the first mark on a blank volume.
    pub(in crate::sidecar) async fn touch(&mut self, me: &Identity) {
        crash::point("before-touch");
        self.write(fresh(me, false)).await;
        crash::point("after-touch");
    }

    /// Writes a fresh mark over one whose data is gone or set aside.
    pub(in crate::sidecar) async fn renew(&mut self, me: &Identity, replacing: bool) {
        self.write(fresh(me, replacing)).await;
        crash::point("after-renew");
    }

    /// Bytes of the database and of a snapshot that is being received; `None` when the volume does not say.
    pub(in crate::sidecar) async fn snapshot_bytes(&self) -> Option<u64> {
        let store = self.store.clone();
        blocking(move || store.snapshot_bytes()).await.ok()
    }

    pub(in crate::sidecar) async fn set_lived(&self) {
        let (store, Some(mark)) = (self.store.clone(), self.mark().cloned()) else { return };
        if let Err(error) = blocking(move || store.set_lived(&mark.volume_id)).await {
            warn!(%error, "cannot record that a WAL was seen");
        }
    }

    /// Renames the data away, and deletes it where that is its fate.
    pub(in crate::sidecar) async fn set_aside(&mut self, lost: Lost) {
        let Some(mark) = self.mark().cloned() else { return };
        crash::point("before-set-aside");
        let store = self.store.clone();
        let outcome = blocking(move || {
            let (bytes, free) = (store.snapshot_bytes()?, store.room()?.free);
            let fate = fate(lost, &mark, bytes, free);
            let name = store.set_aside(mark.incarnation)?;
            if let (Some(name), Fate::Deleted) = (&name, fate) {
                store.delete_aside(name)?;
            }
            Ok(name.map(|name| (name, fate, bytes, free)))
        });
        match outcome.await {
            Ok(Some((name, fate, bytes, free))) => {
                info!(name, ?fate, bytes, free, "data that is not this member's any more is set aside");
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "cannot set the data aside"),
        }
        crash::point("after-set-aside");
    }

    /// The member votes under the ID that it joined with: recorded, and what was set aside of this incarnation is
    /// deleted.
    pub(in crate::sidecar) async fn note_vote(&mut self) {
        let Some(mark) = self.mark().cloned() else { return };
        let (store, incarnation) = (self.store.clone(), mark.incarnation);
        if !mark.voted {
            self.write(Mark { voted: true, ..mark }).await;
        }
        match blocking(move || store.clear_asides(incarnation)).await {
            Ok(names) if names.is_empty() => {}
            Ok(names) => info!(?names, "data that was set aside is deleted: the member votes again without it"),
            Err(error) => warn!(%error, "cannot delete the data that was set aside"),
        }
    }

    /// The ID under which the member was added goes onto the mark: etcd may start with it once.
    pub(in crate::sidecar) async fn note_added(&mut self, id: String) {
        let Some(mark) = self.mark().filter(|mark| mark.replacing || mark.joined).cloned() else { return };
        let identity = mark::Identity { member_id: Some(id), ..mark.identity };
        self.write(Mark { identity, joined: true, voted: false, replacing: false, ..mark }).await;
        crash::point("after-id-marked");
    }

    /// The voters of the last list that was trusted: they are missed when they are gone.
    pub(in crate::sidecar) async fn record(&mut self, voters: Vec<Voter>) {
        let Some(mark) = self.mark().cloned() else { return };
        self.write(Mark { voters, ..mark }).await;
    }

    /// What a person wants of the member.
    pub(in crate::sidecar) async fn keep_wish(&mut self, wish: Wish) {
        let Some(mark) = self.mark().cloned() else { return };
        self.write(Mark { wish, ..mark }).await;
    }

    /// The versions of the etcd that runs, and of the cluster.
    pub(in crate::sidecar) async fn note_version(&mut self, version: String, cluster_version: Option<String>) {
        let Some(mark) = self.mark().cloned() else { return };
        self.write(Mark { version: Some(version), cluster_version, ..mark }).await;
    }

    /// What is known of etcd's options.
    pub(in crate::sidecar) async fn keep_options(&mut self, options: mark::Options) {
        let Some(mark) = self.mark().cloned() else { return };
        self.write(Mark { options, ..mark }).await;
    }

    /// What etcd's log holds, for a version that may not be able to read it.
    pub(in crate::sidecar) async fn log(&mut self) -> Result<Log, String> {
        if let Some(log) = self.log {
            return Ok(log);
        }
        let store = self.store.clone();
        let log = blocking(move || store.log()).await.map_err(|error| error.to_string())?;
        self.log = Some(log);
        Ok(log)
    }

    /// etcd runs: it writes its log.
    pub(in crate::sidecar) fn forget_log(&mut self) {
        self.log = None;
    }

    /// What was wrong with the etcd that ran here.
    pub(in crate::sidecar) async fn suspect(&mut self, suspicion: Suspicion) {
        let Some(mark) = self.mark().filter(|mark| mark.suspicion.as_ref() != Some(&suspicion)).cloned() else {
            return;
        };
        self.write(Mark { suspicion: Some(suspicion), ..mark }).await;
    }

    /// It was cleared up: the voters that were missed are gone.
    pub(in crate::sidecar) async fn trust(&mut self) {
        let Some(mark) = self.mark().cloned() else { return };
        self.write(Mark { suspicion: None, voters: vec![], ..mark }).await;
    }

    /// The member is out of the cluster with this pod.
    pub(in crate::sidecar) async fn retire(&mut self, pod_uid: &str) {
        let Some(mark) = self.mark().cloned() else { return };
        crash::point("before-retire");
        self.write(Mark { retired: Some(pod_uid.to_owned()), ..mark }).await;
        crash::point("after-retire");
    }

    /// An accepted claim goes onto the mark with the ID that the volume is for, and the counter rises for the start
    /// that follows: one write. A claim for a volume that is no longer here says nothing of the one that is.
    pub(in crate::sidecar) async fn note_claim(&mut self, volume_id: &str, number: i64, member_id: Option<String>) {
        let Some(mark) = self.mark().filter(|mark| mark.volume_id == volume_id).cloned() else { return };
        let counter = mark.counter + 1;
        let identity = mark::Identity { claim: number, member_id, ..mark.identity };
        self.counted_for_start = self.write(Mark { identity, counter, ..mark }).await;
    }

    /// Whether the counter is due to rise by time alone.
    pub(in crate::sidecar) fn is_counter_due(&self) -> bool {
        self.counted.elapsed() >= COUNTER
    }

    /// Raises the counter for a start, unless it has risen for it already. On a full disk the start goes on without:
    /// etcd can read and make room there, and an older copy that is put back is seen by the rises of other times.
    pub(in crate::sidecar) async fn count_start(&mut self, peers: Vec<Address>) -> bool {
        std::mem::take(&mut self.counted_for_start) || self.raise_counter(peers).await || self.full
    }

    /// Raises the counter on the volume; the EtcdMember follows with the next publication.
    pub(in crate::sidecar) async fn raise_counter(&mut self, peers: Vec<Address>) -> bool {
        let Some(mark) = self.mark().cloned() else { return false };
        self.counted = Instant::now();
        self.write(Mark { counter: mark.counter + 1, peers, ..mark }).await
    }

    /// Writes the mark over the one that was read, and trusts only what was written. A volume that was emptied or
    /// exchanged meanwhile must not get its old mark back from memory: it would vouch for an ID whose votes are gone.
    async fn write(&mut self, mark: Mark) -> bool {
        let (store, written, read) = (self.store.clone(), mark.clone(), self.mark().cloned());
        let outcome = blocking(move || {
            if store.read_mark()? != read {
                return Err(io::Error::other("the mark on the volume is not the one that was read"));
            }
            store.write_mark(&written)
        });
        let outcome = outcome.await;
        self.full = outcome.as_ref().is_err_and(is_full);
        if let Err(error) = outcome {
            let trouble = Some(error.to_string());
            if self.trouble != trouble {
                warn!(%error, "cannot write the mark");
                self.trouble = trouble;
            }
            self.look().await;
            return false;
        }
        self.trouble = None;
        self.volume = match &self.volume {
            Volume::Marked(old) => {
                let lived = old.lived && old.mark.volume_id == mark.volume_id;
                Volume::Marked(Marked { mark, lived, wal: old.wal, remains: old.remains })
            }
            Volume::Blank | Volume::Unmarked | Volume::Unreadable(_) | Volume::InUse => {
                Volume::Marked(Marked { mark, lived: false, wal: false, remains: false })
            }
        };
        true
    }
}

/// A mark that nobody has started on.
fn fresh(me: &Identity, replacing: bool) -> Mark {
    let volume_id = format!("{:032x}", rand::rng().random::<u128>());
    info!(volume_id, "the volume is marked for this member");
    let identity = mark::Identity {
        cluster_uid: me.cluster_uid.clone(),
        incarnation: me.incarnation,
        member: me.member.clone(),
        volume_id,
        claim: 0,
        member_id: None,
    };
    Mark { replacing, ..Mark::new(identity) }
}

/// Runs a piece of disk I/O where it may hang without stopping the probes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Identity {
        Identity { cluster_uid: "u".into(), incarnation: 1, member: "demo-0".into(), ordinal: 0, pod_uid: "p".into() }
    }

    #[tokio::test]
    async fn a_volume_that_another_agent_has_is_neither_read_nor_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Disk::new(Store::new(dir.path().to_owned()));
        first.look().await;
        first.touch(&me()).await;
        let mut second = Disk::new(Store::new(dir.path().to_owned()));
        assert_eq!(*second.look().await, Volume::InUse);
        assert!(second.mark().is_none() && !second.raise_counter(vec![]).await);
        assert!(first.raise_counter(vec![]).await, "its mark is as it wrote it");
        drop(first);
        assert!(matches!(second.look().await, Volume::Marked(_)), "it goes on when the other has ended");
    }

    #[tokio::test]
    async fn a_volume_that_cannot_be_locked_says_why() {
        let mut disk = Disk::new(Store::new("/proc/nowhere".into()));
        assert!(matches!(disk.look().await, Volume::Unreadable(why) if why.contains("cannot be locked")));
    }

    #[tokio::test]
    async fn a_full_disk_delays_no_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(Store::new(dir.path().to_owned()));
        disk.look().await;
        disk.touch(&me()).await;
        std::os::unix::fs::symlink("/dev/full", dir.path().join("mark.json.new")).unwrap();
        assert!(disk.count_start(vec![]).await, "it starts on the mark that is there");
        assert_eq!(disk.mark().map(|mark| mark.counter), Some(0));
        std::fs::remove_file(dir.path().join("mark.json")).unwrap();
        assert!(!disk.count_start(vec![]).await, "but not without one");
    }

    #[tokio::test]
    async fn an_emptied_volume_does_not_get_its_mark_back_from_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(Store::new(dir.path().to_owned()));
        disk.look().await;
        disk.touch(&me()).await;
        assert!(disk.raise_counter(vec![]).await);
        std::fs::remove_file(dir.path().join("mark.json")).unwrap();
        assert!(!disk.raise_counter(vec![]).await);
        assert!(disk.mark().is_none(), "what is remembered is what is there");
        assert!(!dir.path().join("mark.json").exists());
    }
}
