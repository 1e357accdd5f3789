//! The content of a snapshot as it passes by: its digest, and whether etcd's own trailer is that of what stands before
//! it.
//!
//! A snapshot is the database, whose pages are whole, and a SHA-256 of it. `etcdutl snapshot restore` looks at that,
//! `snapshot status` does not. Source: etcd `server/etcdserver/api/v3rpc/maintenance.go`, `Snapshot`;
//! `etcdutl/snapshot/v3_snapshot.go`, `hasChecksum`.

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::Failure;

/// Every page of the database is a multiple of this.
const BLOCK: u64 = 512;

/// What has passed by so far.
#[derive(Clone)]
pub struct Content {
    whole: Context,
    /// The same without the last bytes, which may be the trailer.
    database: Context,
    held: Vec<u8>,
    bytes: u64,
}

/// A snapshot that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// SHA-256 of all of it, in hexadecimal.
    pub digest: String,
    pub bytes: u64,
}

impl Default for Content {
    fn default() -> Self {
        Self { whole: Context::new(&SHA256), database: Context::new(&SHA256), held: Vec::new(), bytes: 0 }
    }
}

impl Content {
    /// Takes the next bytes.
    pub fn pass(&mut self, chunk: &[u8]) {
        self.whole.update(chunk);
        self.bytes += chunk.len() as u64;
        let known = (self.held.len() + chunk.len()).saturating_sub(SHA256_OUTPUT_LEN);
        let of_held = known.min(self.held.len());
        self.database.update(&self.held[..of_held]);
        self.held.drain(..of_held);
        let of_chunk = known - of_held;
        self.database.update(&chunk[..of_chunk]);
        self.held.extend_from_slice(&chunk[of_chunk..]);
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Judges what has passed by.
    ///
    /// # Errors
    /// When it is no snapshot, or not a whole one.
    pub fn end(self) -> Result<Whole, Failure> {
        let Self { whole, database, held, bytes } = self;
        if bytes % BLOCK != SHA256_OUTPUT_LEN as u64 || bytes < BLOCK {
            let message = format!("the snapshot of {bytes} bytes has no trailer: it is cut off, or none");
            return Err(Failure::integrity("NoTrailer", message));
        }
        if database.finish().as_ref() != held {
            let message = "the snapshot is not what etcd sent: its trailer is of something else";
            return Err(Failure::integrity("WrongTrailer", message));
        }
        Ok(Whole { digest: hex(whole.finish().as_ref()), bytes })
    }
}

/// In hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use ring::digest::digest;

    /// Something that passes for a snapshot.
    pub fn snapshot(blocks: usize) -> Vec<u8> {
        let mut all: Vec<u8> = (0..blocks * 512).map(|i| (i * i / 7 % 251) as u8).collect();
        let trailer = digest(&SHA256, &all);
        all.extend_from_slice(trailer.as_ref());
        all
    }

    fn judged(all: &[u8], size: usize) -> Result<Whole, Failure> {
        let mut content = Content::default();
        all.chunks(size).for_each(|chunk| content.pass(chunk));
        content.end()
    }

    proptest! {
        #[test]
        fn however_it_is_cut_into_pieces_its_digest_and_its_trailer_are_found(blocks in 1_usize..9, size in 1_usize..2_000) {
            let all = snapshot(blocks);
            let whole = judged(&all, size).unwrap();
            prop_assert_eq!(whole, Whole { digest: hex(digest(&SHA256, &all).as_ref()), bytes: all.len() as u64 });
        }

        #[test]
        fn one_that_is_changed_or_cut_anywhere_is_none(at in 0_usize..1_056, size in 1_usize..600) {
            let all = snapshot(2);
            let mut changed = all.clone();
            changed[at] ^= 1;
            prop_assert_eq!(judged(&changed, size).unwrap_err().code(), 5);
            prop_assert_eq!(judged(&all[..at], size).unwrap_err().code(), 5);
        }
    }

    #[test]
    fn nothing_is_no_snapshot() {
        assert_eq!(judged(&[], 1).unwrap_err().reason(), "NoTrailer");
    }
}
