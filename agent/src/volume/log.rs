//! etcd's own log, as far as a newer etcd must be able to read it.
//!
//! etcd 3.5 writes that a member is there, and the cluster's version, as requests of its old store. 3.6 still reads
//! them; 3.7 ends with a panic at the first one that it replays. It replays all that comes after the newest snapshot
//! that is whole: one whose file is there, and that the log itself names as committed. So the log is read here as etcd
//! reads it. Source: etcd 3.7.3 `server/storage/wal/{decoder,wal}.go` (`ValidSnapshotEntries`),
//! `server/etcdserver/apply/apply.go`.

use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use etcd_operator_shared::ids::hex;

use super::{restore::Owner, store::Store};

pub mod end;

/// What a log that is replayed holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Nothing that only 3.5 and 3.6 can read.
    Plain,
    /// The last entry of 3.5's own has this index, and no snapshot covers it.
    Old { index: u64 },
}

/// A snapshot, as its file's name and the log name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Snapshot {
    term: u64,
    index: u64,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Found {
    commit: u64,
    snapshots: Vec<Snapshot>,
    /// Indices of 3.5's own entries, rising.
    old: Vec<u64>,
}

/// No record is larger: etcd's own bound on a request is far below.
const MOST: u64 = 256 << 20;

impl Store {
    /// Reads the whole log: up to some hundred MB.
    ///
    /// # Errors
    /// When it cannot be read, or not be understood.
    pub fn log(&self) -> io::Result<Log> {
        let there = self.snapshots()?;
        let mut segments = named(&self.data_dir().join("member/wal"), "wal")?;
        segments.sort();
        let mut found = Found::default();
        let last = segments.last().cloned();
        for segment in segments {
            let whole = found.read(BufReader::new(File::open(&segment)?))?;
            // A write that was cut short, or is just being done, is the end of the log; anywhere else it is damage.
            if !whole && last.as_ref() != Some(&segment) {
                return Err(malformed(format!("{} cannot be understood", segment.display())));
            }
        }
        Ok(found.log(&there))
    }

    /// Index of the newest snapshot that has a file; 0 when none has.
    pub fn newest_snapshot(&self) -> io::Result<u64> {
        Ok(self.snapshots()?.iter().map(|snapshot| snapshot.index).max().unwrap_or(0))
    }

    fn snapshots(&self) -> io::Result<Vec<Snapshot>> {
        let files = named(&self.data_dir().join("member/snap"), "snap")?;
        Ok(files.iter().filter_map(|path| Snapshot::of(path.file_stem()?.to_str()?)).collect())
    }
}

/// Whose log is in a data directory, as its first records say; `None` where it does not say.
/// Source: etcd `api/etcdserverpb/etcdserver.proto`, `Metadata`.
pub(super) fn owner(data_dir: &Path) -> io::Result<Option<Owner>> {
    let Some(first) = named(&data_dir.join("member/wal"), "wal")?.into_iter().min() else { return Ok(None) };
    let (mut segment, mut bytes) = (BufReader::new(File::open(first)?), Vec::new());
    while let Frame::Whole = record(&mut segment, &mut bytes)? {
        if let Some(owner) = metadata(&bytes) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

fn metadata(record: &[u8]) -> Option<Owner> {
    let record = fields(record)?;
    let metadata = fields(bytes(&record, 3).filter(|_| number(&record, 1) == Some(1))?)?;
    let id = |field| number(&metadata, field).map(hex);
    Some(Owner { member_id: id(1)?, cluster_id: id(2)? })
}

/// Files with this suffix.
fn named(folder: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == suffix)).collect())
}

impl Snapshot {
    /// From `TERM-INDEX`, both in hexadecimal.
    fn of(name: &str) -> Option<Self> {
        let (term, index) = name.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        Some(Self { term: number(term)?, index: number(index)? })
    }
}

impl Found {
    /// Takes all records of a segment. Returns whether it ended as segments do.
    fn read(&mut self, mut segment: impl Read) -> io::Result<bool> {
        let mut bytes = Vec::new();
        loop {
            match record(&mut segment, &mut bytes)? {
                Frame::End => return Ok(true),
                Frame::Torn => return Ok(false),
                Frame::Whole => {}
            }
            if self.take(&bytes).is_none() {
                return Ok(false);
            }
        }
    }

    /// Takes one record; `None` if it cannot be understood.
    /// Source: `walpb.Record`, and the types in `server/storage/wal/wal.go`.
    fn take(&mut self, record: &[u8]) -> Option<()> {
        let fields = fields(record)?;
        let data = bytes(&fields, 3).unwrap_or_default();
        match number(&fields, 1)? {
            2 => self.entry(data)?,
            3 => self.commit = number(&self::fields(data)?, 3).unwrap_or(0),
            5 => {
                let fields = self::fields(data)?;
                let of = |field| number(&fields, field).unwrap_or(0);
                self.snapshots.push(Snapshot { index: of(1), term: of(2) });
            }
            // Metadata, and the running checksum.
            1 | 4 => {}
            _ => return None,
        }
        Some(())
    }

    /// `raftpb.Entry`. A later record with an index that was there before replaces all from there on.
    fn entry(&mut self, data: &[u8]) -> Option<()> {
        let fields = fields(data)?;
        let index = number(&fields, 3)?;
        while self.old.last().is_some_and(|last| *last >= index) {
            self.old.pop();
        }
        let normal = number(&fields, 1).unwrap_or(0) == 0;
        if normal && bytes(&fields, 4).is_some_and(is_old) {
            self.old.push(index);
        }
        Some(())
    }

    /// What etcd would replay of it, with these snapshots on the disk.
    fn log(&self, there: &[Snapshot]) -> Log {
        let whole = self.snapshots.iter().filter(|s| s.index <= self.commit && there.contains(s));
        let from = whole.map(|snapshot| snapshot.index).max().unwrap_or(0);
        match self.old.last() {
            Some(index) if *index > from => Log::Old { index: *index },
            Some(_) | None => Log::Plain,
        }
    }
}

/// Whether a request is one of the old store: as such, or within a newer one. Both have something in field 2, which
/// nothing that
/// 3.6 and 3.7 write has.
/// Source: etcd `api/etcdserverpb/{etcdserver,raft_internal}.proto`.
fn is_old(request: &[u8]) -> bool {
    !request.is_empty() && fields(request).is_none_or(|fields| fields.iter().any(|(name, _)| *name == 2))
}

/// What is found where a record may begin.
enum Frame {
    Whole,
    /// The end of the file, or of what was written into it.
    End,
    Torn,
}

/// Reads one record. Its length stands before it, with the padding behind it in the highest byte.
fn record(segment: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<Frame> {
    let mut length = [0; 8];
    match segment.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Frame::End),
        read => read?,
    }
    let length = u64::from_le_bytes(length);
    let (size, padding) = (length & !(0xff << 56), if length >> 63 == 1 { (length >> 56) & 0x7 } else { 0 });
    if length == 0 {
        return Ok(Frame::End);
    }
    if size > MOST {
        return Ok(Frame::Torn);
    }
    bytes.clear();
    let read = segment.by_ref().take(size + padding).read_to_end(bytes)?;
    if (read as u64) < size + padding {
        return Ok(Frame::Torn);
    }
    bytes.truncate(read - usize::try_from(padding).unwrap_or(0));
    Ok(Frame::Whole)
}

/// A field of a message: its number and what it holds.
type Field<'a> = (u64, Value<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed length: nothing here is of that kind.
    Fixed,
}

/// The fields of a message in protobuf's encoding; `None` if it is none.
fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let value = match key & 0x7 {
            0 => Value::Number(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                Value::Bytes(message.split_off(..length)?)
            }
            1 => message.split_off(..8).map(|_| Value::Fixed)?,
            5 => message.split_off(..4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        if key >> 3 == 0 {
            return None;
        }
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn number(fields: &[Field<'_>], name: u64) -> Option<u64> {
    fields.iter().rev().find_map(|(of, value)| match value {
        Value::Number(number) if *of == name => Some(*number),
        Value::Number(_) | Value::Bytes(_) | Value::Fixed => None,
    })
}

fn bytes<'a>(fields: &[Field<'a>], name: u64) -> Option<&'a [u8]> {
    fields.iter().rev().find_map(|(of, value)| match value {
        Value::Bytes(bytes) if *of == name => Some(*bytes),
        Value::Number(_) | Value::Bytes(_) | Value::Fixed => None,
    })
}

fn malformed(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(super) mod tests;
