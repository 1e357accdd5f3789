//! What is on the volume, for a person, and the one thing that a person may delete there: data that was set aside.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::store::Store;

/// One file or folder in the volume's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    pub kind: Kind,
    /// What it takes on the disk with all that is in it; `None` where that cannot be looked at.
    pub bytes: Option<u64>,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// etcd's data directory.
    Data,
    /// A data directory that is this member's no more.
    Aside,
    /// What was fetched for a cluster to begin with: in its place, or thrown away, before etcd runs.
    Restore,
    /// The agent's own files.
    Own,
    /// What no agent made.
    Other,
}

/// Why something is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0} is no data that was set aside: such names are aside-INCARNATION-NUMBER, see `volume list`")]
    NotAside(String),
    #[error("the volume has no {0}")]
    NotThere(String),
    #[error("{0} is no folder; it was not set aside by an agent")]
    NoFolder(String),
    #[error("cannot delete {name}: {error}")]
    Failed { name: String, error: io::Error },
}

impl Kind {
    fn of(name: &str) -> Self {
        let plain = name.strip_suffix(".new").unwrap_or(name);
        match plain {
            "data" => Self::Data,
            super::restore::FOLDER => Self::Restore,
            "mark.json" | "lived" | "agent.lock" | "launcher.lock" | "canary" | "reserve" | "backup.json" => Self::Own,
            _ if is_aside(name) => Self::Aside,
            _ => Self::Other,
        }
    }
}

/// `aside-INCARNATION-NUMBER` and nothing else: no path leads out of the volume, nor to anything that is in use.
fn is_aside(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_prefix("aside-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(incarnation, n)| number(incarnation) && number(n))
}

impl Store {
    /// What is in the volume's root, the data first.
    pub fn items(&self) -> io::Result<Vec<Item>> {
        let mut items = vec![];
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            items.push(Item { kind: Kind::of(&name), name, bytes: size(&entry.path()).ok() });
        }
        items.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(items)
    }

    /// Deletes data that was set aside, by its name. Returns how many bytes that freed.
    pub fn discard(&self, name: &str) -> Result<u64, Refusal> {
        if !is_aside(name) {
            return Err(Refusal::NotAside(name.to_owned()));
        }
        let path = self.root.join(name);
        let failed = |error| Refusal::Failed { name: name.to_owned(), error };
        // The entry itself, not what a link points to.
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::NotThere(name.to_owned())),
            Err(error) => return Err(failed(error)),
            Ok(found) if !found.is_dir() => return Err(Refusal::NoFolder(name.to_owned())),
            Ok(_) => {}
        }
        let bytes = size(&path).map_err(failed)?;
        self.delete_aside(name).map_err(failed)?;
        Ok(bytes)
    }
}

/// What a file or a folder with all in it takes on the disk.
fn size(path: &Path) -> io::Result<u64> {
    let (mut bytes, mut paths): (u64, Vec<PathBuf>) = (0, vec![path.to_owned()]);
    while let Some(path) = paths.pop() {
        let found = match fs::symlink_metadata(&path) {
            // etcd renames and deletes while it runs.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        bytes += found.blocks() * 512;
        if found.is_dir() {
            for entry in fs::read_dir(&path)? {
                paths.push(entry?.path());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        for folder in
            ["data/member/snap", "restore/data", "aside-1-1/member/snap", "lost+found", "aside-me", "aside-1-"]
        {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("data/member/snap/db"), vec![1; 10_000]).unwrap();
        fs::write(dir.path().join("aside-1-1/member/snap/db"), vec![1; 50_000]).unwrap();
        fs::write(dir.path().join("mark.json"), "{").unwrap();
        let store = Store::new(dir.path().to_owned());
        (dir, store)
    }

    #[test]
    fn everything_on_the_volume_is_listed_with_what_it_is_and_takes() {
        let (_dir, store) = store();
        let items = store.items().unwrap();
        let seen: Vec<(&str, Kind)> = items.iter().map(|item| (item.name.as_str(), item.kind)).collect();
        assert_eq!(
            seen,
            [
                ("data", Kind::Data),
                ("aside-1-1", Kind::Aside),
                ("restore", Kind::Restore),
                ("mark.json", Kind::Own),
                ("aside-1-", Kind::Other),
                ("aside-me", Kind::Other),
                ("lost+found", Kind::Other),
            ]
        );
        assert!(items[0].bytes.unwrap() >= 10_000 && items[1].bytes.unwrap() >= 50_000, "{items:?}");
    }

    #[test]
    fn what_was_set_aside_is_deleted_by_its_name() {
        let (dir, store) = store();
        assert!(store.discard("aside-1-1").unwrap() >= 50_000);
        assert!(!dir.path().join("aside-1-1").exists());
        assert!(dir.path().join("data/member/snap/db").exists());
        assert!(matches!(store.discard("aside-1-1"), Err(Refusal::NotThere(_))));
    }

    #[test]
    fn nothing_else_can_be_deleted_whatever_it_is_called() {
        let (dir, store) = store();
        let names =
            ["data", "mark.json", "lost+found", "", ".", "..", "/", "aside-", "aside-me", "aside-1-", "aside--1"];
        for name in names.into_iter().chain(["aside-1-1/member", "aside-1-1/../data", "../aside-1-1", "aside-1-1 "]) {
            assert!(matches!(store.discard(name), Err(Refusal::NotAside(_))), "{name:?}");
        }
        // A name that fits, made by somebody else.
        symlink(dir.path().join("data"), dir.path().join("aside-2-1")).unwrap();
        fs::write(dir.path().join("aside-2-2"), "").unwrap();
        for name in ["aside-2-1", "aside-2-2"] {
            assert!(matches!(store.discard(name), Err(Refusal::NoFolder(_))), "{name}");
        }
        assert!(dir.path().join("data/member/snap/db").exists() && dir.path().join("aside-1-1").exists());
    }
}
