//! Applications that write to one member each, one request after the other, with no limit of their own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use testbed::etcd::Etcd;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// A request that waited for longer was noticed by somebody.
pub const LONG: Duration = Duration::from_secs(1);
const CLIENT_PORT: u16 = 2379;
/// Between two requests of a writer, and before one whose member is away looks for it again.
const PACE: Duration = Duration::from_millis(5);
const AWAY: Duration = Duration::from_millis(50);
/// Beyond etcd's own limit of 7 s: no answer will come on a connection whose other end is gone without a word.
const LOST: Duration = Duration::from_secs(15);

/// The writers, until they are ended.
pub struct Writers {
    over: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Duration>>,
}

impl Writers {
    /// Starts one for each pod.
    pub fn start(pods: &Api<Pod>, names: impl Iterator<Item = String>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for name in names {
            tasks.spawn(write(pods.clone(), name, over.clone()));
        }
        Self { over, tasks }
    }

    /// Lets the last requests end. How long each request waited, whether it was answered or failed.
    pub async fn end(self) -> Vec<Duration> {
        self.over.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn write(pods: Api<Pod>, name: String, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = vec![];
    while !over.load(Ordering::Relaxed) {
        let Ok(etcd) = connect(&pods, &name).await else {
            sleep(AWAY).await;
            continue;
        };
        while !over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let answer = timeout(LOST, etcd.put_without_limit(&name, "")).await;
            waits.push(asked.elapsed());
            if !matches!(answer, Ok(Ok(()))) {
                break;
            }
            sleep(PACE).await;
        }
    }
    waits
}

/// A connection to where the pod is now. It is made here: waiting for a member that is away is not waiting for an answer.
async fn connect(pods: &Api<Pod>, name: &str) -> Result<Etcd> {
    let address = pods.get(name).await?.status.and_then(|status| status.pod_ip);
    let etcd = Etcd::at(&address.context("no address yet")?, CLIENT_PORT).await?;
    etcd.said().await?;
    Ok(etcd)
}
