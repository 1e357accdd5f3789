//! Whether the volume takes writes: tried with a small file, and what the failure means.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
};

use nix::unistd::geteuid;

use super::{
    room::{Room, is_full},
    store::Store,
};

/// Less than this is no room: not even a database page and a mark fit.
const NOTHING: u64 = 64 << 10;

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    Fine(Room),
    /// There is no room. Reading goes on, and so does much of etcd, whose WAL has room of its own.
    Full(Room),
    /// Usually the kernel's answer to a failing disk.
    ReadOnly,
    /// The volume is not this user's, whose number it is.
    Denied(u32),
    /// The disk or the network to it fails, in the system's words.
    Failing(String),
}

impl Store {
    /// Tries whether a small file can be written and fsynced now.
    #[must_use]
    pub fn try_write(&self) -> Trial {
        judge(self.room(), self.write_canary())
    }

    fn write_canary(&self) -> io::Result<()> {
        let mut file = File::create(self.root.join("canary"))?;
        file.write_all(b"written to see whether the volume takes writes\n")?;
        file.sync_data()
    }
}

/// Room is looked at too: a canary finds room on a full disk, in the block that it had before.
fn judge(room: io::Result<Room>, written: io::Result<()>) -> Trial {
    match (written, room) {
        (Err(error), Ok(room)) if is_full(&error) => Trial::Full(room),
        (Err(error), _) => match error.kind() {
            ErrorKind::ReadOnlyFilesystem => Trial::ReadOnly,
            ErrorKind::PermissionDenied => Trial::Denied(geteuid().as_raw()),
            _ => Trial::Failing(error.to_string()),
        },
        (Ok(()), Ok(room)) if room.free < NOTHING => Trial::Full(room),
        (Ok(()), Ok(room)) => Trial::Fine(room),
        (Ok(()), Err(error)) => Trial::Failing(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    const ROOM: Room = Room { free: 1 << 30, total: 1 << 31 };

    fn failed(errno: Errno) -> Trial {
        judge(Ok(ROOM), Err(errno.into()))
    }

    #[test]
    fn each_failure_of_a_disk_has_a_name_of_its_own() {
        assert_eq!(judge(Ok(ROOM), Ok(())), Trial::Fine(ROOM));
        assert_eq!(failed(Errno::EROFS), Trial::ReadOnly);
        let denied = || Trial::Denied(geteuid().as_raw());
        assert_eq!((failed(Errno::EACCES), failed(Errno::EPERM)), (denied(), denied()));
        assert!(matches!(failed(Errno::EIO), Trial::Failing(why) if why.contains("Input/output error")));
        assert!(matches!(failed(Errno::ESTALE), Trial::Failing(_)));
    }

    #[test]
    fn a_disk_is_full_when_a_write_says_so_and_when_only_the_canarys_own_block_is_free() {
        let empty = Room { free: 4096, ..ROOM };
        assert_eq!((failed(Errno::ENOSPC), failed(Errno::EDQUOT)), (Trial::Full(ROOM), Trial::Full(ROOM)));
        assert_eq!(judge(Ok(empty), Ok(())), Trial::Full(empty));
    }

    #[test]
    fn a_volume_that_takes_writes_says_how_much_room_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let Trial::Fine(room) = Store::new(dir.path().to_owned()).try_write() else { panic!("it takes writes") };
        assert!(room.free > 0 && room.free <= room.total, "{room:?}");
    }
}
