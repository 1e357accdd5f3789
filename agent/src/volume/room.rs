//! Room on the volume, and the reserve: a file that holds room which can be given up when there is none left.
//!
//! On a full disk the agent must still be able to write a mark, and etcd to start: then somebody can compact, defragment or
//! delete. The reserve is made while there is plenty, shrinks by a little for each file of ours that finds no room, and
//! goes altogether when etcd ended for want of room and could not start again.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    sys::{
        statfs::{TMPFS_MAGIC, statfs},
        statvfs::statvfs,
    },
};

use super::store::{Store, write_durably};

/// Largest reserve: two of the 64 MiB that etcd allocates at once for its WAL.
/// Source: etcd `server/storage/wal/wal.go`, `SegmentSizeBytes`.
const LARGEST: u64 = 128 << 20;
/// A reserve is this part of the volume, if that is less: one such allocation of etcd's on a volume of 1 GiB.
const PART: u64 = 16;
/// What is given up at once for a file of our own: a mark is a block or two, and its directory may need another.
const SLICE: u64 = 1 << 20;
/// How often a slice is given up for one file: somebody who writes at the same time may take the first.
const SLICES: u32 = 3;

/// Room on the volume, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What this process may still use: a file system keeps some for root.
    pub free: u64,
    pub total: u64,
}

/// How the reserve is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    Whole,
    /// There is not enough room to make it whole: some of it was given up, or the volume was full from the beginning.
    Owed,
    /// Room cannot be set aside here.
    Impossible,
}

/// Whether an operation failed for want of room.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Room {
    /// Whether less is free than is worth holding in reserve: etcd's next allocation may find none.
    #[must_use]
    pub fn is_scarce(self) -> bool {
        self.free < self.wanted()
    }

    /// How large the reserve should be.
    fn wanted(self) -> u64 {
        LARGEST.min(self.total / PART)
    }
}

/// How large the reserve must become, if it is too small.
fn due(room: Room, held: u64) -> Option<u64> {
    let wanted = room.wanted();
    (held < wanted).then_some(wanted)
}

/// Whether there is room to spare for a reserve of this size: as much again must stay free.
fn spares(room: Room, held: u64, wanted: u64) -> bool {
    room.free >= wanted.saturating_sub(held) + wanted
}

impl Store {
    /// How much room there is.
    pub fn room(&self) -> io::Result<Room> {
        let found = statvfs(&self.root)?;
        // Both are 64 bits wide on some of our targets and narrower on others.
        #[allow(clippy::useless_conversion)]
        let (unit, free, total) =
            (u64::from(found.fragment_size()), u64::from(found.blocks_available()), u64::from(found.blocks()));
        Ok(Room { free: unit * free, total: unit * total })
    }

    /// Bytes that the reserve holds.
    pub fn reserve(&self) -> io::Result<u64> {
        match fs::metadata(self.reserve_path()) {
            // Blocks, not length: a file can be longer than the room that it holds. Their unit is 512 bytes everywhere.
            Ok(found) => Ok(found.blocks() * 512),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Makes the reserve what it shall be. Not in memory, which it would take from etcd, nor where a file system cannot set room
    /// aside.
    pub fn keep_reserve(&self) -> io::Result<Reserve> {
        let (room, held) = (self.room()?, self.reserve()?);
        match due(room, held) {
            None => Ok(Reserve::Whole),
            Some(_) if statfs(&self.root)?.filesystem_type() == TMPFS_MAGIC => Ok(Reserve::Impossible),
            Some(wanted) if !spares(room, held, wanted) => Ok(Reserve::Owed),
            Some(wanted) => self.hold(wanted),
        }
    }

    fn hold(&self, bytes: u64) -> io::Result<Reserve> {
        let file = File::options().create(true).truncate(false).write(true).open(self.reserve_path())?;
        match fallocate(&file, FallocateFlags::empty(), 0, i64::try_from(bytes).map_err(io::Error::other)?) {
            Ok(()) => file.sync_all().map(|()| Reserve::Whole),
            Err(errno) => {
                // Half a reserve of no use, or an empty file, is not left behind.
                fs::remove_file(self.reserve_path())?;
                match errno {
                    Errno::EOPNOTSUPP => Ok(Reserve::Impossible),
                    Errno::ENOSPC | Errno::EDQUOT => Ok(Reserve::Owed),
                    errno => Err(errno.into()),
                }
            }
        }
    }

    /// Gives the whole reserve up; returns how many bytes that freed.
    pub fn give_up_reserve(&self) -> io::Result<u64> {
        let held = self.reserve()?;
        match fs::remove_file(self.reserve_path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
            Ok(()) => Ok(held),
        }
    }

    /// Writes one of our own files durably, on a full disk too as long as there is a reserve.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut slices = 0;
        loop {
            match write_durably(&self.root, name, content) {
                Err(error) if is_full(&error) && slices < SLICES && self.give_up_slice()? => slices += 1,
                outcome => return outcome,
            }
        }
    }

    /// The same for a file that only its owner may read.
    pub fn write_secret(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let beside = self.root.join(format!("{name}.new"));
        // It keeps the rights with which it was made, also when it is written and renamed.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
        self.write(name, content)
    }

    /// Makes the reserve smaller; false when there is none.
    fn give_up_slice(&self) -> io::Result<bool> {
        let file = match File::options().write(true).open(self.reserve_path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(false);
        }
        file.set_len(length.saturating_sub(SLICE))?;
        // Some file systems free what a file gave up only when that is on the disk.
        file.sync_all()?;
        Ok(true)
    }

    fn reserve_path(&self) -> PathBuf {
        self.root.join("reserve")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        (dir, store)
    }

    #[test]
    fn the_reserve_is_a_sixteenth_of_a_small_volume_and_never_much() {
        let due = |total, held| due(Room { free: 0, total }, held);
        assert_eq!(due(GIB, 0), Some(64 * MIB));
        assert_eq!(due(100 * GIB, 0), Some(128 * MIB));
        assert_eq!(due(100 * GIB, 128 * MIB), None, "it is there");
    }

    #[test]
    fn a_reserve_that_was_given_up_comes_back_only_when_there_is_room_to_spare() {
        let spares = |free, held| spares(Room { free, total: GIB }, held, 64 * MIB);
        assert_eq!((spares(127 * MIB, 0), spares(128 * MIB, 0)), (false, true));
        assert_eq!((spares(67 * MIB, 60 * MIB), spares(68 * MIB, 60 * MIB)), (false, true));
    }

    #[test]
    fn what_is_held_is_real_room_and_can_be_given_up() {
        let (dir, store) = store();
        assert_eq!((store.reserve().unwrap(), store.give_up_reserve().unwrap()), (0, 0));
        assert_eq!(store.hold(4 * MIB).unwrap(), Reserve::Whole);
        assert!(store.reserve().unwrap() >= 4 * MIB);
        assert!(store.give_up_slice().unwrap());
        assert!(store.reserve().unwrap() < 4 * MIB);
        assert!(store.give_up_reserve().unwrap() >= 3 * MIB);
        assert!(!dir.path().join("reserve").exists());
        assert!(!store.give_up_slice().unwrap(), "there is nothing left to give");
    }

    #[test]
    fn a_file_that_finds_no_room_is_given_slices_of_the_reserve_and_not_all_of_it() {
        let (dir, store) = store();
        store.hold(8 * MIB).unwrap();
        // A disk that stays full whatever is given up.
        symlink("/dev/full", dir.path().join("lived.new")).unwrap();
        assert!(is_full(&store.set_lived("v").unwrap_err()));
        assert_eq!(dir.path().join("reserve").metadata().unwrap().len(), 5 * MIB);
        fs::remove_file(dir.path().join("lived.new")).unwrap();
        store.set_lived("v").unwrap();
        assert_eq!(dir.path().join("reserve").metadata().unwrap().len(), 5 * MIB, "nothing is given without need");
    }
}
