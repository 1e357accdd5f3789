//! A cluster that is scaled, stopped and robbed while a client runs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{Api, ResourceExt, api::DeleteParams, api::ListParams};
use testbed::{
    client::{Client, Report},
    etcd::Etcd,
};
use tokio::time::sleep;

use crate::operator::Operator;

/// Between two looks: finer than anything measured here, and coarse enough for two cores.
const LOOK: Duration = Duration::from_millis(20);
/// Far beyond every goal.
const PATIENCE: Duration = Duration::from_secs(180);
const CLIENT_PORT: u16 = 2379;

/// One cluster.
pub struct Bed<'a> {
    operator: &'a Operator,
    name: &'a str,
    pub client: Client,
}

impl<'a> Bed<'a> {
    /// Makes a cluster and starts a client.
    pub async fn up(operator: &'a Operator, name: &'a str, size: usize, version: &str) -> Result<Self> {
        operator.create_version(name, size, version).await?;
        let pods = Api::namespaced(operator.client(), &operator.namespace);
        let client = Client::start(pods, &selector(name), None).await?;
        Ok(Self { operator, name, client })
    }

    /// Ends the client, which must have found nothing wrong, and deletes the cluster.
    pub async fn down(self) -> Result<Report> {
        let mut addresses = vec![];
        for pod in self.pods().await? {
            addresses.extend(pod.status.and_then(|status| status.pod_ip));
        }
        let report = self.client.finish(&addresses).await?;
        report.ensure_ok()?;
        self.operator.delete(self.name).await?;
        Ok(report)
    }

    /// Seconds from the change of the size until members and pods are as wanted. The client's interval is `mark`.
    pub async fn resize(&self, size: usize, mark: &str) -> Result<f64> {
        self.client.mark(mark).await?;
        let started = Instant::now();
        self.operator.resize(self.name, size).await?;
        let seconds = self.settled(size, started).await?;
        self.client.mark("between").await?;
        Ok(seconds)
    }

    /// Seconds since `started` when the member list, the voters and the Ready pods are as wanted.
    pub async fn settled(&self, size: usize, started: Instant) -> Result<f64> {
        loop {
            let why = match self.is_settled(size).await {
                Ok(()) => return Ok(started.elapsed().as_secs_f64()),
                Err(why) => why,
            };
            if started.elapsed() > PATIENCE {
                let evidence = self.operator.evidence().await;
                bail!("{} has not settled at size {size}: {why:#}\n{evidence}", self.name);
            }
            sleep(LOOK).await;
        }
    }

    async fn is_settled(&self, size: usize) -> Result<()> {
        let pods = self.pods().await?;
        ensure!(pods.len() == size, "there are {} pods", pods.len());
        ensure!(pods.iter().all(is_ready), "not all pods are Ready");
        if size > 0 {
            let members = self.etcd(0).await?.members().await?;
            ensure!(members.len() == size, "there are {} members", members.len());
            ensure!(members.iter().all(|one| one.started && !one.is_learner), "not all vote: {members:?}");
        }
        Ok(())
    }

    /// Lets a member lead.
    pub async fn lead(&self, ordinal: usize) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let wanted = self.etcd(ordinal).await?.said().await?;
            if wanted.leader == wanted.member_id {
                return Ok(());
            }
            for other in 0..self.pods().await?.len() {
                let etcd = self.etcd(other).await?;
                if etcd.said().await?.member_id == wanted.leader {
                    // One that has just lost its leadership refuses; then it is looked again.
                    let _ = etcd.hand_over(wanted.member_id).await;
                }
            }
        }
        bail!("member {ordinal} does not lead")
    }

    /// Connects the client's writers and readers to one member, or spreads them.
    pub async fn clients_at(&self, ordinal: Option<usize>) -> Result<()> {
        let address = match ordinal {
            Some(ordinal) => Some(self.address(ordinal).await?),
            None => None,
        };
        self.client.prefer(address.as_deref()).await
    }

    /// Deletes a member's claim and pod. Seconds from the moment at which another pod of that name is there until all vote, the
    /// member under another ID, and all pods are Ready.
    pub async fn lose_disk(&self, ordinal: usize, mark: &str) -> Result<f64> {
        let pod = format!("{}-{ordinal}", self.name);
        let pods: Api<Pod> = Api::namespaced(self.operator.client(), &self.operator.namespace);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.operator.client(), &self.operator.namespace);
        let former = (pods.get(&pod).await?.uid(), self.etcd(ordinal).await?.said().await?.member_id);
        self.client.mark(mark).await?;
        claims.delete(&format!("data-{pod}"), &DeleteParams::default()).await?;
        pods.delete(&pod, &DeleteParams::default().grace_period(0)).await?;
        let lost = Instant::now();
        while pods.get_opt(&pod).await?.is_none_or(|now| now.uid() == former.0) {
            ensure!(lost.elapsed() < PATIENCE, "no other pod {pod} comes");
            sleep(LOOK).await;
        }
        let returned = Instant::now();
        while self.etcd(0).await?.members().await?.iter().any(|one| one.id == former.1) {
            ensure!(lost.elapsed() < PATIENCE, "the old member of {pod} is not removed");
            sleep(LOOK).await;
        }
        let seconds = self.settled(3, returned).await?;
        self.client.mark("between").await?;
        Ok(seconds)
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.operator.client(), &self.operator.namespace);
        Ok(pods.list(&ListParams::default().labels(&selector(self.name))).await?.items)
    }

    async fn etcd(&self, ordinal: usize) -> Result<Etcd> {
        Etcd::at(&self.address(ordinal).await?, CLIENT_PORT).await
    }

    async fn address(&self, ordinal: usize) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.operator.client(), &self.operator.namespace);
        let pod = pods.get(&format!("{}-{ordinal}", self.name)).await?;
        pod.status.and_then(|status| status.pod_ip).with_context(|| format!("member {ordinal} has no address"))
    }
}

fn selector(name: &str) -> String {
    format!("etcd.etcd.io/cluster={name},etcd.etcd.io/cluster-uid")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}
