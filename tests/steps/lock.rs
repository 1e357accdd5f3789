//! One `up` or `down` at a time a machine, and one build of a tool at a time.

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::Path;

/// Held until dropped, also by a crash: the kernel lets go of it with the process.
#[must_use]
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

impl Lock {
    /// Waits for the lock. `waiting` is called first when somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn take(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let file = File::create(path).with_context(|| format!("create the lock {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Self { _held: held }),
            Err((file, _)) => {
                waiting();
                let held = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
                let held = held.with_context(|| format!("wait for the lock {}", path.display()))?;
                Ok(Self { _held: held })
            }
        }
    }
}
