//! The continuous client (`tests/client`) as a process of the test's own, told all the time where the members are.

use crate::etcd::User;
use crate::progress::Progress;
use crate::toolchain::CLIENT;
use anyhow::{Context, Result, anyhow, bail, ensure};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// etcd's client port.
const PORT: u16 = 2379;
/// It waits 30 s for members that do not serve, and as long for its watchers.
const START: Duration = Duration::from_secs(40);
const END: Duration = Duration::from_secs(150);
/// A command that nothing hinders is replied to in milliseconds.
const REPLY: Duration = Duration::from_secs(10);

/// A client at work; killed when dropped, and by the kernel when the test process dies.
pub struct Client {
    child: Child,
    stdin: Arc<Mutex<ChildStdin>>,
    replies: Mutex<Lines<BufReader<ChildStdout>>>,
    follower: JoinHandle<()>,
    /// Its certificate and key, which it reads for each connection.
    files: Option<TempDir>,
}

/// What it found. `tests/client/check.go` says what each word means.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub verdict: String,
    pub violations: Vec<Violation>,
    pub ops: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub cluster: String,
    pub gap_ms: f64,
    pub intervals: Vec<Interval>,
    pub check_seconds: f64,
    pub complaints: Vec<String>,
}

/// A promise of etcd that was broken.
#[derive(Clone, Debug, Deserialize)]
pub struct Violation {
    pub rule: String,
    pub explanation: String,
    #[serde(default)]
    pub ops: Vec<String>,
}

/// The time from one mark to the next.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    pub name: String,
    pub seconds: f64,
    pub acknowledged: usize,
    pub gap_ms: f64,
    pub stall_ms: f64,
}

/// A line of its stdout.
#[derive(Debug, Deserialize)]
struct Reply {
    reply: String,
    #[serde(default)]
    name: String,
}

impl Client {
    /// Builds it if nobody has: a minute, once a machine.
    ///
    /// # Errors
    /// When `go` is missing.
    pub async fn build() -> Result<PathBuf> {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let build =
            || async { tokio::task::spawn_blocking(|| CLIENT.ready(&Progress::start().follow(CLIENT.name))).await? };
        Ok(BUILT.get_or_try_init(build).await?.join("client"))
    }

    /// Starts one for the pods that `selector` picks. At least one of them serves.
    ///
    /// # Errors
    /// When it cannot be built, no pod has an address or none serves.
    pub async fn start(pods: Api<Pod>, selector: &str, user: Option<&User>) -> Result<Self> {
        let program = Self::build().await?;
        let listed = pods.list(&kube::api::ListParams::default().labels(selector)).await?;
        let found = Seen(listed.into_iter().map(|pod| (pod.name_any(), pod)).collect()).addresses();
        ensure!(!found.is_empty(), "no pod has an address");
        let prefix = format!("/client/{}/", unique());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&program);
        command.args(["-endpoints", &found.join(","), "-prefix", &prefix]);
        let files = user.map(|_| tempfile::tempdir()).transpose()?;
        if let (Some(files), Some(user)) = (&files, user) {
            write(files.path(), user)?;
            for flag in ["cacert", "cert", "key"] {
                command.arg(format!("-{flag}")).arg(files.path().join(flag));
            }
            command.args(["-name", &user.name]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let stdin = Arc::new(Mutex::new(child.stdin.take().context("it has a stdin")?));
        let replies = Mutex::new(BufReader::new(child.stdout.take().context("it has a stdout")?).lines());
        let follower = tokio::spawn(follow(pods, selector.to_owned(), Arc::clone(&stdin)));
        let client = Self { child, stdin, replies, follower, files };
        client.reply("started", "", START).await?;
        client.next(START).await?;
        Ok(client)
    }

    /// Where it reads its certificate for each connection; see [`write`].
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        self.files.as_ref().map(|files| files.path().to_owned())
    }

    /// Begins an interval with a gap of its own.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub async fn mark(&self, name: &str) -> Result<()> {
        say(&self.stdin, &format!("mark {name}")).await?;
        self.reply("marked", name, REPLY).await.map(drop)
    }

    /// Connects all its writers and readers to the member with this address, or spreads them again.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub async fn prefer(&self, address: Option<&str>) -> Result<()> {
        let address = address.map(with_port).unwrap_or_default();
        say(&self.stdin, &format!("prefer {address}")).await
    }

    /// Waits for a write that begins and is acknowledged after this call.
    ///
    /// # Errors
    /// When there is none within the time.
    pub async fn next(&self, within: Duration) -> Result<()> {
        let name = unique();
        say(&self.stdin, &format!("next {name}")).await?;
        self.reply("next", &name, within).await.context("wait for an acknowledged write").map(drop)
    }

    /// Ends it, and returns what it found after reading every key through the members at these addresses.
    ///
    /// # Errors
    /// When it does not report.
    pub async fn finish(mut self, addresses: &[String]) -> Result<Report> {
        self.follower.abort();
        let all: Vec<String> = addresses.iter().map(with_port).collect();
        say(&self.stdin, &format!("endpoints {}\nstop", all.join(","))).await?;
        let line = self.reply("report", "", END).await?;
        let report = serde_json::from_str(&line).context("read its report")?;
        timeout(REPLY, self.child.wait()).await.context("it reported and did not end")??;
        Ok(report)
    }

    /// Skips replies to what nobody waits for any more.
    async fn reply(&self, kind: &str, name: &str, within: Duration) -> Result<String> {
        let mut lines = self.replies.lock().await;
        let wanted = async {
            while let Some(line) = lines.next_line().await? {
                let reply: Reply = serde_json::from_str(&line).with_context(|| format!("it printed {line:?}"))?;
                if reply.reply == kind && reply.name == name {
                    return Ok(line);
                }
            }
            bail!("the client has ended by itself")
        };
        timeout(within, wanted).await.map_err(|_| anyhow!("the client did not say `{kind}` within {within:?}"))?
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Report {
    /// Fails with what was broken, and with the operations that show it.
    ///
    /// # Errors
    /// When a promise was broken.
    pub fn ensure_ok(&self) -> Result<()> {
        let told: Vec<String> = self
            .violations
            .iter()
            .map(|one| format!("[{}] {}\n    {}", one.rule, one.explanation, one.ops.join("\n    ")))
            .collect();
        ensure!(told.is_empty() && self.verdict == "ok", "etcd's promises were broken:\n  {}", told.join("\n  "));
        Ok(())
    }

    /// The intervals of this name.
    pub fn intervals<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Interval> {
        self.intervals.iter().filter(move |one| one.name == name)
    }
}

/// A user's files, each named as the flag that takes it.
///
/// # Errors
/// When one cannot be written.
pub fn write(folder: &Path, user: &User) -> Result<()> {
    for (name, content) in [("cacert", &user.authority), ("cert", &user.certificate), ("key", &user.key)] {
        let beside = folder.join(format!("{name}.new"));
        std::fs::write(&beside, content)?;
        std::fs::rename(beside, folder.join(name))?;
    }
    Ok(())
}

/// Pods by name.
#[derive(Default)]
struct Seen(BTreeMap<String, Pod>);

impl Seen {
    /// Where a Service would lead: to the pods that are Ready, and if none is, to all that have an address.
    fn addresses(&self) -> Vec<String> {
        let at = |pod: &Pod| Some(with_port(pod.status.as_ref()?.pod_ip.as_ref()?));
        let ready: Vec<String> = self.0.values().filter(|pod| is_ready(pod)).filter_map(at).collect();
        if ready.is_empty() { self.0.values().filter_map(at).collect() } else { ready }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Tells the client where the members are, whenever that changes. While the API server is away it knows the last addresses.
async fn follow(pods: Api<Pod>, selector: String, stdin: Arc<Mutex<ChildStdin>>) {
    let events = watcher::watcher(pods, watcher::Config::default().labels(&selector));
    pin_mut!(events);
    let (mut seen, mut listed, mut told) = (Seen::default(), Seen::default(), vec![]);
    // The watcher lists again after an error by itself.
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(pod)) => drop(seen.0.insert(pod.name_any(), pod)),
            Ok(Event::Delete(pod)) => drop(seen.0.remove(&pod.name_any())),
            Ok(Event::InitApply(pod)) => drop(listed.0.insert(pod.name_any(), pod)),
            Ok(Event::InitDone) => seen = std::mem::take(&mut listed),
            Ok(Event::Init) => listed = Seen::default(),
            Err(_) => {}
        }
        let now = seen.addresses();
        if now.is_empty() || now == told {
            continue;
        }
        if say(&stdin, &format!("endpoints {}", now.join(","))).await.is_err() {
            return;
        }
        told = now;
    }
}

/// No two of a machine are the same.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{}", now.as_micros(), NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn say(stdin: &Mutex<ChildStdin>, line: &str) -> Result<()> {
    let mut stdin = stdin.lock().await;
    stdin.write_all(format!("{line}\n").as_bytes()).await.context("the client has ended by itself")?;
    Ok(stdin.flush().await?)
}

fn with_port(ip: impl AsRef<str>) -> String {
    format!("{}:{PORT}", ip.as_ref())
}
