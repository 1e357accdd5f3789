//! One coordinator for all namespaces, as a process of its own that can be ended and started anew.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::operator::{binary, rss};

/// It finishes what it does and gives its Lease back.
const DRAIN: Duration = Duration::from_secs(15);
/// It has one thread: while it reads ten thousand objects its probes wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running coordinator; killed when dropped.
pub struct Coordinator {
    child: Child,
    port: u16,
    pub started: Instant,
}

/// What its metrics say.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Writes to the API server, its Lease apart.
    pub writes: f64,
    pub reconciles: f64,
    pub leads: bool,
}

impl Coordinator {
    /// Starts one. What it logs is added to `log`.
    pub fn start(kubeconfig: &Path, lease_namespace: &str, log: &PathBuf) -> Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let binary = binary();
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let child = Command::new(&binary)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--lease-namespace", lease_namespace, "--listen", &format!("127.0.0.1:{port}")])
            .args(["--log-filter", "warn"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        Ok(Self { child, port, started: Instant::now() })
    }

    /// Returns when it leads, has listed everything, and has looked at so many clusters.
    pub async fn settled(&self, clusters: usize, within: Duration) -> Result<Counts> {
        while self.started.elapsed() < within {
            let ready = self.get("/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
            if ready
                && let Ok(counts) = self.counts().await
                && counts.leads
                && counts.reconciles >= clusters as f64
            {
                return Ok(counts);
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the coordinator has not looked at {clusters} clusters within {within:?}")
    }

    pub async fn counts(&self) -> Result<Counts> {
        let text = self.get("/metrics").await?;
        Ok(Counts {
            writes: sum(&text, "etcd_coordinator_api_writes_total"),
            reconciles: sum(&text, "etcd_coordinator_reconciles_total"),
            leads: sum(&text, "etcd_coordinator_is_leader") == 1.0,
        })
    }

    /// KB of memory.
    pub fn memory(&self) -> Result<f64> {
        Ok(rss(self.child.id())? * 1.024)
    }

    /// Seconds of processor time so far.
    pub fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit(')').next().context("no stat")?.split_whitespace().collect::<Vec<_>>();
        let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).context("no ticks");
        // utime and stime, in hundredths of a second.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// Ends it as Kubernetes would.
    pub async fn end(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > DRAIN {
                bail!("the coordinator did not end within {DRAIN:?} of SIGTERM");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The whole answer to a GET.
    async fn get(&self, path: &str) -> Result<String> {
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        timeout(PATIENCE, asked).await?
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // It has ended already, or it ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A metric, added up over its labels.
fn sum(text: &str, metric: &str) -> f64 {
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric));
    // Nothing adds up to minus zero.
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() + 0.0
}
