//! What was last told of backups, beside the mark: they are taken while the API server is away, too.

use std::{fs, io};

use etcd_operator_shared::api::member::ToldBackups;

use super::Store;

/// The file.
const FILE: &str = "backup.json";

impl Store {
    /// What was last told, or `None` where nothing was.
    pub fn read_backups(&self) -> io::Result<Option<ToldBackups>> {
        match fs::read(self.root.join(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps it, so that after a crash the old or the new one is there, whole; or that there is nothing to keep any
    /// more.
    pub fn keep_backups(&self, told: Option<&ToldBackups>) -> io::Result<()> {
        let Some(told) = told else {
            return match fs::remove_file(self.root.join(FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            };
        };
        self.write(FILE, &serde_json::to_vec_pretty(told)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_there_after_a_restart_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        assert_eq!(store.read_backups().unwrap(), None);
        let told = ToldBackups { policy: "{}".into(), path: "ns/demo/u".into(), now: None };
        store.keep_backups(Some(&told)).unwrap();
        assert_eq!(Store::new(dir.path().to_owned()).read_backups().unwrap(), Some(told));
        store.keep_backups(None).unwrap();
        store.keep_backups(None).unwrap();
        assert_eq!(store.read_backups().unwrap(), None);
    }
}
