use super::*;
use crate::backup::manifests::tests::manifest;
use std::os::unix::fs::PermissionsExt;

/// What is found where the image's programs do this.
fn found(taken: &str, etcdutl: &str, etcd: &str) -> Failure {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let program = |name: &str, body: &str| {
        let file = dir.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("etcd", &format!("[ $# = 1 ] && {{ echo 'etcd Version: 3.6.16'; exit; }}\n{etcd}"));
    program("etcdutl", etcdutl);
    let scene = Scene {
        snapshot: &dir.path().join("snapshot.db"),
        folder: &dir.path().join("proof"),
        namespace: "ns",
        cluster: "demo",
        programs: Some(dir.path().as_os_str()),
    };
    let manifest = Manifest { version: taken.into(), ..manifest(1, 1, "once-a") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let compared = async |version| compare(scene, version, &manifest).await;
    version(scene, &manifest).and_then(|version| runtime.block_on(compared(version))).unwrap_err()
}

fn judged(taken: &str, etcdutl: &str, etcd: &str) -> (u8, &'static str) {
    let failure = found(taken, etcdutl, etcd);
    (failure.code(), failure.reason())
}

#[test]
fn what_etcds_own_tool_refuses_is_bad_and_what_ends_the_tool_says_nothing() {
    let refused = found("v3.6.16", "echo 'Error: expected sha256 [1], got [2]' >&2; exit 1", "");
    assert_eq!((refused.code(), refused.reason()), (5, "NotRestorable"));
    assert!(refused.to_string().ends_with("expected sha256 [1], got [2]"), "{refused}");
    assert_eq!(judged("v3.6.16", "echo 'write: no space left on device' >&2; exit 1", ""), (7, "NoRoom"));
    assert_eq!(judged("v3.6.16", "kill -9 $$", ""), (1, "EtcdNotStarted"));
}

#[test]
fn an_etcd_that_ends_says_nothing_unless_it_says_that_its_database_is_corrupt() {
    assert_eq!(judged("v3.6.16", "exit 0", "exit 7"), (1, "EtcdNotStarted"));
    let words = r#"{"level":"panic","msg":"failed to open database","error":"invalid database"}"#;
    let corrupt = found("v3.6.16", "exit 0", &format!("echo '{words}' >&2; exit 2"));
    assert_eq!((corrupt.code(), corrupt.reason()), (5, "CorruptDatabase"));
    assert!(corrupt.to_string().ends_with("failed to open database: invalid database"), "{corrupt}");
}

#[test]
fn a_backup_of_a_newer_etcd_waits_for_a_newer_image() {
    assert_eq!(judged("v3.7.3", "exit 0", "exit 7"), (1, "OlderEtcd"));
    assert_eq!(judged("v3.5.21", "exit 0", "exit 7"), (1, "EtcdNotStarted"), "an older one is opened");
}
