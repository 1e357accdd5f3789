//! The objects of a bucket as files: what a test looks at, and changes behind the server's back.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the server keeps uploads that are not finished.
const UPLOADS: &str = ".sgwtmp";

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    folder: PathBuf,
}

impl Bucket {
    pub(super) fn in_folder(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("make bucket {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The keys of its objects that begin so, in order. Nothing where an object goes while this looks.
    #[must_use]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let mut found = vec![];
        visit(&self.folder, &self.folder, &mut found);
        found.retain(|key| key.starts_with(prefix));
        found.sort();
        found
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(&self, key: &str) -> Result<Vec<u8>> {
        fs::read(self.folder.join(key)).with_context(|| format!("read object {key}"))
    }

    /// Puts other bytes in the place of an object, or makes one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(key);
        fs::create_dir_all(path.parent().context("an object lies in a bucket")?)?;
        fs::write(&path, bytes).with_context(|| format!("write object {key}"))
    }

    /// Changes one bit in the middle of an object; its size stays.
    ///
    /// # Errors
    /// When there is none, or it is empty.
    pub fn flip(&self, key: &str) -> Result<()> {
        let mut bytes = self.read(key)?;
        ensure!(!bytes.is_empty(), "object {key} is empty");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.write(key, &bytes)
    }
}

fn visit(root: &Path, folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != UPLOADS {
                visit(root, &path, found);
            }
        } else if let Ok(key) = path.strip_prefix(root) {
            found.push(key.display().to_string());
        }
    }
}
