//! Records that a WAL was seen: `lived`, the proof that an ID has run on the volume.
//!
//! etcd makes its WAL before it hears a peer, so the record must not be far behind: the launcher looks every millisecond from a
//! first start until it is written.

use std::{io, time::Duration};

use crate::volume::Store;

/// How often it looks for the first WAL.
const SOON: Duration = Duration::from_millis(1);
/// How often while the volume refuses: that changes when a person or the system mends it.
const LATER: Duration = Duration::from_millis(100);

/// What is known of the record of one order.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The order whose WAL is recorded.
    done: u64,
    /// What was said of a refusal: once, since etcd's own lines must not drown.
    said: Option<String>,
}

/// When to look again, and what to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub again: Option<Duration>,
    pub say: Option<String>,
}

impl Record {
    /// Looks for a WAL of this order's first start and records it.
    pub(super) fn look(&mut self, store: &Store, order: u64, volume_id: &str) -> Look {
        if self.done == order {
            return Look::default();
        }
        match record(store, volume_id) {
            Ok(false) => Look { again: Some(SOON), say: None },
            Ok(true) => {
                *self = Self { done: order, said: None };
                Look::default()
            }
            Err(error) => {
                let why = error.to_string();
                let say = (self.said.as_ref() != Some(&why)).then(|| why.clone());
                self.said = Some(why);
                Look { again: Some(LATER), say }
            }
        }
    }
}

/// True when the record is there.
fn record(store: &Store, volume_id: &str) -> io::Result<bool> {
    if !store.has_wal()? {
        return Ok(false);
    }
    store.set_lived(volume_id)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put_wal(store: &Store) {
        let wal = store.data_dir().join("member/wal");
        fs::create_dir_all(&wal).unwrap();
        fs::write(wal.join("0.wal"), "").unwrap();
    }

    #[test]
    fn a_wal_is_recorded_as_soon_as_it_is_seen_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut record) = (Store::new(dir.path().to_owned()), Record::default());
        assert_eq!(record.look(&store, 1, "v"), Look { again: Some(SOON), say: None });
        put_wal(&store);
        assert_eq!(record.look(&store, 1, "v"), Look::default());
        assert!(store.lived("v").unwrap());
        // A later first start, on a volume that was renewed.
        fs::remove_dir_all(store.data_dir()).unwrap();
        assert_eq!(record.look(&store, 1, "v"), Look::default());
        assert_eq!(record.look(&store, 2, "w").again, Some(SOON));
    }

    #[test]
    fn a_volume_that_refuses_is_named_once_and_not_a_thousand_times_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut record) = (Store::new(dir.path().to_owned()), Record::default());
        put_wal(&store);
        std::os::unix::fs::symlink("/dev/full", dir.path().join("lived.new")).unwrap();
        let first = record.look(&store, 1, "v");
        assert!(first.again == Some(LATER) && first.say.is_some_and(|why| why.contains("No space left")));
        assert_eq!(record.look(&store, 1, "v"), Look { again: Some(LATER), say: None });
        fs::remove_file(dir.path().join("lived.new")).unwrap();
        assert_eq!(record.look(&store, 1, "v"), Look::default());
        assert!(store.lived("v").unwrap());
    }
}
