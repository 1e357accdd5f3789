//! Logs with checksums, as etcd writes them, and as crashes and disks leave them.

use std::fs;

use super::*;

/// Writes segments as etcd does.
struct Writer {
    checksum: u32,
    bytes: Vec<u8>,
}

impl Writer {
    /// A segment behind one with this checksum.
    fn behind(checksum: u32) -> Self {
        let mut writer = Self { checksum, bytes: vec![] };
        writer.frame(CHECKSUM, &[]);
        writer
    }

    fn frame(&mut self, kind: u64, data: &[u8]) {
        if kind != CHECKSUM {
            self.checksum = crc32c::crc32c_append(self.checksum, data);
        }
        let mut record = message(&[(1, kind), (2, self.checksum.into())]);
        if !data.is_empty() {
            record.push(3 << 3 | 2);
            varint(data.len() as u64, &mut record);
            record.extend(data);
        }
        let padding = record.len().next_multiple_of(8) - record.len();
        let tag = if padding == 0 { 0 } else { (0x80 | padding as u64) << 56 };
        self.bytes.extend((record.len() as u64 | tag).to_le_bytes());
        record.resize(record.len() + padding, 0);
        self.bytes.extend(record);
    }

    fn entry(mut self, term: u64, index: u64) -> Self {
        let mut entry = message(&[(1, 0), (2, term), (3, index)]);
        entry.extend([4 << 3 | 2, 3, b'a', b'b', b'c']);
        self.frame(ENTRY, &entry);
        self
    }

    fn state(mut self, term: u64, vote: u64, commit: u64) -> Self {
        self.frame(STATE, &message(&[(1, term), (2, vote), (3, commit)]));
        self
    }

    fn snapshot(mut self, index: u64, term: u64) -> Self {
        self.frame(SNAPSHOT, &message(&[(1, index), (2, term)]));
        self
    }
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn of(segments: &[&[u8]]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("member/wal")).unwrap();
        for (number, bytes) in segments.iter().enumerate() {
            let mut whole = bytes.to_vec();
            whole.resize(whole.len() + 4096, 0);
            fs::write(dir.path().join(format!("member/wal/{number:016x}-{number:016x}.wal")), whole).unwrap();
        }
        Self(dir)
    }

    fn end(&self) -> io::Result<End> {
        end(self.0.path())
    }
}

fn told(end: &End) -> (u64, u64, u64, bool) {
    (end.term, end.index, end.commit, end.torn)
}

#[test]
fn the_last_entry_counts_also_where_it_replaces_others() {
    let one = Writer::behind(0).entry(1, 1).entry(1, 2).entry(1, 3).state(1, 7, 2);
    let two = Writer::behind(one.checksum).entry(2, 2).state(3, 0, 2);
    let scene = Scene::of(&[&one.bytes, &two.bytes]);
    assert_eq!(told(&scene.end().unwrap()), (2, 2, 2, false));
}

#[test]
fn a_snapshot_that_was_received_is_further_on_than_what_was_before() {
    let log = Writer::behind(0).entry(1, 1).snapshot(900, 4);
    assert_eq!(told(&Scene::of(&[&log.bytes]).end().unwrap()), (4, 900, 0, false));
}

#[test]
fn a_log_whose_first_segments_are_gone_is_read_from_where_it_begins() {
    let later = Writer::behind(0xdead_beef).entry(5, 100).state(5, 1, 99);
    assert_eq!(told(&Scene::of(&[&later.bytes]).end().unwrap()), (5, 100, 99, false));
}

#[test]
fn once_told_that_all_is_a_quorums_the_log_says_so_and_has_lost_nothing() {
    let log = Writer::behind(0).entry(3, 10).state(4, 0xabc, 8).entry(3, 11).entry(3, 12);
    let scene = Scene::of(&[&log.bytes]);
    let before = scene.end().unwrap();
    assert_eq!(told(&before), (3, 12, 8, false));
    before.make_all_committed().unwrap();
    let after = scene.end().unwrap();
    assert_eq!(told(&after), (3, 12, 12, false));
    assert_eq!(after.state, (4, 0xabc), "its vote is kept");
    let size = fs::metadata(&after.segment).unwrap().len();
    assert_eq!(size, log.bytes.len() as u64 + 4096, "and the file is as long as etcd made it");
    after.make_all_committed().unwrap();
    assert_eq!(told(&scene.end().unwrap()), (3, 12, 12, false), "twice is as good as once");
}

#[test]
fn what_a_crash_has_cut_short_is_said_and_cut_off() {
    let whole = Writer::behind(0).entry(1, 1).entry(1, 2);
    let kept = whole.bytes.len();
    let longer = Writer { checksum: whole.checksum, bytes: whole.bytes.clone() }.entry(1, 3);
    for cut in [kept + 9, longer.bytes.len() - 9] {
        let scene = Scene::of(&[&longer.bytes[..cut]]);
        let found = scene.end().unwrap();
        assert_eq!(told(&found), (1, 2, 0, true), "cut at {cut}");
        found.make_all_committed().unwrap();
        assert_eq!(told(&scene.end().unwrap()), (1, 2, 2, false));
    }
}

#[test]
fn a_byte_that_a_disk_has_changed_is_never_taken_for_data() {
    let one = Writer::behind(0).entry(1, 1).entry(1, 2);
    let two = Writer::behind(one.checksum).entry(1, 3).entry(1, 4).state(1, 1, 3);
    let mut found = 0;
    for at in 0..one.bytes.len() {
        let mut bytes = one.bytes.clone();
        bytes[at] ^= 0x10;
        match Scene::of(&[&bytes, &two.bytes]).end() {
            Err(_) => found += 1,
            // What stands between records is nobody's data.
            Ok(end) => assert_eq!(told(&end), (1, 4, 3, false), "byte {at} of the first segment"),
        }
    }
    assert!(found * 2 > one.bytes.len(), "found {found} of {}", one.bytes.len());
    let mut read = 0;
    for at in 0..two.bytes.len() {
        let mut bytes = two.bytes.clone();
        bytes[at] ^= 0x10;
        if let Ok(found) = Scene::of(&[&one.bytes, &bytes]).end() {
            assert!((2..=4).contains(&found.index) && found.commit <= 3, "byte {at}: {found:?}");
            read += 1;
        }
    }
    assert!(read > 0, "damage at the end is a log that ends there");
}
