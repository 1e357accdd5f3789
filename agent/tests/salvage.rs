//! What is left of three members that are killed while they write: all that a volume which is left has acknowledged is in
//! what an etcd of each release makes of it alone, once its log was told that all of it is a quorum's.
//!
//! Runs with every release that the machine has built (`make test` builds them), and with none where there is none.

#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use etcd_agent::volume::log::end::{End, end};

const PATIENCE: Duration = Duration::from_secs(30);
/// How much is written.
const WRITES: usize = 30;

/// Folders with `etcd` and `etcdctl` of one release.
fn releases() -> Vec<PathBuf> {
    let cache = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/etcd-operator"));
    let entries = cache.and_then(|cache| fs::read_dir(cache).ok()).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.join("etcdctl").exists());
    folders.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("etcd-v3."))).collect()
}

/// Ports that are free on loopback.
fn ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    held.iter().map(|one| one.local_addr().unwrap().port()).collect()
}

/// An etcd that ends with its owner.
struct Etcd {
    child: Child,
    client: String,
    data: PathBuf,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Etcd {
    fn start(release: &Path, data: &Path, (client, peer): (u16, u16), further: &[String]) -> Self {
        let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let own = [
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
        ];
        let mut etcd = Command::new(release.join("etcd"));
        etcd.args(own).args(further).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: etcd.spawn().unwrap(), client, data: data.to_owned() }
    }

    fn ctl(&self, release: &Path, words: &[&str]) -> Option<String> {
        let mut etcdctl = Command::new(release.join("etcdctl"));
        let said = etcdctl.args(["--endpoints", &self.client, "--command-timeout=1s"]).args(words).output().unwrap();
        said.status.success().then(|| String::from_utf8(said.stdout).unwrap())
    }

    fn serves(&self, release: &Path) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.ctl(release, &["get", "", "--prefix", "--keys-only"]) {
                Some(keys) => return keys,
                None => assert!(Instant::now() < until, "{} does not serve", self.client),
            }
        }
    }
}

#[test]
fn whatever_two_of_three_volumes_have_acknowledged_is_there_when_the_furthest_goes_on_alone() {
    for release in releases() {
        let dir = tempfile::tempdir().unwrap();
        let (left, acknowledged) = killed_while_written(&release, dir.path());
        let mut ends: Vec<(End, PathBuf)> = left.iter().map(|data| (end(data).unwrap(), data.clone())).collect();
        ends.sort_by_key(|(end, _)| (end.term, end.index));
        let (best, data) = ends.pop().unwrap();
        assert!(!best.torn && best.index >= best.commit, "{best:?}");
        best.make_all_committed().unwrap();
        let after = end(&data).unwrap();
        assert_eq!((after.term, after.index, after.commit), (best.term, best.index, best.index));
        let ports = ports(2);
        let alone =
            Etcd::start(&release, &data, (ports[0], ports[1]), &["--name=m".into(), "--force-new-cluster".into()]);
        let keys = alone.serves(&release);
        let there: BTreeSet<&str> = keys.lines().collect();
        let missing: Vec<&String> = acknowledged.iter().filter(|key| !there.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "{}: {missing:?} of {}", release.display(), acknowledged.len());
        assert!(acknowledged.len() >= WRITES, "{} were written", acknowledged.len());
    }
}

/// Three members that are written to and killed at once: the data of two of them, and the keys that were acknowledged.
fn killed_while_written(release: &Path, dir: &Path) -> (Vec<PathBuf>, BTreeSet<String>) {
    let ports = ports(6);
    let peers: Vec<String> = (0..3).map(|k| format!("m{k}=http://127.0.0.1:{}", ports[3 + k])).collect();
    let start = |k: usize| {
        let further = [format!("--name=m{k}"), format!("--initial-cluster={}", peers.join(","))];
        Etcd::start(release, &dir.join(format!("m{k}")), (ports[k], ports[3 + k]), &further)
    };
    let mut members: Vec<Etcd> = (0..3).map(start).collect();
    members.iter().for_each(|member| drop(member.serves(release)));
    let (acknowledged, ended) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        for (k, member) in members.iter().enumerate() {
            let (acknowledged, ended) = (&acknowledged, &ended);
            scope.spawn(move || {
                for number in 0.. {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("key-{k}-{number}");
                    if member.ctl(release, &["put", &key, "value"]).is_some() {
                        acknowledged.lock().unwrap().insert(key);
                    }
                }
            });
        }
        let until = Instant::now() + PATIENCE;
        while acknowledged.lock().unwrap().len() < WRITES && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        for member in &members {
            let _ = Command::new("kill").args(["-9", &member.child.id().to_string()]).status();
        }
        ended.store(true, Ordering::Relaxed);
    });
    members.iter_mut().for_each(|member| drop(member.child.wait()));
    (members.iter().take(2).map(|member| member.data.clone()).collect(), acknowledged.into_inner().unwrap())
}
