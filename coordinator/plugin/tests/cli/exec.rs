//! What comes through pods/exec: a snapshot is in its file when it is whole and right, and in no file else.

use std::fs;

use ring::digest::{SHA256, digest};

use crate::{code, kubectl_etcd, server::Server, text, viewer};

const OUT: u8 = 1;
const ERR: u8 = 2;
const STATUS: u8 = 3;

/// Something that passes for a snapshot.
fn snapshot() -> Vec<u8> {
    let mut all: Vec<u8> = (0..3 << 20).map(|k: u32| (k % 251) as u8).collect();
    let trailer = digest(&SHA256, &all);
    all.extend_from_slice(trailer.as_ref());
    all
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an agent sends that saves these bytes and ends like this.
fn sends(bytes: &[u8], told: &str, status: &str) -> Server {
    let server = viewer("True");
    let mut pieces = vec![(OUT, vec![]), (ERR, b"0.0 MiB\n".to_vec())];
    pieces.extend(bytes.chunks(100_000).map(|piece| (OUT, piece.to_vec())));
    pieces.push((ERR, format!("{told}\n").into_bytes()));
    pieces.push((STATUS, status.as_bytes().to_vec()));
    server.prints(pieces);
    server
}

const GOOD: &str = r#"{"metadata":{},"status":"Success"}"#;
const BAD: &str = r#"{"metadata":{},"status":"Failure","message":"command terminated with exit code 1"}"#;

/// Saves over a file that is there: exit code, what was said, and what the folder holds then.
fn saved(server: &Server) -> (Option<i32>, String, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("etcd.db");
    fs::write(&file, "former").expect("it can be written");
    let output = kubectl_etcd(server, &["snapshot", "save", "demo", file.to_str().expect("letters")]);
    let there = fs::read_dir(folder.path()).expect("it can be read");
    let files = there.map(|entry| fs::read(entry.expect("an entry").path()).expect("it can be read"));
    (code(&output), text(&output.stdout) + &text(&output.stderr), files.collect())
}

#[test]
fn a_snapshot_that_is_whole_takes_the_place_of_the_former() {
    let all = snapshot();
    let digest = sha256(&all);
    let server = sends(&all, &format!("saved {} bytes, SHA-256 {digest}", all.len()), GOOD);
    let (code, said, files) = saved(&server);
    assert_eq!((code, files), (Some(0), vec![all]), "{said}");
    assert!(said.contains(&digest), "{said}");
    let exec = server.asked().into_iter().find(|asked| asked.contains("/exec?")).expect("a command was run");
    for part in ["/pods/demo-0/exec?", "container=agent", "command=snapshot&command=save&command=-"] {
        assert!(exec.contains(part), "{exec}");
    }
}

#[test]
fn one_that_is_not_leaves_the_former_and_says_why() {
    let all = snapshot();
    let told = format!("saved {} bytes, SHA-256 {}", all.len(), sha256(&all));
    let mut other = all.clone();
    other[5] ^= 1;
    let cases = [
        (sends(&all[..all.len() - 100], &told, GOOD), "was cut off on its way"),
        (sends(&other, &told, GOOD), "is not what etcd sent"),
        (sends(&all, "saved 7 bytes, SHA-256 ab", GOOD), "bytes came of the 7"),
        (
            sends(&[], "etcd-agent: etcd does not answer", BAD),
            "demo-0 could not save it: etcd-agent: etcd does not answer",
        ),
    ];
    for (server, why) in cases {
        let (code, said, files) = saved(&server);
        assert_eq!((code, files), (Some(1), vec![b"former".to_vec()]), "{said}");
        assert!(said.contains(why), "{why} is not in: {said}");
    }
}

#[test]
fn databases_are_compacted_and_defragmented_by_the_agents_verbs() {
    let server = viewer("True");
    server.prints(vec![(OUT, b"demo-0 is small\n".to_vec()), (STATUS, GOOD.as_bytes().to_vec())]);
    for (words, command) in [
        (vec!["defrag", "demo"], "command=%2Fetcd-agent&command=defrag"),
        (vec!["compact", "demo", "--keep", "7"], "command=%2Fetcd-agent&command=compact&command=--keep&command=7"),
    ] {
        let output = kubectl_etcd(&server, &words);
        assert_eq!((code(&output), text(&output.stdout)), (Some(0), "demo-0 is small\n".to_owned()), "{words:?}");
        assert!(server.asked().iter().any(|asked| asked.contains(command)), "{:?}", server.asked());
    }
    server.prints(vec![(ERR, b"etcd-agent: not now\n".to_vec()), (STATUS, BAD.as_bytes().to_vec())]);
    let output = kubectl_etcd(&server, &["defrag", "demo"]);
    assert_eq!((code(&output), text(&output.stderr).contains("demo-0: etcd-agent: not now")), (Some(1), true));
}

#[test]
fn who_may_run_no_commands_is_told_so_in_the_api_servers_words() {
    let (code, said, files) = saved(&viewer("True"));
    assert_eq!((code, files), (Some(6), vec![b"former".to_vec()]), "{said}");
    assert!(said.contains("refused: forbidden: no right"), "{said}");
}
