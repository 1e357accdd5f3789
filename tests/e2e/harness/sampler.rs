//! Looks at the membership all the time: whatever is done, at most one member may be none that votes and has started.

use super::etcd::{Entry, Etcd, User};
use super::{Demo, pods};
use anyhow::{Result, ensure};
use etcd_operator_shared::names::PORT_CLIENT;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Between two samples: an addition lasts a tenth of a second at least.
const PACE: Duration = Duration::from_millis(25);
/// A member that serves answers in milliseconds; otherwise another is asked.
const ANSWER: Duration = Duration::from_millis(300);

/// A sampler at work.
pub struct Sampler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Samples>,
}

/// What it saw.
#[derive(Debug, Default)]
pub struct Samples {
    pub taken: usize,
    /// The first membership with two members that did not vote or had not started.
    offending: Option<Vec<Entry>>,
    largest: usize,
}

impl Sampler {
    /// Starts it on a cluster whose members all vote.
    ///
    /// # Errors
    /// When its traffic is encrypted, and there is no certificate for the sampler.
    pub async fn start(demo: &Demo<'_>) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let user = demo.user().await?;
        Ok(Self { stop, task: tokio::spawn(sample(demo.stage.api(), demo.selector(), user, stopped)) })
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it ever saw two members that did not vote or had not started.
    pub async fn finish(self, demo: &Demo<'_>) -> Result<()> {
        let _ = self.stop.send(());
        let seen = self.task.await?;
        let Samples { taken, offending, largest } = seen;
        demo.stage.say(format!("{taken} samples of the membership, {largest} members at most"));
        ensure!(taken > 0, "no sample was ever taken");
        ensure!(offending.is_none(), "more than one member did not vote or had not started: {offending:?}");
        Ok(())
    }
}

async fn sample(pods: Api<Pod>, selector: String, user: Option<User>, mut stopped: oneshot::Receiver<()>) -> Samples {
    let mut seen = Samples::default();
    let mut connections = BTreeMap::new();
    while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
        match ask(&connections).await {
            Some(members) => seen.note(members),
            None => look(&pods, &selector, user.as_ref(), &mut connections).await,
        }
        sleep(PACE).await;
        // New members are asked too.
        if seen.taken % 40 == 0 {
            look(&pods, &selector, user.as_ref(), &mut connections).await;
        }
    }
    seen
}

/// The membership after a linearizable read, by the first member that answers.
async fn ask(connections: &BTreeMap<String, Etcd>) -> Option<Vec<Entry>> {
    for etcd in connections.values() {
        if let Ok(Ok(members)) = timeout(ANSWER, etcd.members()).await {
            return Some(members);
        }
    }
    None
}

async fn look(api: &Api<Pod>, selector: &str, user: Option<&User>, connections: &mut BTreeMap<String, Etcd>) {
    // Without an API server the last addresses are asked.
    let Ok(Ok(found)) = timeout(Duration::from_secs(1), pods::list(api, selector)).await else { return };
    let ips: Vec<String> = found.iter().filter_map(pods::ip).collect();
    connections.retain(|ip, _| ips.contains(ip));
    for ip in ips {
        if !connections.contains_key(&ip)
            && let Ok(etcd) = Etcd::for_user(&ip, PORT_CLIENT, user).await
        {
            connections.insert(ip, etcd);
        }
    }
}

impl Samples {
    fn note(&mut self, members: Vec<Entry>) {
        self.taken += 1;
        self.largest = self.largest.max(members.len());
        let outside = members.iter().filter(|one| one.is_learner || !one.started).count();
        if outside > 1 && self.offending.is_none() {
            self.offending = Some(members);
        }
    }
}
