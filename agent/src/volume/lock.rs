//! Locks on the volume: a second agent or launcher on it finds out before it writes.
//!
//! The kernel's lock belongs to a file, and files on the volume can be deleted: a lock on a file that is gone keeps nobody
//! out. So a [`Keeper`] looks again and again whether the file is the one that it has locked.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

/// Name of the agent's lock, and of the launcher's.
pub const AGENT: &str = "agent";
pub const LAUNCHER: &str = "launcher";

/// Held as long as it lives; the kernel lets go when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or says at once that another process holds it ([`io::ErrorKind::WouldBlock`]). On a volume that takes
    /// no writes a lock file that is there can be locked all the same.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.or_else(|error| File::open(path).map_err(|_| error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { file }),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Whether the locked file is not at this path any more. What cannot be looked at is not gone.
    fn is_gone(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(held), Ok(found)) => (held.dev(), held.ino()) != (found.dev(), found.ino()),
            (_, Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), Ok(_)) => false,
        }
    }
}

/// Who has the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Me,
    /// Another process: another pod on this volume, or a predecessor that is just ending.
    Other,
    /// The lock cannot be had, in the system's words.
    Nobody(String),
}

/// Takes a lock and keeps it.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    lock: Option<Lock>,
}

impl Keeper {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    /// Looks who has the lock now, and takes it if it is free. A file that was deleted is made and locked anew; the old one
    /// stays locked until then.
    pub fn look(&mut self) -> Holder {
        if self.lock.as_ref().is_some_and(|lock| !lock.is_gone(&self.path)) {
            return Holder::Me;
        }
        match Lock::take(&self.path) {
            Ok(lock) => {
                self.lock = Some(lock);
                Holder::Me
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Holder::Other,
            Err(error) => Holder::Nobody(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert_eq!(Lock::take(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_lock_file_that_was_deleted_is_locked_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut keeper = Keeper::new(path.clone());
        assert_eq!(keeper.look(), Holder::Me);
        fs::remove_file(&path).unwrap();
        assert_eq!(keeper.look(), Holder::Me);
        assert_eq!(Lock::take(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody gets in behind it");
    }

    #[test]
    fn who_locked_the_new_file_first_has_the_volume() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut keeper = Keeper::new(path.clone());
        assert_eq!(keeper.look(), Holder::Me);
        fs::remove_file(&path).unwrap();
        let other = Lock::take(&path).unwrap();
        assert_eq!(keeper.look(), Holder::Other);
        drop(other);
        assert_eq!(keeper.look(), Holder::Me);
    }

    #[test]
    fn a_lock_that_cannot_be_had_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::new(dir.path().join("nowhere/lock"));
        assert!(matches!(keeper.look(), Holder::Nobody(why) if why.contains("No such file")));
    }

    #[test]
    fn a_lock_file_that_takes_no_writes_can_be_locked() {
        let dir = tempfile::tempdir().unwrap();
        // Opening for writing fails, even for root: it is a folder.
        let path = dir.path().join("lock");
        fs::create_dir(&path).unwrap();
        let first = Lock::take(&path).unwrap();
        assert_eq!(Lock::take(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
    }
}
