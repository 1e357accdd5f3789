use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    (dir, store)
}

fn owner() -> Owner {
    Owner { member_id: "8e9e05c52164694d".into(), cluster_id: "cdf818194e3a8c32".into() }
}

/// What etcdutl makes, as far as it is looked at: a log that begins with whose it is, and a database.
fn make(store: &Store) {
    let made = store.restored_dir();
    fs::create_dir_all(made.join("member/wal")).unwrap();
    fs::create_dir_all(made.join("member/snap")).unwrap();
    fs::write(made.join("member/snap/db"), "pages").unwrap();
    fs::write(made.join("member/wal/0-0.wal"), log::tests::first_segment(0x8e9e_05c5_2164_694d, 0xcdf8_1819_4e3a_8c32))
        .unwrap();
}

#[test]
fn what_was_sealed_becomes_the_data_directory_and_is_a_log_without_a_life() {
    let (_dir, store) = store();
    store.begin_restore(5).unwrap();
    make(&store);
    assert!(!store.has_wal().unwrap(), "nothing counts before the rename");
    store.seal_restored(&owner()).unwrap();
    // What a start that did not get far leaves.
    fs::create_dir_all(store.data_dir().join("member/snap")).unwrap();
    store.place_restored().unwrap();
    assert!(store.has_wal().unwrap() && store.has_db().unwrap() && !store.lived("v").unwrap());
    store.clear_restore().unwrap();
    assert!(store.has_wal().unwrap());
}

#[test]
fn nothing_is_put_over_data() {
    let (_dir, store) = store();
    store.begin_restore(5).unwrap();
    make(&store);
    fs::create_dir_all(store.data_dir().join("member/snap")).unwrap();
    fs::write(store.data_dir().join("member/snap/db"), "somebody's").unwrap();
    assert_eq!(store.place_restored().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(store.data_dir().join("member/snap/db")).unwrap(), b"somebody's");
}

#[test]
fn anothers_data_and_half_a_directory_are_not_sealed() {
    let (_dir, store) = store();
    store.begin_restore(5).unwrap();
    assert!(store.seal_restored(&owner()).is_err(), "there is none");
    make(&store);
    for other in [Owner { member_id: "1".into(), ..owner() }, Owner { cluster_id: "1".into(), ..owner() }] {
        assert!(store.seal_restored(&other).is_err());
    }
    fs::remove_file(store.restored_dir().join("member/snap/db")).unwrap();
    assert!(store.seal_restored(&owner()).unwrap_err().to_string().contains("no database"));
}

#[test]
fn too_little_room_is_said_with_how_much_is_missing_and_what_a_crash_left_is_thrown_away_first() {
    let (_dir, store) = store();
    store.begin_restore(5).unwrap();
    make(&store);
    let error = store.begin_restore(u64::MAX / 4).unwrap_err();
    assert!(error.kind() == ErrorKind::StorageFull && error.to_string().contains("lacks"), "{error}");
    assert!(!store.restored_dir().exists());
    store.begin_restore(5).unwrap();
    assert!(!store.snapshot_path().exists() && store.restored_dir().parent().unwrap().exists());
}
