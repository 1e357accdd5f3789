//! Exits as etcd was seen to make them.

use super::*;

fn ended(code: Option<i32>, signal: Option<i32>, tail: &[&str]) -> Ended {
    Ended { code, signal, ordered: false, out_of_memory: false, tail: tail.iter().map(|s| (*s).into()).collect() }
}

#[test]
fn memory_is_told_from_a_kill() {
    let killed = ended(None, Some(9), &[]);
    assert_eq!(classify(&killed).class, Class::Killed);
    assert_eq!(classify(&Ended { out_of_memory: true, ..killed }).class, Class::OutOfMemory);
}

#[test]
fn a_refused_flag_is_named() {
    let verdict = classify(&ended(
        Some(1),
        None,
        &[
            r#"{"level":"warn","caller":"etcdmain/etcd.go:75","msg":"failed to verify flags","error":"flag provided but not defined: -bogus"}"#,
        ],
    ));
    assert_eq!(verdict.class, Class::WrongFlags);
    assert_eq!(verdict.line, "failed to verify flags: flag provided but not defined: -bogus");
}

/// As each of 3.5.21, 3.6.16 and 3.7.3 prints it.
#[test]
fn every_refusal_of_a_flag_is_told_as_one() {
    let usage = "Usage:\n\n  etcd [flags]\n    Start an etcd server.";
    for first in [
        "flag provided but not defined: -bogus",
        r#"invalid value "abc" for flag -heartbeat-interval: parse error"#,
        r#"invalid boolean value "maybe" for -pre-vote: parse error"#,
        "flag needs an argument: -heartbeat-interval",
        "bad flag syntax: --=3",
    ] {
        let tail: Vec<&str> = [first].into_iter().chain(usage.lines()).collect();
        let verdict = classify(&ended(Some(2), None, &tail));
        assert_eq!((verdict.class, verdict.line.as_str()), (Class::WrongFlags, first));
    }
    let later = ended(Some(1), None, &["invalid value in the store", "another line"]);
    assert_eq!(classify(&later).class, Class::Crashed, "a refused flag ends etcd with 2");
    let panics = [r#"panic: unrecognized level: "loud""#, "", "goroutine 1 [running]:"];
    assert_eq!(classify(&ended(Some(2), None, &panics)).class, Class::WrongFlags);
    let log = [
        r#"{"level":"info","ts":"2026-11-25T19:36:59.057484Z","caller":"etcdmain/etcd.go:73","msg":"Running: ","args":["etcd"]}"#,
        r#"{"level":"warn","ts":"2026-11-25T19:36:59.057516Z","caller":"etcdmain/etcd.go:75","msg":"failed to verify flags","error":"unknown auto-compaction-mode \"weird\""}"#,
    ];
    let verdict = classify(&ended(Some(1), None, &log));
    let line = r#"failed to verify flags: unknown auto-compaction-mode "weird""#;
    assert_eq!((verdict.class, verdict.line.as_str()), (Class::WrongFlags, line));
}

#[test]
fn a_flag_that_only_asks_for_help_or_the_version_does_not_mean_that_the_member_was_removed() {
    for first in ["etcd Version: 3.7.3", "Usage:", "    The end of a long help."] {
        assert_eq!(classify(&ended(Some(0), None, &[first, "  etcd [flags]"])).class, Class::WrongFlags, "{first}");
    }
}

#[test]
fn anybodys_invalid_argument_in_a_running_etcds_log_is_no_refused_flag() {
    let tail = [
        r#"{"level":"info","msg":"serving client traffic"}"#,
        r#"{"level":"warn","msg":"failed to set keepalive","error":"set tcp 10.0.0.1:2380: setsockopt: invalid argument"}"#,
        r#"{"level":"warn","msg":"request failed","error":"rpc error: code = InvalidArgument desc = invalid value for x"}"#,
        "invalid value \"x\" for flag -y: printed by somebody else",
        r#"{"level":"fatal","msg":"failed to purge wal file","error":"invalid argument"}"#,
    ];
    for code in [0, 1, 2] {
        let class = classify(&ended(Some(code), None, &tail)).class;
        assert_eq!(class, [Class::Removed, Class::Crashed, Class::Crashed][code as usize], "code {code}");
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_not_a_corrupt_one() {
    for system in ["input/output error", "permission denied", "read-only file system"] {
        for msg in ["failed to open database", "failed to read WAL, cannot be repaired"] {
            let line = format!(r#"{{"level":"panic","msg":"{msg}","error":"open data/member: {system}"}}"#);
            let panics = ended(Some(2), None, &[&line, &format!("panic: {msg}"), "goroutine 1 [running]:"]);
            assert_eq!(classify(&panics).class, Class::Crashed, "{line}");
        }
    }
    let heard = r#"{"level":"warn","msg":"failed to save a received snapshot","error":"snap: crc mismatch"}"#;
    let fatal = r#"{"level":"fatal","msg":"failed to purge wal file","error":"interrupted"}"#;
    assert_eq!(classify(&ended(Some(1), None, &[heard, fatal])).class, Class::Crashed, "it is another's");
    let taken = r#"{"level":"panic","msg":"failed to open database","error":"timeout"}"#;
    let panics = ended(Some(2), None, &[taken, "panic: failed to open database", "goroutine 1 [running]:"]);
    assert_eq!(classify(&panics).class, Class::Crashed, "another process has it open");
}

#[test]
fn a_corrupt_database_and_a_corrupt_wal_are_told_by_their_fatal_lines() {
    let cut = r#"{"level":"panic","ts":"2026-11-25T19:39:37.413020Z","caller":"backend/backend.go:201","msg":"failed to open database","path":"d/member/snap/db","error":"invalid database","stacktrace":"go.etcd.io/etcd/server/v3/mvcc/backend.newBac"#;
    let verdict = classify(&ended(Some(2), None, &[cut, "panic: failed to open database", "goroutine 1 [running]:"]));
    let line = "failed to open database: invalid database";
    assert_eq!((verdict.class, verdict.line.as_str()), (Class::CorruptDatabase, line), "also of a line that was cut");
    let crc = r#"{"level":"fatal","caller":"etcdmain/etcd.go:204","msg":"discovery failed","error":"walpb: crc mismatch","stacktrace":"go.etcd.io"}"#;
    let verdict = classify(&ended(Some(1), None, &[crc]));
    assert_eq!((verdict.class, verdict.line.as_str()), (Class::CorruptWal, "discovery failed: walpb: crc mismatch"));
}

#[test]
fn a_full_disk_wins_over_the_panic_that_follows_it() {
    let tail = [
        "write /var/lib/etcd/data/member/wal/1.tmp: no space left on device",
        "panic: failed",
        "goroutine 1 [running]:",
    ];
    assert_eq!(classify(&ended(Some(2), None, &tail)).class, Class::DiskFull);
}

#[test]
fn a_panic_is_no_flag_error() {
    let verdict = classify(&ended(Some(2), None, &["panic: index out of bounds", "goroutine 1 [running]:"]));
    assert_eq!((verdict.class, verdict.line.as_str()), (Class::Crashed, "panic: index out of bounds"));
}

#[test]
fn zero_without_an_order_means_removed() {
    assert_eq!(classify(&ended(Some(0), None, &[])).class, Class::Removed);
    assert_eq!(classify(&Ended { ordered: true, ..ended(Some(0), None, &[]) }).class, Class::Stopped);
}
