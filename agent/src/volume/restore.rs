//! The data that a cluster begins with, on its way: everything of it is in `restore/` until one rename puts a whole
//! data directory in its place. What a crash leaves there is nobody's, and thrown away.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{log, store::Store};

/// The folder that all of it is in.
pub const FOLDER: &str = "restore";
/// Two segments of etcd's log, which are allocated at once.
/// Source: etcd `server/storage/wal/wal.go`, `SegmentSizeBytes`, and `file_pipeline.go`.
const LOG: u64 = 128 << 20;

/// Whose data etcd takes it for: IDs in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub member_id: String,
    pub cluster_id: String,
}

impl Store {
    /// The file that is fetched.
    #[must_use]
    pub fn snapshot_path(&self) -> PathBuf {
        self.restore_dir().join("snapshot.db")
    }

    /// The data directory that is made of it.
    #[must_use]
    pub fn restored_dir(&self) -> PathBuf {
        self.restore_dir().join("data")
    }

    fn restore_dir(&self) -> PathBuf {
        self.root.join(FOLDER)
    }

    /// Throws away what is there, and makes room for a snapshot of this size.
    ///
    /// # Errors
    /// When there is too little room: for the file, and for the database and the log that are made of it.
    pub fn begin_restore(&self, size: u64) -> io::Result<()> {
        self.clear_restore()?;
        let (free, needed) = (self.room()?.free, size.saturating_mul(2).saturating_add(LOG));
        if free < needed {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let (missing, needed, free) = (mib(needed - free), mib(needed), free >> 20);
            return Err(io::Error::new(
                ErrorKind::StorageFull,
                format!(
                    "the volume lacks {missing} MiB: to begin with this data takes {needed} MiB, and {free} MiB are free"
                ),
            ));
        }
        fs::create_dir(self.restore_dir())
    }

    /// Throws away what is in `restore/`.
    pub fn clear_restore(&self) -> io::Result<()> {
        remove(&self.restore_dir())
    }

    /// Throws away half a data directory; the file stays.
    pub fn clear_restored(&self) -> io::Result<()> {
        remove(&self.restored_dir())
    }

    /// Whether the data directory that was made is this member's, and all of it is on the disk when this returns. May
    /// take long.
    ///
    /// # Errors
    /// When it is another's, is not whole, or cannot be written out.
    pub fn seal_restored(&self, owner: &Owner) -> io::Result<()> {
        let made = self.restored_dir();
        let found = log::owner(&made)?;
        if found.as_ref() != Some(owner) {
            return Err(io::Error::other(format!(
                "what was restored is not this member's: {found:?} instead of {owner:?}"
            )));
        }
        if !made.join("member/snap/db").try_exists()? {
            return Err(io::Error::other("what was restored has no database"));
        }
        sync(&made)
    }

    /// The one step that counts: what was sealed becomes the data directory. Nothing may be there that somebody could
    /// miss.
    ///
    /// # Errors
    /// When something is, or the rename fails.
    pub fn place_restored(&self) -> io::Result<()> {
        if self.has_remains()? {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "there is data already"));
        }
        remove_empty(&self.data_dir())?;
        fs::rename(self.restored_dir(), self.data_dir())?;
        File::open(&self.root)?.sync_all()
    }
}

/// Removes a folder with all in it, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Removes a folder of folders; a file in it stays, with an error.
fn remove_empty(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        remove_empty(&entry?.path())?;
    }
    fs::remove_dir(folder)
}

/// Writes every file and every folder out.
fn sync(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
