//! What is found on a volume, and what a crash or a stranger leaves of it.

use super::*;
use crate::volume::mark::Identity;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    (dir, store)
}

fn mark() -> Mark {
    let identity = Identity {
        cluster_uid: "u".into(),
        incarnation: 1,
        member: "demo-0".into(),
        volume_id: "v".into(),
        claim: 0,
        member_id: None,
    };
    Mark::new(identity)
}

/// A volume with a whole data directory, or none.
fn marked(mark: Mark, lived: bool, data: bool) -> Volume {
    Volume::Marked(Marked { mark, lived, wal: data, remains: data })
}

fn put_db(store: &Store) {
    let snap = store.data_dir().join("member/snap");
    fs::create_dir_all(&snap).unwrap();
    fs::write(snap.join("db"), b"pages").unwrap();
}

fn put_wal(store: &Store) {
    let wal = store.data_dir().join("member/wal");
    fs::create_dir_all(&wal).unwrap();
    fs::write(wal.join("0000000000000000-0000000000000000.wal"), b"").unwrap();
}

#[test]
fn a_file_systems_own_folder_is_not_data() {
    let (dir, store) = store();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fs::create_dir_all(store.data_dir().join("member/snap")).unwrap();
    fs::create_dir_all(store.data_dir().join("lost+found")).unwrap();
    fs::write(store.data_dir().join("lost+found/#12"), "").unwrap();
    assert_eq!(store.look(), Volume::Blank);
    store.write_mark(&mark()).unwrap();
    assert_eq!(store.look(), marked(mark(), false, false));
    assert_eq!(store.set_aside(1).unwrap(), None);
}

#[test]
fn a_database_without_a_wal_is_seen_and_set_aside() {
    let (dir, store) = store();
    put_db(&store);
    assert_eq!(store.look(), Volume::Unmarked);
    store.write_mark(&mark()).unwrap();
    let left = Marked { mark: mark(), lived: false, wal: false, remains: true };
    assert_eq!((store.look(), store.has_db().unwrap()), (Volume::Marked(left), true));
    assert_eq!(store.set_aside(1).unwrap().as_deref(), Some("aside-1-1"));
    assert!(dir.path().join("aside-1-1/member/snap/db").exists(), "nothing is deleted");
    assert_eq!((store.look(), store.has_db().unwrap()), (marked(mark(), false, false), false));
}

/// The look is held up where it reads `lived`, and etcd makes its WAL meanwhile.
#[test]
fn a_first_start_during_the_look_is_not_taken_for_lost_data() {
    let (dir, store) = store();
    store.write_mark(&mark()).unwrap();
    let lived = dir.path().join("lived");
    nix::unistd::mkfifo(&lived, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let looking = std::thread::spawn({
        let store = store.clone();
        move || store.look()
    });
    // Opens when the look has come to it.
    let mut recorded = File::options().write(true).open(&lived).unwrap();
    put_wal(&store);
    recorded.write_all(b"v\n").unwrap();
    drop(recorded);
    assert_eq!(looking.join().unwrap(), marked(mark(), true, true));
}

#[test]
fn a_snapshot_that_is_being_received_grows() {
    let (_dir, store) = store();
    assert_eq!(store.snapshot_bytes().unwrap(), 0);
    let snap = store.data_dir().join("member/snap");
    fs::create_dir_all(&snap).unwrap();
    fs::write(snap.join("db"), b"abc").unwrap();
    fs::write(snap.join("tmp123"), b"de").unwrap();
    assert_eq!(store.snapshot_bytes().unwrap(), 5);
}

#[test]
fn data_without_a_mark_is_somebody_elses() {
    let (_dir, store) = store();
    put_wal(&store);
    assert_eq!(store.look(), Volume::Unmarked);
}

#[test]
fn what_is_written_is_read_back() {
    let (_dir, store) = store();
    store.write_mark(&mark()).unwrap();
    assert_eq!(store.look(), marked(mark(), false, false));
    put_wal(&store);
    store.set_lived("v").unwrap();
    store.set_lived("v").unwrap();
    assert_eq!(store.look(), marked(mark(), true, true));
}

#[test]
fn data_that_is_set_aside_is_kept_and_a_new_volume_id_has_not_lived() {
    let (dir, store) = store();
    store.write_mark(&mark()).unwrap();
    for (incarnation, name) in [(1, "aside-1-1"), (1, "aside-1-2"), (2, "aside-2-1")] {
        put_wal(&store);
        store.set_lived("v").unwrap();
        assert_eq!(store.set_aside(incarnation).unwrap().as_deref(), Some(name));
        assert!(dir.path().join(name).join("member/wal").exists());
    }
    assert_eq!(store.look(), marked(mark(), true, false));
    assert_eq!(store.set_aside(1).unwrap(), None, "there is nothing left to rename");
    assert_eq!(store.clear_asides(1).unwrap().len(), 2);
    assert!(dir.path().join("aside-2-1").exists(), "another incarnation's data is a person's to delete");
    let mut fresh = mark();
    fresh.identity.volume_id = "w".into();
    store.write_mark(&fresh).unwrap();
    assert_eq!(store.look(), marked(fresh, false, false));
}

#[test]
fn a_mark_that_is_written_again_keeps_what_a_newer_agent_wrote_on_it() {
    let (dir, store) = store();
    let text = r#"{"format":1,"clusterUid":"u","incarnation":1,"member":"demo-0","volumeId":"v","claim":0,
        "memberId":null,"counter":3,"restored":{"from":"s3","at":[1,2]},"tier":null}"#;
    fs::write(dir.path().join("mark.json"), text).unwrap();
    let read = store.read_mark().unwrap().unwrap();
    store.write_mark(&Mark { counter: 4, voted: true, ..read }).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&store.mark_text().unwrap().unwrap()).unwrap();
    assert_eq!((&written["counter"], &written["voted"]), (&4.into(), &true.into()));
    assert_eq!(written["restored"], serde_json::json!({"from": "s3", "at": [1, 2]}));
    assert!(written.as_object().unwrap().contains_key("tier"));
}

#[test]
fn a_wal_that_cannot_be_looked_for_is_unreadable_not_lost() {
    let (_dir, store) = store();
    store.write_mark(&mark()).unwrap();
    store.set_lived("v").unwrap();
    fs::create_dir_all(store.data_dir().join("member")).unwrap();
    fs::write(store.data_dir().join("member/wal"), "no folder").unwrap();
    assert!(matches!(store.look(), Volume::Unreadable(_)));
}

#[test]
fn a_torn_or_newer_mark_is_unreadable_not_absent() {
    let (dir, store) = store();
    fs::write(dir.path().join("mark.json"), b"{\"format\":1,").unwrap();
    assert!(matches!(store.look(), Volume::Unreadable(_)));
    store.write_mark(&Mark { format: FORMAT + 1, ..mark() }).unwrap();
    assert!(matches!(store.look(), Volume::Unreadable(_)));
}
