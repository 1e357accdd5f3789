//! etcd's version changes, turn by turn with a bare StatefulSet's rolling update: the time until all three members are new and serve,
//! and the longest in which no write of a client was acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use testbed::{bare_etcd::BareEtcd, client::Client, etcd::Etcd, image::etcd_image};
use tokio::time::sleep;

use crate::{create, figure::Figure, operator::Operator};

/// Seconds until all are new; milliseconds without an acknowledged write.
pub const UPGRADE: [&str; 2] = ["upgrade-3", "upgrade-3-gap"];
const MEMBERS: usize = 3;
const NAME: &str = "changed";
/// Each run goes to the other one.
const VERSIONS: [&str; 2] = ["v3.5.35", "v3.5.21"];
const CLIENT_PORT: u16 = 2379;
/// Between two looks at three members.
const LOOK: Duration = Duration::from_millis(20);
/// Far beyond every goal.
const PATIENCE: Duration = Duration::from_secs(180);
/// etcd changes nothing before its voters have been connected for 5 s, and a person waits too.
const REST: Duration = Duration::from_secs(6);

/// One of the two that are changed.
struct Side<'a> {
    operator: &'a Operator,
    name: String,
    selector: String,
    client: Client,
}

/// Changes the version `runs` times in each.
pub async fn measure(operator: &Operator, runs: usize) -> Result<()> {
    let bare = BareEtcd { name: "bare".into(), members: MEMBERS, version: VERSIONS[1].into(), class: "local".into() };
    bare.create(&operator.client(), &operator.namespace).await?;
    operator.create_version(NAME, MEMBERS, VERSIONS[1]).await?;
    let selector = format!("etcd.etcd.io/cluster={NAME},etcd.etcd.io/cluster-uid");
    let floor = Side::of(operator, &bare.name, format!("app={}", bare.name)).await?;
    let ours = Side::of(operator, NAME, selector).await?;
    let [name, gap] = UPGRADE;
    let mut seconds = Figure::of(name, "s", vec![]);
    for run in 0..runs {
        let version = VERSIONS[run % 2];
        let image =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "etcd", "image": etcd_image(version)}]}}}});
        let sets = Api::<StatefulSet>::namespaced(operator.client(), &operator.namespace);
        let patched = async || {
            sets.patch(&bare.name, &PatchParams::default(), &Patch::Strategic(&image)).await?;
            Ok(())
        };
        seconds.floor.push(floor.until_all_run(version, patched).await?);
        let patched = async || operator.patch(NAME, json!({ "version": version })).await;
        seconds.values.push(ours.until_all_run(version, patched).await?);
    }
    let gaps = Figure { floor: floor.gaps().await?, ..Figure::of(gap, "ms", ours.gaps().await?) };
    seconds.print();
    gaps.print();
    create::remove(operator, &bare).await?;
    operator.delete(NAME).await
}

impl<'a> Side<'a> {
    async fn of(operator: &'a Operator, name: &str, selector: String) -> Result<Self> {
        let pods = Api::namespaced(operator.client(), &operator.namespace);
        let client = Client::start(pods, &selector).await?;
        Ok(Self { operator, name: name.to_owned(), selector, client })
    }

    /// Seconds from the change until every member runs this version and serves, in pods that are Ready.
    async fn until_all_run(&self, version: &str, change: impl AsyncFn() -> Result<()>) -> Result<f64> {
        sleep(REST).await;
        self.client.mark("change").await?;
        let changed = Instant::now();
        change().await?;
        let seconds = loop {
            match self.all_run(version).await {
                Ok(()) => break changed.elapsed().as_secs_f64(),
                Err(why) if changed.elapsed() > PATIENCE => {
                    bail!("{} is not new: {why:#}\n{}", self.name, self.operator.evidence().await)
                }
                Err(_) => sleep(LOOK).await,
            }
        };
        self.client.mark("between").await?;
        Ok(seconds)
    }

    async fn all_run(&self, version: &str) -> Result<()> {
        let pods = self.pods().await?;
        ensure!(pods.len() == MEMBERS && pods.iter().all(is_ready), "not all pods are Ready");
        for pod in pods {
            let etcd = Etcd::at(&address(&pod)?, CLIENT_PORT).await?;
            let runs = etcd.said().await?.version;
            ensure!(format!("v{runs}") == version, "a member runs {runs}");
            etcd.serves().await?;
        }
        Ok(())
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.operator.client(), &self.operator.namespace);
        Ok(pods.list(&ListParams::default().labels(&self.selector)).await?.items)
    }

    /// Ends the client, which must have found nothing wrong; the longest times without a write in the changes.
    async fn gaps(self) -> Result<Vec<f64>> {
        let addresses = self.pods().await?.iter().map(address).collect::<Result<Vec<String>>>()?;
        let report = self.client.finish(&addresses).await?;
        report.ensure_ok()?;
        Ok(report.intervals("change").map(|interval| interval.gap_ms).collect())
    }
}

fn address(pod: &Pod) -> Result<String> {
    pod.status.as_ref().and_then(|status| status.pod_ip.clone()).context("a pod has no address")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}
