//! What was salvaged of a life whose quorum was lost: a snapshot on the volume of the member whose log was the furthest
//! on, with which the members of the next life begin.
//!
//! ```text
//!   salvage/<incarnation>/<digest>.db   the snapshot, by the life that it is of
//!   salvage/<incarnation>/said.json     what was said of it
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::store::Store;

/// What was said of it.
pub const SAID: &str = "said.json";
const FOLDER: &str = "salvage";

impl Store {
    /// The folder of what was salvaged of a life.
    #[must_use]
    pub fn salvaged_of(&self, incarnation: i64) -> PathBuf {
        self.root.join(FOLDER).join(incarnation.to_string())
    }

    /// The snapshot with this digest that was salvaged of a life.
    #[must_use]
    pub fn salvaged(&self, incarnation: i64, digest: &str) -> PathBuf {
        self.salvaged_of(incarnation).join(format!("{digest}.db"))
    }

    /// The snapshot with this digest, of whichever life, if it is here. Whether its content is that, its reader finds
    /// out.
    #[must_use]
    pub fn find_salvaged(&self, digest: &str) -> Option<PathBuf> {
        let name = format!("{digest}.db");
        let folders = fs::read_dir(self.root.join(FOLDER)).ok()?;
        folders.flatten().map(|life| life.path().join(&name)).find(|path| path.exists())
    }

    /// A snapshot that was salvaged of a life before `incarnation`. What was salvaged of that one itself is deleted.
    pub fn salvaged_before(&self, incarnation: i64) -> io::Result<Option<PathBuf>> {
        remove(&self.salvaged_of(incarnation))?;
        let lives = match fs::read_dir(self.root.join(FOLDER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lives => lives?,
        };
        for life in lives {
            for file in fs::read_dir(life?.path())? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "db") {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    }

    /// Deletes all that was salvaged. Once all members of the next life have begun nobody needs it.
    pub fn clear_salvaged(&self) -> io::Result<()> {
        remove(&self.root.join(FOLDER))
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_salvaged_is_found_by_its_digest_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        assert_eq!(store.find_salvaged("d"), None);
        fs::create_dir_all(store.salvaged_of(3)).unwrap();
        fs::write(store.salvaged(3, "d"), "data").unwrap();
        assert_eq!(store.find_salvaged("d"), Some(store.salvaged(3, "d")));
        assert_eq!(store.find_salvaged("e"), None);
        assert_eq!(store.salvaged_before(4).unwrap(), Some(store.salvaged(3, "d")));
        store.clear_salvaged().unwrap();
        store.clear_salvaged().unwrap();
        assert_eq!(store.find_salvaged("d"), None);
    }

    #[test]
    fn a_life_that_goes_on_has_no_use_for_what_was_salvaged_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        fs::create_dir_all(store.salvaged_of(3)).unwrap();
        fs::write(store.salvaged(3, "d"), "data").unwrap();
        assert_eq!(store.salvaged_before(3).unwrap(), None);
        assert_eq!(store.find_salvaged("d"), None);
    }
}
