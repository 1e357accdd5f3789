//! What the etcdutl of each release makes of a snapshot, with the arguments of the agent: a data directory under the
//! very IDs that its founder would have given itself, on which the etcd of that release starts with all keys.
//!
//! Runs with every release that the machine has built (`make test` builds them), and with none where there is none.

#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use etcd_agent::{
    etcd::flags::{Tls, Whose, restore},
    volume::{Store, restore::Owner},
};
use etcd_operator_shared::{ids, names::Scheme, names::peer_url};
use ring::digest::{SHA256, digest};

const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "ns/demo/uid/1";

/// Folders with `etcd`, `etcdctl` and `etcdutl` of one release.
fn releases() -> Vec<PathBuf> {
    let cache = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/etcd-operator"));
    let entries = cache.and_then(|cache| fs::read_dir(cache).ok()).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.join("etcdutl").exists());
    folders.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("etcd-v3."))).collect()
}

/// A port that is free on loopback.
fn port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// An etcd that ends with its owner.
struct Etcd {
    child: Child,
    client: String,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Etcd {
    fn start(release: &Path, data: &Path, further: &[String]) -> Self {
        let (client, peer) = (format!("http://127.0.0.1:{}", port()), format!("http://127.0.0.1:{}", port()));
        let own = [
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
        ];
        let mut etcd = Command::new(release.join("etcd"));
        etcd.args(own).args(further).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: etcd.spawn().unwrap(), client }
    }

    /// What etcdctl says, once it succeeds.
    fn ctl(&self, release: &Path, words: &[&str]) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let asked = Command::new(release.join("etcdctl")).arg("--endpoints").arg(&self.client).args(words).output();
            let said = asked.unwrap();
            if said.status.success() {
                return String::from_utf8(said.stdout).unwrap();
            }
            assert!(Instant::now() < until, "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_snapshot_becomes_the_data_of_its_founder_under_the_ids_of_a_first_start() {
    for release in releases() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = dir.path().join("snapshot.db");
        {
            let etcd = Etcd::start(&release, &dir.path().join("first"), &["--name=somebody".into()]);
            etcd.ctl(&release, &["put", "key", "value"]);
            etcd.ctl(&release, &["snapshot", "save", &snapshot.display().to_string()]);
        }
        for bump in [0, 1_000_000_000] {
            restores(&release, &dir.path().join(format!("volume-{bump}")), &snapshot, bump);
        }
    }
}

fn restores(release: &Path, volume: &Path, snapshot: &Path, bump: u64) {
    fs::create_dir(volume).unwrap();
    let (store, members) = (Store::new(volume.to_owned()), ["demo-0".to_owned()]);
    let bytes = fs::read(snapshot).unwrap();
    store.begin_restore(bytes.len() as u64).unwrap();
    fs::write(store.snapshot_path(), &bytes).unwrap();
    let whose = Whose {
        namespace: "ns",
        cluster: "demo",
        member: "demo-0",
        version: "v3.6.16".parse().unwrap(),
        data_dir: &store.restored_dir(),
        listen: "127.0.0.1",
        tls: Tls::default(),
    };
    let args = restore(&whose, &store.snapshot_path(), &members, TOKEN, bump);
    // As the launcher starts it: without anything of the environment.
    let made = Command::new(release.join("etcdutl")).args(args).env_clear().output().unwrap();
    assert!(made.status.success(), "{}: {}", release.display(), String::from_utf8_lossy(&made.stderr));
    let url = peer_url(Scheme::of(false), "demo-0", "demo", "ns");
    let owner = Owner { member_id: ids::initial_member(&url, TOKEN), cluster_id: ids::cluster([url.as_str()], TOKEN) };
    store.seal_restored(&owner).unwrap();
    store.place_restored().unwrap();
    store.clear_restore().unwrap();
    assert!(store.has_wal().unwrap() && store.has_db().unwrap());
    assert_eq!(store.log().unwrap(), etcd_agent::volume::log::Log::Plain, "any newer etcd may start on it");

    let etcd =
        Etcd::start(release, &store.data_dir(), &["--name=demo-0".into(), "--initial-cluster-state=existing".into()]);
    assert_eq!(etcd.ctl(release, &["get", "key", "--print-value-only"]).trim(), "value");
    let said: serde_json::Value = serde_json::from_str(&etcd.ctl(release, &["get", "key", "-w", "json"])).unwrap();
    let revision = said["header"]["revision"].as_u64().unwrap();
    // Whoever has seen a revision before sees none of it again with other content, and is told so.
    assert!(revision > bump, "revision {revision}");
    let old =
        Command::new(release.join("etcdctl")).args(["--endpoints", &etcd.client, "get", "key", "--rev=2"]).output();
    let old = old.unwrap();
    assert_eq!(old.status.success(), bump == 0, "{}", String::from_utf8_lossy(&old.stderr));
    let members = etcd.ctl(release, &["member", "list"]);
    assert!(members.starts_with(&format!("{}, ", owner.member_id)) && members.contains(&url), "{members}");
}

#[test]
fn a_snapshot_that_is_torn_or_changed_is_refused_with_the_reason() {
    for release in releases() {
        let dir = tempfile::tempdir().unwrap();
        let (file, data) = (dir.path().join("s.db"), dir.path().join("data"));
        let pages = vec![0; 8192];
        fs::write(&file, [pages.as_slice(), digest(&SHA256, b"other").as_ref()].concat()).unwrap();
        let args = ["snapshot", "restore", &file.display().to_string(), "--data-dir", &data.display().to_string()];
        let said = Command::new(release.join("etcdutl")).args(args).env_clear().output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
        assert!(!said.status.success() && text.lines().any(|line| line.starts_with("Error: ")), "{text}");
    }
}
