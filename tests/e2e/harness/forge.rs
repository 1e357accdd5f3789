//! A snapshot that somebody has changed who knows how: right in every digest, and in etcd's own trailer.

use super::Bucket;
use super::store::{Stored, sha256};
use anyhow::{Result, ensure};
use ring::digest::{SHA256, digest};

/// Behind the database in a snapshot: its SHA-256.
const TRAILER: usize = 32;

impl Bucket {
    /// Puts another value into a snapshot, and a manifest in its manifest's place that is right for it in every digest.
    ///
    /// # Errors
    /// When the snapshot does not hold the value, or the values differ in length.
    pub fn forge(&self, stored: &Stored, value: &str, other: &str) -> Result<()> {
        ensure!(value.len() == other.len(), "{value} and {other} differ in length");
        let mut database = self.snapshot(stored)?;
        database.truncate(database.len() - TRAILER);
        let hits: Vec<usize> = database
            .windows(value.len())
            .enumerate()
            .filter_map(|(at, bytes)| (bytes == value.as_bytes()).then_some(at))
            .collect();
        ensure!(!hits.is_empty(), "the snapshot does not hold {value}");
        hits.iter().for_each(|at| database[*at..*at + other.len()].copy_from_slice(other.as_bytes()));
        let trailer = digest(&SHA256, &database);
        database.extend_from_slice(trailer.as_ref());
        let bytes = zstd::encode_all(&*database, 3)?;
        let mut manifest = stored.manifest.clone();
        (manifest.digest, manifest.bytes) = (sha256(&database), i64::try_from(database.len())?);
        (manifest.stored_digest, manifest.stored_bytes) = (sha256(&bytes), i64::try_from(bytes.len())?);
        self.objects.write(&stored.data()?, &bytes)?;
        self.objects.write(&stored.key, &serde_json::to_vec(&manifest)?)
    }
}
