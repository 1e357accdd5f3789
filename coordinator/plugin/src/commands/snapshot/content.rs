//! The bytes of a snapshot as they pass by: is it whole, and is it what etcd sent?
//!
//! A snapshot is the database, whose pages are whole, and a SHA-256 of it. Source: etcd
//! `etcdutl/snapshot/v3_snapshot.go`, `hasChecksum`.

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::failure::Failure;

/// Every page of the database is a multiple of this.
const BLOCK: u64 = 512;

/// What has passed by so far.
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
    pub fn pass(&mut self, piece: &[u8]) {
        self.whole.update(piece);
        self.bytes += piece.len() as u64;
        self.held.extend_from_slice(piece);
        let known = self.held.len().saturating_sub(SHA256_OUTPUT_LEN);
        self.database.update(&self.held[..known]);
        self.held.drain(..known);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// # Errors
    /// When it is no snapshot, or not a whole one.
    pub fn end(self) -> Result<Whole, Failure> {
        let Self { whole, database, held, bytes } = self;
        if bytes < BLOCK || bytes % BLOCK != SHA256_OUTPUT_LEN as u64 {
            return Err(Failure::Failed(format!(
                "the snapshot of {bytes} bytes has no trailer: it was cut off on its way"
            )));
        }
        if database.finish().as_ref() != held {
            return Err(Failure::Failed(
                "the snapshot is not what etcd sent: its trailer is of something else".to_owned(),
            ));
        }
        let digest = whole.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Whole { digest, bytes })
    }
}

/// What the agent says at its end, if this is that line: `saved 20512 bytes, SHA-256 ab…`.
pub fn told(line: &str) -> Option<Whole> {
    let (count, digest) = line.trim().strip_prefix("saved ")?.split_once(" bytes, SHA-256 ")?;
    Some(Whole { digest: digest.to_owned(), bytes: count.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use ring::digest::digest;

    use super::*;

    fn snapshot() -> Vec<u8> {
        let mut all: Vec<u8> = (0..4096_u32).map(|k| (k * k % 251) as u8).collect();
        let trailer = digest(&SHA256, &all);
        all.extend_from_slice(trailer.as_ref());
        all
    }

    fn judged(bytes: &[u8], piece: usize) -> Result<Whole, Failure> {
        let mut content = Content::default();
        bytes.chunks(piece).for_each(|piece| content.pass(piece));
        content.end()
    }

    #[test]
    fn a_whole_snapshot_is_right_in_pieces_of_any_size() {
        let all = snapshot();
        for piece in [1, 7, 31, 32, 33, 1000, 10_000] {
            assert_eq!(judged(&all, piece).unwrap().bytes, 4128, "{piece}");
        }
    }

    #[test]
    fn one_that_was_cut_off_or_changed_is_not() {
        let mut all = snapshot();
        for cut in [0, 31, 512, 4096, 4127] {
            assert!(judged(&all[..cut], 100).is_err(), "{cut}");
        }
        all[100] ^= 1;
        assert!(judged(&all, 100).unwrap_err().to_string().contains("is not what etcd sent"));
    }

    #[test]
    fn the_agents_last_line_is_understood() {
        assert_eq!(told("saved 4128 bytes, SHA-256 ab\n"), Some(Whole { digest: "ab".into(), bytes: 4128 }));
        assert_eq!(told("12.0 MiB"), None);
    }
}
