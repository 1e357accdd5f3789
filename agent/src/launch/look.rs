//! What the volume says about an order.

use std::io;

use serde::Deserialize;

use super::{machine::Disk, protocol::Volume};
use crate::volume::Store;

/// All that a launcher reads of a mark. Every layout of the mark keeps these two where they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    pub volume_id: String,
    #[serde(default)]
    pub member_id: Option<String>,
}

/// Looks. What cannot be read is unknown, never absent.
pub(super) fn look(store: &Store, ordered: &Volume) -> Disk {
    match try_look(store, ordered) {
        Ok(disk) => disk,
        Err(error) => Disk::Unreadable(error.to_string()),
    }
}

fn try_look(store: &Store, ordered: &Volume) -> io::Result<Disk> {
    let Some(text) = store.mark_text()? else { return Ok(Disk::Other) };
    let found: Seal = serde_json::from_slice(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("cannot understand mark.json: {error}")))?;
    if !fits(&found, ordered) {
        return Ok(Disk::Other);
    }
    Ok(match (store.has_wal()?, store.has_db()?) {
        (true, _) => Disk::Wal,
        (false, true) => Disk::Database,
        (false, false) => Disk::Empty,
    })
}

/// Whether the volume with the seal `found` is the one that an order was given for, to the same end.
///
/// The volume's ID stands for cluster, incarnation and member: it is random, belongs to one of each, and a new one is
/// drawn whenever the data is lost or set aside. The member ID says for which of etcd's members the data is or will be:
/// a volume can be given another one while its volume ID stays, as long as nothing ran on it. The claim's number must
/// not count: it says who may speak for the member, and rises under a running etcd when the API server comes back.
#[must_use]
pub fn fits(found: &Seal, ordered: &Volume) -> bool {
    found.volume_id == ordered.volume_id && found.member_id == ordered.member_id
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MARK: &str = r#"{"format":1,"clusterUid":"u","incarnation":1,"member":"demo-0","volumeId":"v","claim":1,"memberId":"a","counter":7}"#;

    fn ordered() -> Volume {
        serde_json::from_str(MARK).unwrap()
    }

    /// What is seen on a volume with this mark and a WAL.
    fn seen(mark: &str) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let wal = dir.path().join("data/member/wal");
        fs::create_dir_all(&wal).unwrap();
        fs::write(wal.join("0.wal"), "").unwrap();
        fs::write(dir.path().join("mark.json"), mark).unwrap();
        look(&Store::new(dir.path().to_owned()), &ordered())
    }

    #[test]
    fn an_order_holds_for_the_volume_and_the_member_id_that_it_was_given_for() {
        assert_eq!(seen(MARK), Disk::Wal);
        assert_eq!(seen(&MARK.replace(r#""volumeId":"v""#, r#""volumeId":"w""#)), Disk::Other, "renewed to join");
        assert_eq!(seen(&MARK.replace(r#""memberId":"a""#, r#""memberId":"b""#)), Disk::Other, "added anew");
        assert_eq!(seen(&MARK.replace(r#""memberId":"a""#, r#""memberId":null"#)), Disk::Other);
    }

    #[test]
    fn a_claim_that_is_made_late_does_not_end_the_order() {
        assert_eq!(seen(&MARK.replace(r#""claim":1"#, r#""claim":2"#)), Disk::Wal);
    }

    #[test]
    fn a_newer_layout_of_the_mark_does_not_end_the_order() {
        let newer = r#"{"format":9,"volumeId":"v","memberId":"a","claim":{"of":"a lease"},"place":["u",1,"demo-0"]}"#;
        assert_eq!(seen(newer), Disk::Wal);
    }

    #[test]
    fn a_database_without_a_wal_is_not_an_empty_volume() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mark.json"), MARK).unwrap();
        fs::create_dir_all(dir.path().join("data/member/snap")).unwrap();
        fs::write(dir.path().join("data/member/snap/db"), "pages").unwrap();
        assert_eq!(look(&Store::new(dir.path().to_owned()), &ordered()), Disk::Database);
    }

    #[test]
    fn a_volume_without_a_mark_is_another() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(&Store::new(dir.path().to_owned()), &ordered()), Disk::Other);
    }

    #[test]
    fn what_cannot_be_read_is_neither_data_nor_its_absence() {
        assert!(matches!(seen("{"), Disk::Unreadable(why) if why.contains("mark.json")));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mark.json"), MARK).unwrap();
        let store = Store::new(dir.path().to_owned());
        assert_eq!(look(&store, &ordered()), Disk::Empty);
        fs::create_dir_all(dir.path().join("data/member")).unwrap();
        // Not a folder: reading it fails, as it would on a failing disk.
        fs::write(dir.path().join("data/member/wal"), "").unwrap();
        assert!(matches!(look(&store, &ordered()), Disk::Unreadable(_)));
    }
}
