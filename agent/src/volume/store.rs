//! Reading and writing the volume.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::mark::{FORMAT, Mark};

/// What is found on the volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Volume {
    /// It cannot be read, or its mark cannot be understood: nothing is known of it.
    Unreadable(String),
    /// Another agent has its lock: what is on it may change at any moment, and nothing here is ours to write.
    InUse,
    /// No mark, and no file where data would be: never touched, or emptied altogether.
    Blank,
    /// Data without a mark: it was not put there by an agent.
    Unmarked,
    Marked(Marked),
}

/// A volume that knows whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Marked {
    pub mark: Mark,
    /// A WAL was once seen under the mark's volume ID: the member ID on the mark has run here.
    pub lived: bool,
    /// etcd's own test for data: a WAL is there now.
    pub wal: bool,
    /// Whether any file is where the data would be. Without a WAL that is what a first start left that did not get far,
    /// or a database whose WAL is gone: etcd would open it all the same, and serve and trust what it says.
    pub remains: bool,
}

/// How the name of a data directory of an incarnation begins that was set aside.
fn aside(incarnation: i64) -> String {
    format!("aside-{incarnation}-")
}

/// The volume's directory.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) root: PathBuf,
}

impl Store {
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// etcd's `--data-dir`: a sub-directory, because a file system's root may hold lost+found.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    #[must_use]
    pub fn lock_path(&self, holder: &str) -> PathBuf {
        self.root.join(format!("{holder}.lock"))
    }

    fn mark_path(&self) -> PathBuf {
        self.root.join("mark.json")
    }

    fn lived_path(&self) -> PathBuf {
        self.root.join("lived")
    }

    /// Looks at the volume.
    #[must_use]
    pub fn look(&self) -> Volume {
        match self.try_look() {
            Ok(volume) => volume,
            Err(error) => Volume::Unreadable(error.to_string()),
        }
    }

    fn try_look(&self) -> io::Result<Volume> {
        let Some(mark) = self.read_mark()? else {
            return Ok(if self.has_remains()? { Volume::Unmarked } else { Volume::Blank });
        };
        // In this order: the launcher records `lived` after it saw a WAL, so one that is recorded and not there is
        // gone. The other way round a first start between the two looks would be taken for lost data.
        let lived = self.lived(&mark.volume_id)?;
        let wal = self.has_wal()?;
        let remains = wal || self.has_remains()?;
        Ok(Volume::Marked(Marked { mark, lived, wal, remains }))
    }

    /// Whether a WAL is there, as etcd itself asks: any file with the suffix `.wal` in `member/wal`.
    /// Source: etcd `server/storage/wal/util.go`, `Exist`.
    pub fn has_wal(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(self.data_dir().join("member/wal")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        for entry in entries {
            if Path::new(&entry?.file_name()).extension().is_some_and(|ext| ext == "wal") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a database is there. etcd opens one whether or not there is a WAL.
    /// Source: etcd `server/etcdserver/bootstrap.go`, `bootstrapBackend`.
    pub fn has_db(&self) -> io::Result<bool> {
        self.data_dir().join("member/snap/db").try_exists()
    }

    /// Whether any file is in the data directory, however deep. A file system's own folder there is nobody's data.
    pub(super) fn has_remains(&self) -> io::Result<bool> {
        let own = self.data_dir().join("lost+found");
        let mut folders = vec![self.data_dir()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true if entry.path() == own => {}
                    true => folders.push(entry.path()),
                    false => return Ok(true),
                }
            }
        }
        Ok(false)
    }

    /// Bytes in `member/snap`: the database, and a snapshot that etcd is receiving, which grows there.
    /// Source: etcd `server/etcdserver/api/snap/db.go`, `SaveDBFrom`.
    pub fn snapshot_bytes(&self) -> io::Result<u64> {
        let entries = match fs::read_dir(self.data_dir().join("member/snap")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        // A file may be renamed or deleted between the two looks.
        Ok(entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum())
    }

    /// The mark as it is written; `None` if there is none.
    pub fn mark_text(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.mark_path()) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The mark, or `None` if there is none. One that cannot be understood is an error: it is somebody's.
    pub fn read_mark(&self) -> io::Result<Option<Mark>> {
        let Some(text) = self.mark_text()? else { return Ok(None) };
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mark: Mark =
            serde_json::from_slice(&text).map_err(|e| invalid(format!("cannot understand mark.json: {e}")))?;
        if mark.format > FORMAT {
            return Err(invalid(format!("mark.json has format {}, newer than this agent's {FORMAT}", mark.format)));
        }
        Ok(Some(mark))
    }

    /// Writes the mark so that after a crash the old or the new one is there, whole.
    pub fn write_mark(&self, mark: &Mark) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(mark)?;
        self.write("mark.json", &text)
    }

    /// Whether a WAL was ever seen here under this volume ID.
    pub fn lived(&self, volume_id: &str) -> io::Result<bool> {
        match fs::read_to_string(self.lived_path()) {
            Ok(seen) => Ok(seen.trim_end() == volume_id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records that a WAL was seen under this volume ID. Idempotent.
    pub fn set_lived(&self, volume_id: &str) -> io::Result<()> {
        if self.lived(volume_id)? {
            return Ok(());
        }
        self.write("lived", format!("{volume_id}\n").as_bytes())
    }

    /// Renames the data directory of an incarnation away with whatever is in it; durable when it returns. Nothing is
    /// deleted. Returns the new name, or `None` if it held nothing.
    pub fn set_aside(&self, incarnation: i64) -> io::Result<Option<String>> {
        if !self.has_remains()? {
            return Ok(None);
        }
        let prefix = aside(incarnation);
        let number = |name: &String| name.strip_prefix(&prefix)?.parse::<u32>().ok();
        let last = self.asides(incarnation)?.iter().filter_map(number).max().unwrap_or(0);
        let name = format!("{prefix}{}", last + 1);
        fs::rename(self.data_dir(), self.root.join(&name))?;
        File::open(&self.root)?.sync_all()?;
        Ok(Some(name))
    }

    /// The data directory of an incarnation that was set aside last.
    pub fn newest_aside(&self, incarnation: i64) -> io::Result<Option<PathBuf>> {
        let prefix = aside(incarnation);
        let number = |name: &String| name.strip_prefix(&prefix)?.parse::<u32>().ok();
        let newest = self.asides(incarnation)?.into_iter().filter(|name| number(name).is_some()).max_by_key(number);
        Ok(newest.map(|name| self.root.join(name)))
    }

    /// Deletes what was set aside of an incarnation. Only for a member that votes in it: then the cluster holds all
    /// that could be of use there, and a second loss would find no room.
    pub fn clear_asides(&self, incarnation: i64) -> io::Result<Vec<String>> {
        let names = self.asides(incarnation)?;
        for name in &names {
            self.delete_aside(name)?;
        }
        Ok(names)
    }

    /// Deletes one data directory that was set aside.
    pub fn delete_aside(&self, name: &str) -> io::Result<()> {
        fs::remove_dir_all(self.root.join(name))
    }

    fn asides(&self, incarnation: i64) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.root)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: io::Result<Vec<String>> = names.collect();
        Ok(names?.into_iter().filter(|name| name.starts_with(&aside(incarnation))).collect())
    }
}

/// Writes `name` in `dir`: beside, fsync, rename, fsync of the directory.
pub fn write_durably(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = dir.join(format!("{name}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
