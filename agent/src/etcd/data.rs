//! What is in etcd: its revision, a hash of all keys, a snapshot of all of it. For processes of their own: the sidecar
//! asks none of it.

use std::time::Duration;

use bytes::Bytes;
use etcd_client::{CompactionOptions, GetOptions, HashKvResponse, SnapshotStreaming};

use super::member::{EtcdError, Member, bounded, within};

/// A hash walks all keys: 0.9 s for 1.1 GB, and more on a busy disk.
const HASH: Duration = Duration::from_secs(300);
/// etcd sends 32 KiB at a time, and commits what it holds before the first.
const PIECE: Duration = Duration::from_secs(60);
/// A defragmentation writes the whole file anew: 3.3 s for 505 MB, and more on a busy disk.
const DEFRAGMENT: Duration = Duration::from_secs(600);
/// A compaction that is waited for deletes each old revision.
const COMPACT: Duration = Duration::from_secs(600);

/// A hash of all keys at a revision. Two are comparable only if both revisions are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysHash {
    pub hash: u32,
    /// -1 where nothing was ever compacted.
    pub compact_revision: i64,
}

/// The pieces of a snapshot.
pub struct Pieces(SnapshotStreaming);

impl Pieces {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn next(&mut self) -> Result<Option<Bytes>, EtcdError> {
        let piece = within(PIECE, self.0.message()).await?;
        Ok(piece.map(|piece| Bytes::copy_from_slice(piece.blob())))
    }
}

impl Member {
    /// The revision of the store, by a linearizable read: a quorum confirms it.
    pub async fn revision(&self) -> Result<i64, EtcdError> {
        let nothing = GetOptions::new().with_limit(1).with_keys_only();
        let said = bounded(self.client().await?.get("\0", Some(nothing))).await?;
        said.header()
            .map(etcd_client::ResponseHeader::revision)
            .ok_or_else(|| EtcdError::Unreachable("no header in the answer".into()))
    }

    /// The hash of all keys at a revision.
    pub async fn hash(&self, revision: i64) -> Result<KeysHash, EtcdError> {
        let mut client = self.client().await?;
        let said: HashKvResponse = within(HASH, client.hash_kv(revision)).await?;
        Ok(KeysHash { hash: said.hash(), compact_revision: said.compact_version() })
    }

    /// Begins a snapshot: what is in it is settled with its first piece.
    pub async fn snapshot(&self) -> Result<Pieces, EtcdError> {
        let mut client = self.client().await?;
        within(PIECE, client.snapshot()).await.map(Pieces)
    }

    /// Forgets what was before a revision, and waits until it is gone.
    pub async fn compact(&self, revision: i64) -> Result<(), EtcdError> {
        let mut client = self.client().await?;
        let wait = CompactionOptions::new().with_physical();
        within(COMPACT, client.compact(revision, Some(wait))).await.map(drop)
    }

    /// Writes the database file anew, without what it does not use. The member answers nothing meanwhile.
    pub async fn defragment(&self) -> Result<(), EtcdError> {
        let mut client = self.client().await?;
        within(DEFRAGMENT, client.defragment()).await.map(drop)
    }

    /// Asks until it answers as hoped, for at most so long.
    pub async fn until<T>(
        &self,
        patience: Duration,
        mut ask: impl AsyncFnMut(&Self) -> Result<T, EtcdError>,
    ) -> Result<T, EtcdError> {
        const PAUSE: Duration = Duration::from_millis(100);
        let began = tokio::time::Instant::now();
        loop {
            match ask(self).await {
                Err(_) if began.elapsed() < patience => tokio::time::sleep(PAUSE).await,
                answer => return answer,
            }
        }
    }
}

/// Whether etcd refuses a revision because it has none of that number yet.
#[must_use]
pub fn is_of_the_future(error: &EtcdError) -> bool {
    matches!(error, EtcdError::Said(_, words) if words.contains("required revision is a future revision"))
}

/// Whether it refuses one because that is forgotten already.
#[must_use]
pub fn is_compacted(error: &EtcdError) -> bool {
    matches!(error, EtcdError::Said(_, words) if words.contains("required revision has been compacted"))
}
