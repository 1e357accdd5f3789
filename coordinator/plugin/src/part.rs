//! A file that gets its name once it is whole; until then, and where it never is, nothing of that name is touched.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// `FILE.part`. It goes with this value, unless it was finished.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
    finished: bool,
}

impl Part {
    /// # Errors
    /// When it cannot be made.
    pub fn create(target: &Path) -> Result<Self, Failure> {
        let mut path = target.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file = File::create(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self { file, path, finished: false })
    }

    /// # Errors
    /// When it cannot be written, as without room.
    pub fn put(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.file.write_all(piece).map_err(|error| failed(&self.path, &error))
    }

    /// Has it on the disk, and then under its name.
    ///
    /// # Errors
    /// When either does not succeed.
    pub fn finish(mut self) -> Result<(), Failure> {
        let target = self.path.with_extension("");
        let done =
            self.file.sync_all().and_then(|()| fs::rename(&self.path, &target)).and_then(|()| sync_folder(&target));
        done.map_err(|error| failed(&target, &error))?;
        self.finished = true;
        Ok(())
    }
}

/// Until the folder is on the disk, the name may be lost with a crash.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot write {}: {error}", path.display()))
}

impl Write for Part {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.file.write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_finished_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("etcd.db");
        fs::write(&target, "former").unwrap();
        let mut part = Part::create(&target).unwrap();
        part.put(b"half").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"former");
        drop(part);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut part = Part::create(&target).unwrap();
        part.put(b"whole").unwrap();
        part.finish().unwrap();
        assert_eq!((fs::read(&target).unwrap(), fs::read_dir(folder.path()).unwrap().count()), (b"whole".to_vec(), 1));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let failure = Part::create(Path::new("/nowhere/at/all/etcd.db")).unwrap_err();
        assert!(failure.to_string().contains("/nowhere/at/all/etcd.db.part"), "{failure}");
    }
}
