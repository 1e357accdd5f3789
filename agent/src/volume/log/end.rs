//! Where a log ends, and how all that is in it is made a member's own.
//!
//! A follower has an entry on its disk before it acknowledges it, and learns only with a later message that a quorum
//! has it. An etcd that is forced to go on alone keeps what it knew a quorum to have, and throws the rest away: also
//! what was acknowledged to clients. So the log is told first that all of it is a quorum's.
//! Source: etcd 3.5 `server/etcdserver/raft.go` (`restartAsStandaloneNode`), 3.6 and 3.7
//! `server/etcdserver/bootstrap.go` (`bootstrapRaftFromWAL`); `server/storage/wal/{encoder,decoder}.go`.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{Frame, bytes, fields, malformed, named, number, record};

/// Kinds of records. Source: etcd `server/storage/wal/wal.go`.
const METADATA: u64 = 1;
const ENTRY: u64 = 2;
const STATE: u64 = 3;
const CHECKSUM: u64 = 4;
const SNAPSHOT: u64 = 5;

/// Where a log ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// Of the last entry.
    pub term: u64,
    pub index: u64,
    /// What the member knew to be a quorum's.
    pub commit: u64,
    /// Whether more was written and cannot be read.
    pub torn: bool,
    /// The newest term that the member has seen, and whom it has voted for in it.
    state: (u64, u64),
    segment: PathBuf,
    offset: u64,
    checksum: u32,
}

/// Reads the log of a data directory at whose work nobody is, with every checksum.
///
/// # Errors
/// When there is none, or it is damaged before its end.
pub fn end(data_dir: &Path) -> io::Result<End> {
    let mut segments = named(&data_dir.join("member/wal"), "wal")?;
    segments.sort();
    let Some(last) = segments.last().cloned() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no log"));
    };
    let mut end = End::default();
    for segment in segments {
        end.read(&segment)?;
        if end.torn && segment != last {
            return Err(malformed(format!("{} is damaged at byte {}", segment.display(), end.offset)));
        }
    }
    Ok(end)
}

impl End {
    fn read(&mut self, segment: &Path) -> io::Result<()> {
        let (mut file, mut record_bytes) = (BufReader::new(File::open(segment)?), Vec::new());
        (self.segment, self.offset) = (segment.to_owned(), 0);
        loop {
            match record(&mut file, &mut record_bytes)? {
                Frame::End => return Ok(()),
                Frame::Torn => self.torn = true,
                Frame::Whole => self.torn = self.take(&record_bytes).is_none(),
            }
            if self.torn {
                return Ok(());
            }
            self.offset += framed(record_bytes.len());
        }
    }

    /// Takes one record; `None` if it is damaged.
    fn take(&mut self, record: &[u8]) -> Option<()> {
        let fields = fields(record)?;
        let (kind, data) = (number(&fields, 1)?, bytes(&fields, 3).unwrap_or_default());
        let said = u32::try_from(number(&fields, 2).unwrap_or(0)).ok()?;
        if kind == CHECKSUM {
            // At the head of each segment: that of the one before. Of that there may be none any more.
            let fits = self.checksum == 0 || self.checksum == said;
            self.checksum = said;
            return fits.then_some(());
        }
        let checksum = crc32c::crc32c_append(self.checksum, data);
        if checksum != said {
            return None;
        }
        self.checksum = checksum;
        let fields = super::fields(data)?;
        let of = |field| number(&fields, field).unwrap_or(0);
        match kind {
            // A later one with an index that was there before replaces all from there on.
            ENTRY => (self.term, self.index) = (of(2), of(3)),
            STATE => (self.state, self.commit) = ((of(1), of(2)), of(3)),
            SNAPSHOT if of(1) > self.index => (self.index, self.term) = (of(1), of(2)),
            SNAPSHOT | METADATA => {}
            _ => return None,
        }
        Some(())
    }

    /// Tells the log that a quorum has all of it; what cannot be read at its end is cut off. Nobody may be at work on
    /// it. On the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make_all_committed(&self) -> io::Result<()> {
        let (term, vote) = self.state;
        let state = message(&[(1, term.max(self.term)), (2, vote), (3, self.index)]);
        let checksum = crc32c::crc32c_append(self.checksum, &state);
        let mut record = message(&[(1, STATE), (2, checksum.into())]);
        record.push(3 << 3 | 2);
        varint(state.len() as u64, &mut record);
        record.extend(&state);
        let padding = record.len().next_multiple_of(8) - record.len();
        let tag = if padding == 0 { 0 } else { (0x80 | padding as u64) << 56 };
        let mut file = OpenOptions::new().write(true).open(&self.segment)?;
        let size = file.metadata()?.len();
        file.set_len(self.offset)?;
        file.seek(SeekFrom::Start(self.offset))?;
        file.write_all(&(record.len() as u64 | tag).to_le_bytes())?;
        record.resize(record.len() + padding, 0);
        file.write_all(&record)?;
        // etcd allocates a segment at once: behind the last record there are zeros.
        if file.stream_position()? < size {
            file.set_len(size)?;
        }
        file.sync_all()
    }
}

/// Bytes of a record with its length and its padding.
fn framed(length: usize) -> u64 {
    8 + length.next_multiple_of(8) as u64
}

/// A message of numbers in protobuf's encoding.
fn message(numbers: &[(u8, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, number) in numbers {
        bytes.push(name << 3);
        varint(*number, &mut bytes);
    }
    bytes
}

fn varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests;
