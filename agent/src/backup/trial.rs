//! The throw-away etcd of a proof: made of a snapshot as a member would be, on loopback, and asked for what it holds.
//!
//! It is spoken to with certificates that are made for it alone, as its user root: a snapshot brings its users along,
//! and where authentication is on nobody else is told anything.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use etcd_operator_shared::{
    api::EtcdOptions,
    backup::{Hash, Manifest},
    names::{self, Scheme},
    validate,
    version::Version,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::watch;

use super::{Failure, failure::brief};
use crate::{
    etcd::{
        access::Access,
        data::{is_compacted, is_of_the_future},
        flags::{self, Entry, Tls},
        member::{Member, Whose},
    },
    launch::{
        output::{Tail, pass},
        program,
    },
    plan::exit::{Class, Ended, classify},
    rehearse,
    tls::Identity,
};

mod pair;

/// How long etcd may take to open its data: 10 GB from a slow disk.
const SERVES: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(50);
/// Before an etcd that has a leader is asked, how long it may be without.
const LEADS: Duration = Duration::from_secs(60);
/// A snapshot is never larger than what etcd supports.
const QUOTA: u64 = 100 << 30;

/// What a trial is made of.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The snapshot's file.
    pub snapshot: &'a Path,
    /// The trial's own folder, which it makes.
    pub folder: &'a Path,
    /// Of the cluster that the backup is of.
    pub namespace: &'a str,
    pub cluster: &'a str,
    /// Where the image keeps its programs.
    pub programs: Option<&'a OsStr>,
}

/// Opens a snapshot, and returns the revision in it once its keys were found to be those of the original.
///
/// # Errors
/// When they are not, or it cannot be said.
pub async fn compare(scene: Scene<'_>, version: Version, manifest: &Manifest) -> Result<i64, Failure> {
    restore(scene)?;
    let mut etcd = Etcd::start(scene, version, &[])?;
    let outcome = etcd.answer(manifest).await;
    etcd.stop();
    outcome
}

/// Starts an etcd on a copy of a member's data as its only member, until it has applied its log up to `index`, and
/// ends it again: its database has all of it then. Returns the revision in it.
///
/// # Errors
/// When it does not get so far.
pub async fn alone(scene: Scene<'_>, version: Version, index: u64) -> Result<i64, Failure> {
    let mut etcd = Etcd::start(scene, version, &["force-new-cluster"])?;
    match etcd.applied(index).await {
        Ok(revision) => etcd.end().map(|()| revision),
        Err(failure) => {
            etcd.stop();
            Err(failure)
        }
    }
}

/// The image's version, which must be able to open what an etcd of the manifest's wrote.
///
/// # Errors
/// When it is not, or is not known.
pub fn version(scene: Scene<'_>, manifest: &Manifest) -> Result<Version, Failure> {
    let version = of_image(scene.programs)?;
    match manifest.version.parse::<Version>() {
        Ok(taken) if taken.minor > version.minor => {
            let message = format!("it was taken of etcd {taken}, which etcd {version} cannot open");
            Err(Failure::failed("OlderEtcd", message))
        }
        Ok(_) | Err(_) => Ok(version),
    }
}

/// The image's version.
///
/// # Errors
/// When it does not say.
pub fn of_image(programs: Option<&OsStr>) -> Result<Version, Failure> {
    let said = program::version(programs, rehearse::limits())
        .ok_or_else(|| Failure::failed("EtcdNotStarted", "the image's etcd does not say which version it is"))?;
    said.parse().map_err(|error| Failure::failed("EtcdNotStarted", format!("{error}")))
}

fn member(cluster: &str) -> String {
    names::member(cluster, 0)
}

/// Makes a data directory of the snapshot, as etcd's own tool does it.
fn restore(scene: Scene<'_>) -> Result<(), Failure> {
    fs::create_dir_all(scene.folder).map_err(|error| Failure::file("the proof", &error))?;
    let member = member(scene.cluster);
    let url = names::peer_url(Scheme::Http, &member, scene.cluster, scene.namespace);
    let args = [
        "snapshot".to_owned(),
        "restore".to_owned(),
        scene.snapshot.display().to_string(),
        format!("--data-dir={}", data_dir(scene).display()),
        format!("--name={member}"),
        format!("--initial-cluster={member}={url}"),
        format!("--initial-advertise-peer-urls={url}"),
    ];
    let not_started = |error: io::Error| Failure::failed("EtcdNotStarted", format!("etcdutl cannot be run: {error}"));
    let mut etcdutl = program::command("etcdutl", &args, scene.programs, rehearse::limits()).map_err(not_started)?;
    let output = etcdutl.stdin(Stdio::null()).output().map_err(not_started)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let words = brief(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default());
    if said.contains("no space left on device") {
        return Err(Failure::NoRoom(format!("no room to restore the snapshot: {words}")));
    }
    let message = format!("etcdutl does not restore it ({}): {words}", output.status);
    match output.status.code() {
        Some(_) => Err(Failure::integrity("NotRestorable", message)),
        // Somebody killed it, or there was no memory: that says nothing of the snapshot.
        None => Err(Failure::failed("EtcdNotStarted", message)),
    }
}

/// Where its etcd has its data.
#[must_use]
pub fn data_dir(scene: Scene<'_>) -> PathBuf {
    scene.folder.join("data")
}

/// A throw-away etcd that runs.
struct Etcd {
    child: Child,
    tail: Tail,
    output: Option<JoinHandle<()>>,
    member: Member,
}

impl Etcd {
    /// `further`: flags that are switched on.
    fn start(scene: Scene<'_>, version: Version, further: &[&str]) -> Result<Self, Failure> {
        let failed = |why: String| Failure::failed("EtcdNotStarted", format!("etcd cannot be started: {why}"));
        let bundle = pair::bundle(scene.cluster, scene.namespace).map_err(failed)?;
        let folder = scene.folder.join("tls");
        fs::create_dir_all(&folder).and_then(|()| bundle.expose(&folder)).map_err(|error| failed(error.to_string()))?;
        let identity = Identity::of(&bundle, scene.cluster, scene.namespace).map_err(failed)?;
        let pools = bundle.pools(&folder);
        let mut options = validate::options(&EtcdOptions::default()).map_err(|error| failed(error.to_string()))?;
        options.quota_backend = QUOTA;
        // Nothing of it is needed once it has answered.
        let on = ["unsafe-no-fsync"].iter().chain(further);
        options.extra = on.map(|flag| ((*flag).to_owned(), "true".to_owned())).collect();
        let whose = flags::Whose {
            namespace: scene.namespace,
            cluster: scene.cluster,
            member: &member(scene.cluster),
            version,
            data_dir: &data_dir(scene),
            listen: "127.0.0.1",
            tls: Tls { folder: Some(&folder), client: pools.client.as_deref(), ..Tls::default() },
        };
        let args = flags::arguments(&whose, &options, &Entry::OnDisk);
        let mut etcd = program::command("etcd", &args, scene.programs, rehearse::limits())
            .map_err(|error| failed(error.to_string()))?;
        let spawned = etcd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| failed(error.to_string()))?;
        let tail = Tail::default();
        let passed = child.stderr.take().map(|stderr| pass(stderr, io::stderr(), tail.clone())).transpose();
        let output = passed.map_err(|error| failed(error.to_string()))?;
        // The sender may go: the identity stays the one that it is.
        let (_, identity) = watch::channel(Some(Arc::new(identity)));
        let access = Access::Encrypted(identity);
        let whose = Whose { cluster: scene.cluster.into(), namespace: scene.namespace.into(), access };
        Ok(Self { child, tail, output, member: Member::local(whose) })
    }

    /// Waits until it serves.
    async fn serves(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        while let Err(error) = self.member.status().await {
            if began.elapsed() >= SERVES {
                return Err(Failure::failed("EtcdNotStarted", format!("etcd does not serve: {error}")));
            }
            if let Some(failure) = self.ended() {
                return Err(failure);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until it has applied all up to an index of its log; then the revision in it.
    async fn applied(&mut self, index: u64) -> Result<i64, Failure> {
        self.serves().await?;
        let began = Instant::now();
        loop {
            let status = self.member.status().await?;
            if status.leader_id.is_some() && status.raft_applied_index >= index {
                return Ok(self.member.until(LEADS, async |member| member.revision().await).await?);
            }
            if began.elapsed() >= SERVES {
                let applied = status.raft_applied_index;
                let message = format!("etcd has applied its log up to {applied} of {index}, and no further");
                return Err(Failure::failed("EtcdNotStarted", message));
            }
            if let Some(failure) = self.ended() {
                return Err(failure);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The revision in it, where its keys are those of the manifest.
    async fn answer(&mut self, manifest: &Manifest) -> Result<i64, Failure> {
        self.serves().await?;
        // At once: keys whose leases end are deleted, and each raises the revision.
        let revision = self.member.until(LEADS, async |member| member.revision().await).await?;
        let mut hashes = manifest.hashes.clone();
        // What is compacted cannot be brought back.
        hashes.sort_by_key(|hash| hash.compact_revision);
        for hash in &hashes {
            equal(&self.member, hash).await?;
        }
        Ok(revision)
    }

    /// Why it has ended, if it has.
    fn ended(&mut self) -> Option<Failure> {
        let status = match self.child.try_wait() {
            Ok(status) => status?,
            Err(error) => return Some(Failure::failed("EtcdNotStarted", format!("etcd cannot be watched: {error}"))),
        };
        // All that it said is there once its output has ended.
        self.output.take().map(JoinHandle::join);
        let ended = Ended {
            code: status.code(),
            signal: status.signal(),
            ordered: false,
            out_of_memory: false,
            tail: self.tail.lines(),
        };
        let verdict = classify(&ended);
        let message = format!("etcd ends over it ({status}): {}", brief(&verdict.line));
        Some(match verdict.class {
            Class::CorruptWal | Class::CorruptDatabase => Failure::integrity("CorruptDatabase", message),
            Class::DiskFull => Failure::NoRoom(message),
            Class::Stopped
            | Class::Removed
            | Class::OutOfMemory
            | Class::Killed
            | Class::WrongFlags
            | Class::AddressInUse
            | Class::Crashed => Failure::failed("EtcdNotStarted", message),
        })
    }

    /// Asks it to end, which writes all that it has applied into its database.
    fn end(mut self) -> Result<(), Failure> {
        let failed = |why: String| Failure::failed("EtcdNotStarted", format!("etcd cannot be ended: {why}"));
        let pid = i32::try_from(self.child.id()).map_err(|error| failed(error.to_string()))?;
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| failed(error.to_string()))?;
        self.child.wait().map_err(|error| failed(error.to_string()))?;
        self.output.take().map(JoinHandle::join);
        Ok(())
    }

    fn stop(mut self) {
        // It is thrown away with all that it has written.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output.take().map(JoinHandle::join);
    }
}

/// Whether the keys up to a revision hash as they did: both must have forgotten the same before they can be compared.
async fn equal(etcd: &Member, wanted: &Hash) -> Result<(), Failure> {
    if wanted.compact_revision > 0 {
        match etcd.compact(wanted.compact_revision).await {
            Ok(()) => {}
            Err(error) if is_compacted(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = match etcd.hash(wanted.revision).await {
        Err(error) if is_of_the_future(&error) => {
            let message =
                format!("it ends before revision {}, which was surely there when it was taken", wanted.revision);
            return Err(Failure::integrity("TooOld", message));
        }
        Err(error) if is_compacted(&error) => return Err(incomparable(wanted, "a later one")),
        found => found?,
    };
    // Nothing was ever compacted: etcd says -1 or 0.
    if found.compact_revision.max(0) != wanted.compact_revision.max(0) {
        return Err(incomparable(wanted, &found.compact_revision.to_string()));
    }
    if found.hash == wanted.hash {
        return Ok(());
    }
    let message = format!(
        "its keys are not the original's: at revision {} they hash to {:08x}, and to {:08x} in {} when it was taken",
        wanted.revision, found.hash, wanted.hash, wanted.member
    );
    Err(Failure::integrity("DifferentKeys", message))
}

fn incomparable(wanted: &Hash, found: &str) -> Failure {
    let message = format!(
        "it cannot be compared: its keys are compacted up to revision {found}, and those of {} were up to {}",
        wanted.member, wanted.compact_revision
    );
    Failure::integrity("NotComparable", message)
}

#[cfg(test)]
mod tests;
