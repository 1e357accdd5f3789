//! etcd's version and options change, turn by turn with a bare StatefulSet's rolling update: the time until all three
//! members are new and serve, and the longest in which no write of a client was acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use testbed::{bare_etcd::BareEtcd, client::Client, etcd::Etcd, image::etcd_image};
use tokio::time::sleep;

use crate::{create, figure::Figure, operator::Operator};

/// Seconds until all are new; milliseconds without an acknowledged write.
pub const UPGRADE: [&str; 2] = ["upgrade-3", "upgrade-3-gap"];
pub const OPTIONS: [&str; 2] = ["option-change-3", "option-change-3-gap"];
const MEMBERS: usize = 3;
const NAME: &str = "changed";
/// Each run goes to the other one.
const VERSIONS: [&str; 2] = ["v3.5.35", "v3.5.21"];
const LIMITS: [u32; 2] = [256, 128];
/// Operations in a transaction that one of them allows.
const TRIED: usize = 200;
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

/// What is changed.
#[derive(Clone, Copy)]
enum Change {
    Version(&'static str),
    /// Of operations in a transaction, above or below what is tried.
    MaxTxnOps(u32),
}

/// Changes versions or options `runs` times in each.
pub async fn measure(operator: &Operator, runs: usize, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let bare = BareEtcd { name: "bare".into(), members: MEMBERS, version: VERSIONS[1].into(), class: "local".into() };
    bare.create(&operator.client(), &operator.namespace).await?;
    operator.create_version(NAME, MEMBERS, VERSIONS[1]).await?;
    for (figures, changes) in [(UPGRADE, VERSIONS.map(Change::Version)), (OPTIONS, LIMITS.map(Change::MaxTxnOps))] {
        if figures.iter().any(|name| wanted(name)) {
            both(operator, &bare, runs, figures, changes).await?;
        }
    }
    create::remove(operator, &bare).await?;
    operator.delete(NAME).await
}

async fn both(
    operator: &Operator,
    bare: &BareEtcd,
    runs: usize,
    [name, gap]: [&'static str; 2],
    changes: [Change; 2],
) -> Result<()> {
    let selector = format!("etcd.etcd.io/cluster={NAME},etcd.etcd.io/cluster-uid");
    let floor = Side::of(operator, &bare.name, format!("app={}", bare.name)).await?;
    let ours = Side::of(operator, NAME, selector).await?;
    let mut seconds = Figure::of(name, "s", vec![]);
    for run in 0..runs {
        let change = changes[run % 2];
        let patched = async || {
            let sets = Api::<StatefulSet>::namespaced(operator.client(), &operator.namespace);
            let container = change.of_container(&sets.get(&bare.name).await?)?;
            let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
            sets.patch(&bare.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
            Ok(())
        };
        seconds.floor.push(floor.until_all(change, patched).await?);
        let patched = async || operator.patch(NAME, change.of_cluster()).await;
        seconds.values.push(ours.until_all(change, patched).await?);
    }
    let gaps = Figure { floor: floor.gaps().await?, ..Figure::of(gap, "ms", ours.gaps().await?) };
    seconds.print();
    gaps.print();
    Ok(())
}

impl Change {
    /// As an EtcdCluster says it.
    fn of_cluster(self) -> Value {
        match self {
            Self::Version(version) => json!({ "version": version }),
            Self::MaxTxnOps(limit) => json!({"etcd": {"extraArgs": {"max-txn-ops": limit.to_string()}}}),
        }
    }

    /// As a bare StatefulSet's container has it.
    fn of_container(self, set: &StatefulSet) -> Result<Value> {
        let container = set.spec.as_ref().and_then(|set| set.template.spec.as_ref()?.containers.first());
        let args =
            container.and_then(|container| container.args.clone()).context("the StatefulSet has no arguments")?;
        Ok(match self {
            Self::Version(version) => json!({"name": "etcd", "image": etcd_image(version)}),
            Self::MaxTxnOps(limit) => {
                let others = args.into_iter().filter(|flag| !flag.starts_with("--max-txn-ops="));
                let args: Vec<String> = others.chain([format!("--max-txn-ops={limit}")]).collect();
                json!({"name": "etcd", "args": args})
            }
        })
    }

    /// Fails unless it has come to this member.
    async fn is_done(self, etcd: &Etcd) -> Result<()> {
        match self {
            Self::Version(version) => {
                let runs = etcd.said().await?.version;
                ensure!(format!("v{runs}") == version, "a member runs {runs}");
            }
            Self::MaxTxnOps(limit) => {
                let takes = etcd.txn(TRIED).await.is_ok();
                ensure!(takes == (limit as usize >= TRIED), "a member has another limit");
            }
        }
        etcd.serves().await
    }
}

impl<'a> Side<'a> {
    async fn of(operator: &'a Operator, name: &str, selector: String) -> Result<Self> {
        let pods = Api::namespaced(operator.client(), &operator.namespace);
        let client = Client::start(pods, &selector, None).await?;
        Ok(Self { operator, name: name.to_owned(), selector, client })
    }

    /// Seconds from the change until it has come to every member, and all serve in pods that are Ready.
    async fn until_all(&self, change: Change, patched: impl AsyncFn() -> Result<()>) -> Result<f64> {
        sleep(REST).await;
        self.client.mark("change").await?;
        let changed = Instant::now();
        patched().await?;
        let seconds = loop {
            match self.all_have(change).await {
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

    async fn all_have(&self, change: Change) -> Result<()> {
        let pods = self.pods().await?;
        ensure!(pods.len() == MEMBERS && pods.iter().all(is_ready), "not all pods are Ready");
        for pod in pods {
            change.is_done(&Etcd::at(&address(&pod)?, CLIENT_PORT).await?).await?;
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
