//! An application that never stops writing: what was acknowledged to it must be there at the end, in order and with its value.
//!
//! It writes one key after another, each through the next member, and turns to another member when one fails: the same key with the same value, so that a
//! write of which nothing was heard may be done twice. Every acknowledged revision must be higher than the one before.

use super::etcd::{Accepted, Etcd};
use super::{Demo, pods};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::PORT_CLIENT;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Between two writes, so that the writer does not take a core for itself.
const PACE: Duration = Duration::from_millis(10);
/// Longer than an application would wait before it tries elsewhere.
const TRY: Duration = Duration::from_millis(700);
/// How often the members' addresses are asked for. An API server that is away leaves the last ones.
const LOOK: Duration = Duration::from_millis(500);
/// A member may need a moment to serve reads after the last write.
const READ: Duration = Duration::from_secs(30);

/// A writer at work.
pub struct Writer {
    stop: oneshot::Sender<()>,
    acknowledged: watch::Receiver<usize>,
    task: JoinHandle<Diary>,
    addresses: JoinHandle<()>,
}

/// What it was told.
#[derive(Debug, Default)]
struct Diary {
    /// Key, value, revision.
    entries: Vec<(String, String, i64)>,
    clusters: BTreeSet<String>,
    longest_gap: Duration,
    last: Option<Instant>,
}

/// What is left to say when everything acknowledged was found.
#[derive(Clone, Debug)]
pub struct Report {
    pub writes: usize,
    pub longest_gap: Duration,
    pub cluster_id: String,
}

impl Writer {
    /// Starts writing to a cluster that serves.
    ///
    /// # Errors
    /// When its pods cannot be listed.
    pub async fn start(demo: &Demo<'_>) -> Result<Self> {
        let (api, selector) = (demo.stage.api::<Pod>(), demo.selector());
        let (found, ips) = watch::channel(addresses(&api, &selector).await?);
        let addresses = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Ok(Ok(ips)) = tokio::time::timeout(LOOK, addresses(&api, &selector)).await
                    && !ips.is_empty()
                {
                    found.send_if_modified(|old| std::mem::replace(old, ips.clone()) != ips);
                }
            }
        });
        let (stop, stopped) = oneshot::channel();
        let (count, acknowledged) = watch::channel(0);
        let task = tokio::spawn(write(ips, count, stopped));
        Ok(Self { stop, acknowledged, task, addresses })
    }

    /// Waits for a write that begins and is acknowledged after this call.
    ///
    /// # Errors
    /// When there is none within the time.
    pub async fn next(&mut self, within: Duration) -> Result<()> {
        // The one under way may have been accepted before the call: the second is surely a later one.
        let now = *self.acknowledged.borrow();
        let waited = tokio::time::timeout(within, self.acknowledged.wait_for(|count| *count >= now + 2)).await;
        waited.with_context(|| format!("no write was acknowledged within {within:?}"))??;
        Ok(())
    }

    /// Lets it write for some time.
    ///
    /// # Errors
    /// When it ended by itself.
    pub async fn keeps_on(&self, during: Duration) -> Result<()> {
        super::holds("the writer writes", during, async || {
            ensure!(!self.task.is_finished(), "it ended");
            Ok(())
        })
        .await
    }

    /// Stops writing and looks for everything that was acknowledged, through every member.
    ///
    /// # Errors
    /// When a write is lost, changed or out of order, or came from another cluster.
    pub async fn finish(self, demo: &Demo<'_>) -> Result<Report> {
        let _ = self.stop.send(());
        let diary = self.task.await?;
        self.addresses.abort();
        ensure!(!diary.entries.is_empty(), "no write was ever acknowledged");
        ensure!(diary.clusters.len() == 1, "writes were acknowledged by several clusters: {:?}", diary.clusters);
        for pair in diary.entries.windows(2) {
            ensure!(pair[0].2 < pair[1].2, "revisions went back: {} after {}", pair[1].2, pair[0].2);
        }
        for (ordinal, etcd) in (0..).zip(demo.etcds().await?) {
            super::until("a member serves the writer's keys", READ, async || etcd.serves().await).await?;
            diary.look_for_all(&etcd.all(PREFIX).await?).with_context(|| format!("read through member {ordinal}"))?;
        }
        let report = diary.report();
        demo.stage.say(format!(
            "{} writes, all there; longest gap {:.2} s",
            report.writes,
            report.longest_gap.as_secs_f64()
        ));
        Ok(report)
    }
}

const PREFIX: &str = "/e2e/writer/";

async fn addresses(api: &Api<Pod>, selector: &str) -> Result<Vec<String>> {
    Ok(pods::list(api, selector).await?.iter().filter_map(pods::ip).collect())
}

async fn write(
    mut ips: watch::Receiver<Vec<String>>,
    count: watch::Sender<usize>,
    mut stopped: oneshot::Receiver<()>,
) -> Diary {
    let mut diary = Diary::default();
    let mut connections = BTreeMap::new();
    let mut turn = 0;
    while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
        let number = diary.entries.len();
        let (key, value) = (format!("{PREFIX}{number:08}"), format!("{number}-{:016x}", rand::random::<u64>()));
        // The same key until it is acknowledged. A write that is given up at the end was never acknowledged.
        while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            let now = ips.borrow_and_update().clone();
            turn += 1;
            let Some(ip) = now.get(turn % now.len().max(1)) else { break };
            match put(&mut connections, ip, &key, &value).await {
                Ok(accepted) => {
                    diary.note(key, value, accepted);
                    count.send_replace(diary.entries.len());
                    break;
                }
                Err(_) => {
                    connections.remove(ip);
                    tokio::time::sleep(PACE).await;
                }
            }
        }
        tokio::time::sleep(PACE).await;
    }
    diary
}

async fn put(connections: &mut BTreeMap<String, Etcd>, ip: &str, key: &str, value: &str) -> Result<Accepted> {
    if !connections.contains_key(ip) {
        connections.insert(ip.to_owned(), Etcd::at(ip, PORT_CLIENT).await?);
    }
    let etcd = connections.get(ip).context("the connection was just made")?;
    tokio::time::timeout(TRY, etcd.put(key, value)).await?
}

impl Diary {
    fn note(&mut self, key: String, value: String, accepted: Accepted) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        self.clusters.insert(accepted.cluster_id);
        self.entries.push((key, value, accepted.revision));
    }

    fn look_for_all(&self, found: &[(String, String, i64)]) -> Result<()> {
        let found: BTreeMap<&str, (&str, i64)> =
            found.iter().map(|(key, value, revision)| (key.as_str(), (value.as_str(), *revision))).collect();
        for (key, value, revision) in &self.entries {
            let (there, last) = found
                .get(key.as_str())
                .with_context(|| format!("{key}, acknowledged at revision {revision}, is lost"))?;
            ensure!(there == value, "{key} is {there}, but {value} was acknowledged");
            // A try of which nothing was heard may have been accepted later.
            ensure!(last >= revision, "{key} was last changed at {last}, but acknowledged at {revision}");
        }
        Ok(())
    }

    fn report(self) -> Report {
        let cluster_id = self.clusters.into_iter().next().unwrap_or_default();
        Report { writes: self.entries.len(), longest_gap: self.longest_gap, cluster_id }
    }
}
