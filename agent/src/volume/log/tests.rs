//! Logs as each version of etcd writes them, and as a crash leaves them.

use super::*;

/// A message of such fields.
fn message(fields: &[(u8, Field)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, field) in fields {
        match field {
            Field::Number(number) => {
                bytes.push(name << 3);
                varint_of(*number, &mut bytes);
            }
            Field::Bytes(data) => {
                bytes.push(name << 3 | 2);
                varint_of(data.len() as u64, &mut bytes);
                bytes.extend(data);
            }
        }
    }
    bytes
}

enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint_of(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn framed(kind: u64, data: Vec<u8>) -> Vec<u8> {
    let record = message(&[(1, Field::Number(kind)), (2, Field::Number(7)), (3, Field::Bytes(data))]);
    let padding = (8 - record.len() % 8) % 8;
    let tag = if padding == 0 { 0 } else { (0x80 | padding as u64) << 56 };
    let mut bytes = (record.len() as u64 | tag).to_le_bytes().to_vec();
    bytes.extend(record);
    bytes.extend(vec![0; padding]);
    bytes
}

/// How a log begins: a checksum, and whose it is.
pub fn first_segment(member: u64, cluster: u64) -> Vec<u8> {
    let metadata = message(&[(1, Field::Number(member)), (2, Field::Number(cluster))]);
    [framed(4, vec![]), framed(1, metadata)].concat()
}

fn entry(index: u64, request: Vec<u8>) -> Vec<u8> {
    framed(
        2,
        message(&[(1, Field::Number(0)), (2, Field::Number(2)), (3, Field::Number(index)), (4, Field::Bytes(request))]),
    )
}

/// What 3.5 writes when a member is there.
fn old(index: u64) -> Vec<u8> {
    let path = b"/0/members/8e9e05c52164694d/attributes".to_vec();
    entry(index, message(&[(1, Field::Number(9)), (2, Field::Bytes(b"PUT".to_vec())), (3, Field::Bytes(path))]))
}

/// What all of them write: a put.
fn new(index: u64) -> Vec<u8> {
    let header = [0xa2, 0x06, 2, 8, 9].to_vec();
    let mut request = header;
    request.extend(message(&[(4, Field::Bytes(b"\x0a\x01k".to_vec()))]));
    entry(index, request)
}

fn commit(index: u64) -> Vec<u8> {
    framed(3, message(&[(1, Field::Number(2)), (2, Field::Number(1)), (3, Field::Number(index))]))
}

fn snapshot(index: u64) -> Vec<u8> {
    framed(5, message(&[(1, Field::Number(index)), (2, Field::Number(2))]))
}

/// A volume with these segments, and files of snapshots with these indices.
fn log(segments: &[Vec<Vec<u8>>], files: &[u64]) -> io::Result<Log> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    for folder in ["wal", "snap"] {
        fs::create_dir_all(dir.path().join("data/member").join(folder)).unwrap();
    }
    for (k, records) in segments.iter().enumerate() {
        fs::write(dir.path().join(format!("data/member/wal/{k:016x}-0000000000000000.wal")), records.concat()).unwrap();
    }
    for index in files {
        fs::write(dir.path().join(format!("data/member/snap/{:016x}-{index:016x}.snap", 2)), "x").unwrap();
    }
    fs::write(dir.path().join("data/member/snap/db"), "x").unwrap();
    assert_eq!(store.newest_snapshot().unwrap(), files.iter().copied().max().unwrap_or(0));
    store.log()
}

#[test]
fn what_3_5_wrote_is_found_until_a_snapshot_covers_it() {
    let start = || vec![snapshot(0), old(3), new(4), old(5), new(6), commit(6)];
    assert_eq!(log(&[start()], &[]).unwrap(), Log::Old { index: 5 });
    let mut after = start();
    after.extend([new(7), snapshot(5), commit(7)]);
    assert_eq!(log(&[after.clone()], &[5]).unwrap(), Log::Plain);
    assert_eq!(log(&[after], &[]).unwrap(), Log::Old { index: 5 }, "its file is gone");
    let early = [start(), vec![snapshot(4), commit(6)]].concat();
    assert_eq!(log(&[early], &[4]).unwrap(), Log::Old { index: 5 }, "an older one");
    assert_eq!(log(&[start()], &[6]).unwrap(), Log::Old { index: 5 }, "one that the log does not name");
}

#[test]
fn a_snapshot_beyond_what_is_committed_does_not_count() {
    assert_eq!(log(&[vec![old(3), new(4), commit(3), snapshot(4)]], &[4]).unwrap(), Log::Old { index: 3 });
}

#[test]
fn a_log_of_3_6_is_plain_and_so_is_none() {
    assert_eq!(log(&[vec![snapshot(0), new(1), new(2), entry(3, vec![]), commit(3)]], &[]).unwrap(), Log::Plain);
    assert_eq!(log(&[], &[]).unwrap(), Log::Plain);
}

#[test]
fn an_entry_that_was_written_over_is_not_there() {
    assert_eq!(log(&[vec![new(1), old(2), new(2), commit(2)]], &[]).unwrap(), Log::Plain);
    assert_eq!(log(&[vec![old(1), old(2), new(2), commit(2)]], &[]).unwrap(), Log::Old { index: 1 });
}

#[test]
fn preallocated_room_and_a_torn_end_are_ends_and_damage_elsewhere_is_told() {
    let zeros = vec![0; 4096];
    let first = vec![old(1), zeros.clone()];
    assert_eq!(log(&[first.clone(), vec![new(2), commit(2), zeros]], &[]).unwrap(), Log::Old { index: 1 });
    let mut torn = old(3);
    torn.truncate(torn.len() - 9);
    assert_eq!(log(&[vec![new(1), torn.clone()]], &[]).unwrap(), Log::Plain);
    assert!(log(&[vec![new(1), torn], vec![new(2)]], &[]).is_err());
    let noise = framed(2, vec![0xff; 9]);
    assert!(log(&[vec![noise], first], &[]).is_err());
}
