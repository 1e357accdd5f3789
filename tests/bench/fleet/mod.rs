//! What a fleet of clusters costs its one coordinator: memory, a restart, rest, and the time to act on an edit while a
//! tenth of them is broken. `FLEET=n` says how many (1,000), three members each.
//!
//! ```text
//!   coordinator alone ─▶ it makes the fleet ─▶ edits ─▶ rest: writes? ─▶ ended and started anew: writes? settled when? ─▶ all removed
//!        memory              memory                                               memory
//! ```
//! API server and coordinator are real; what would run in the pods is played ([`herd`]).

mod coordinator;
mod herd;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use testbed::faults::control_plane::Component;
use tokio::time::sleep;

use crate::{figure::Figure, operator::Operator};
use coordinator::Coordinator;
use herd::{Herd, Lot, NAME};

/// What is measured here, all at once.
pub const FIGURES: [&str; 8] = [
    "fleet-rss-per-cluster",
    "fleet-rss-per-cluster-restarted",
    "fleet-restart-writes",
    "fleet-restart-settle",
    "fleet-restart-react",
    "fleet-idle-writes",
    "fleet-idle-cpu",
    "fleet-react",
];

const MEMBERS: usize = 3;
/// Clusters of one namespace: addresses are formed from it.
const TOGETHER: usize = 50;
/// Namespaces that are filled at a time: enough that the coordinator's pace is what is waited for.
const AT_ONCE: usize = 4;
/// What follows from what was done has happened by then.
const SETTLE: Duration = Duration::from_secs(20);
/// Time in which nothing happens.
const REST: Duration = Duration::from_secs(60);
/// How many edits, and the pause between two.
const EDITS: usize = 200;
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks for what an edit leads to.
const LOOK: Duration = Duration::from_millis(10);
/// A write costs the coordinator 20 ms of its pace and a cluster takes some 15: ten times that.
const PATIENCE_PER_CLUSTER: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(300);
const EDITED: &str = "etcd-bench/edit";

/// The fleet.
struct Fleet<'a> {
    operator: &'a Operator,
    client: Client,
    clusters: usize,
    log: PathBuf,
}

/// Measures everything, and leaves nothing. What others have in the cluster is let be.
pub async fn measure(operator: &Operator, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let clusters = std::env::var("FLEET").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let log = std::env::temp_dir().join(format!("{}-fleet.log", operator.namespace));
    let fleet = Fleet { operator, client: operator.client(), clusters, log };
    let faults = operator.cluster.faults().context("the benchmark needs the testbed")?;
    let others = Api::<DynamicObject>::all_with(operator.client(), &herd::kind("EtcdCluster", "etcdclusters"));
    if !others.list_metadata(&ListParams::default()).await?.items.is_empty() {
        say(
            "skipped: the fleet's coordinator looks after all namespaces, and there is an EtcdCluster of somebody else",
        );
        return Ok(());
    }
    for played in [Component::ControllerManager, Component::Scheduler] {
        faults.stop(played).await?;
    }
    let outcome = fleet.figures().await;
    for played in [Component::ControllerManager, Component::Scheduler] {
        faults.start(played).await?;
    }
    let removed = fleet.remove().await;
    let log = std::fs::read_to_string(&fleet.log).unwrap_or_default();
    // It was read.
    let _ = std::fs::remove_file(&fleet.log);
    let figures = outcome.with_context(|| format!("--- coordinator\n{}", tail(&log)))?;
    figures.iter().filter(|figure| wanted(&figure.name)).for_each(Figure::print);
    removed
}

impl Fleet<'_> {
    async fn figures(&self) -> Result<Vec<Figure>> {
        self.make_namespaces().await?;
        let coordinator = self.start()?;
        coordinator.settled(0, PATIENCE).await?;
        sleep(Duration::from_secs(3)).await;
        let alone = coordinator.memory()?;
        say(&format!("a coordinator without clusters has {alone:.0} KB"));

        let begun = Instant::now();
        self.make().await?;
        say(&format!("{} clusters were made in {:.0} s", self.clusters, begun.elapsed().as_secs_f64()));
        sleep(SETTLE).await;
        let per_cluster = |memory: f64| (memory - alone) / self.clusters as f64;
        let mut figures =
            vec![Figure::of("fleet-rss-per-cluster", "KB", vec![per_cluster(coordinator.memory()?)]).goal(15.0)];
        figures.push(self.react().await?);
        figures.extend(self.rest(&coordinator).await?);
        coordinator.end().await?;
        figures.extend(self.restart(per_cluster).await?);
        Ok(figures)
    }

    fn start(&self) -> Result<Coordinator> {
        let kubeconfig = self.operator.cluster.testbed().context("the benchmark needs the testbed")?.kubeconfig();
        Coordinator::start(&kubeconfig, &self.namespace(0), &self.log)
    }

    /// Writes and processor time while nothing happens. The API server's own count of writes to what the coordinator
    /// alone writes is told beside.
    async fn rest(&self, coordinator: &Coordinator) -> Result<Vec<Figure>> {
        let (before, cpu, seen) = (coordinator.counts().await?, coordinator.cpu()?, self.writes_seen().await?);
        sleep(REST).await;
        let (after, used, saw) = (coordinator.counts().await?, coordinator.cpu()? - cpu, self.writes_seen().await?);
        let writes = after.writes - before.writes;
        say(&format!(
            "at rest for {REST:?}: {writes} writes, of which the API server saw {}, {} reconciliations, {used:.2} s of a processor",
            saw - seen,
            after.reconciles - before.reconciles,
        ));
        let hourly = writes * 3600.0 / REST.as_secs_f64() / self.clusters as f64;
        Ok(vec![
            Figure::of("fleet-idle-writes", "per cluster and hour", vec![hourly]).goal(0.0),
            Figure::of("fleet-idle-cpu", "% of a processor", vec![used * 100.0 / REST.as_secs_f64()]),
        ])
    }

    /// Seconds from an edit of some cluster to the first write that it leads to: 99 of a hundred take no longer.
    async fn react(&self) -> Result<Figure> {
        let mut took = vec![];
        for edit in 0..EDITS {
            // All over the fleet, and none twice where there are enough.
            let cluster = (edit * 7919) % self.clusters;
            if Lot::of(cluster) == Lot::Healthy {
                took.push(self.edit(cluster, &edit.to_string()).await?.as_secs_f64());
            }
            sleep(PAUSE).await;
        }
        took.sort_by(f64::total_cmp);
        say(&format!("of {} edits half led to a write within {:.3} s", took.len(), took[took.len() / 2]));
        Ok(Figure::of("fleet-react", "s", vec![took[took.len() * 99 / 100]]).goal(1.0))
    }

    /// Starts two successors, one after the other: of the first nobody asks anything, of the second somebody does at once.
    async fn restart(&self, per_cluster: impl Fn(f64) -> f64) -> Result<Vec<Figure>> {
        let coordinator = self.start()?;
        let passes = coordinator.settled(self.clusters, PATIENCE).await?.reconciles / self.clusters as f64;
        let settled = coordinator.started.elapsed().as_secs_f64();
        sleep(SETTLE).await;
        let (counts, memory) = (coordinator.counts().await?, coordinator.memory()?);
        ensure!(counts.leads, "the Lease was lost");
        say(&format!(
            "a restart looked at each cluster {passes:.2} times, and {:.1} s of a processor",
            coordinator.cpu()?
        ));
        coordinator.end().await?;
        let coordinator = self.start()?;
        let edited =
            (0..self.clusters).rev().find(|cluster| Lot::of(*cluster) == Lot::Healthy).context("all are broken")?;
        self.edit(edited, "while nobody led").await?;
        let reacted = coordinator.started.elapsed().as_secs_f64();
        coordinator.end().await?;
        Ok(vec![
            Figure::of("fleet-rss-per-cluster-restarted", "KB", vec![per_cluster(memory)]).goal(15.0),
            Figure::of("fleet-restart-writes", "", vec![counts.writes]).goal(0.0),
            Figure::of("fleet-restart-settle", "s", vec![settled]).goal(10.0),
            Figure::of("fleet-restart-react", "s", vec![reacted]).goal(10.0),
        ])
    }

    /// Edits a cluster's Service, and waits until that was done.
    async fn edit(&self, cluster: usize, word: &str) -> Result<Duration> {
        let (namespace, name) = (self.namespace(cluster / TOGETHER), name(cluster));
        let services = Api::<Service>::namespaced(self.client.clone(), &namespace);
        let patch = Patch::Merge(json!({"spec": {"service": {"annotations": {EDITED: word}}}}));
        let asked = Instant::now();
        self.herd(cluster / TOGETHER).clusters.patch(&name, &PatchParams::default(), &patch).await?;
        loop {
            let service = services.get_metadata(&format!("{name}-client")).await?;
            if service.annotations().get(EDITED).is_some_and(|done| done == word) {
                return Ok(asked.elapsed());
            }
            ensure!(asked.elapsed() < PATIENCE, "nothing came of an edit of {namespace}/{name}");
            sleep(LOOK).await;
        }
    }

    async fn make_namespaces(&self) -> Result<()> {
        for number in 0..self.namespaces() {
            let body: Namespace = serde_json::from_value(json!({"metadata": {"name": self.namespace(number)}}))?;
            Api::all(self.client.clone()).create(&PostParams::default(), &body).await?;
        }
        Ok(())
    }

    async fn make(&self) -> Result<()> {
        let all = stream::iter(0..self.namespaces()).map(|number| self.fill(number));
        all.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Makes the clusters of one namespace, and plays until they are as they are made to be.
    async fn fill(&self, number: usize) -> Result<()> {
        let (herd, begun) = (self.herd(number), Instant::now());
        let clusters = (number * TOGETHER)..((number + 1) * TOGETHER).min(self.clusters);
        let params = PostParams::default();
        let creating = stream::iter(clusters).map(async |cluster| {
            herd.clusters.create(&params, &object(cluster)?).await?;
            anyhow::Ok(())
        });
        creating.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        loop {
            let left = herd.turn().await?;
            if left == 0 {
                say(&format!("{} is filled", self.namespace(number)));
                return Ok(());
            }
            let patience = PATIENCE + PATIENCE_PER_CLUSTER * u32::try_from(TOGETHER * AT_ONCE)?;
            ensure!(begun.elapsed() < patience, "{left} clusters of {} do not settle", self.namespace(number));
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Removes every object. Nobody is left who would take the finalizers of so many claims away in time.
    async fn remove(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let removing = stream::iter(0..self.namespaces()).map(|number| async move {
            let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), &self.namespace(number));
            let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            for claim in claims.list_metadata(&ListParams::default()).await?.items {
                claims.patch_metadata(&claim.name_any(), &PatchParams::default(), &bare).await?;
            }
            let namespaces = Api::<Namespace>::all(self.client.clone());
            if namespaces.get_opt(&self.namespace(number)).await?.is_some() {
                namespaces.delete(&self.namespace(number), &DeleteParams::default()).await?;
            }
            anyhow::Ok(())
        });
        removing.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let begun = Instant::now();
        for number in 0..self.namespaces() {
            while namespaces.get_opt(&self.namespace(number)).await?.is_some() {
                let patience = PATIENCE + PATIENCE_PER_CLUSTER * u32::try_from(self.clusters)?;
                ensure!(begun.elapsed() < patience, "namespace {} does not go", self.namespace(number));
                sleep(Duration::from_secs(1)).await;
            }
        }
        say(&format!("all were removed within {:.0} s", begun.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Writes that the API server has answered, to kinds that nobody but the coordinator writes while nothing happens.
    async fn writes_seen(&self) -> Result<f64> {
        let text = self.client.request_text(http::Request::get("/metrics").body(vec![])?).await?;
        let writes = ["POST", "PUT", "PATCH", "APPLY", "DELETE"].map(|verb| format!("verb=\"{verb}\""));
        let kinds = ["etcdclusters", "etcdmembers", "statefulsets", "services", "serviceaccounts"];
        let others = ["poddisruptionbudgets", "roles", "rolebindings"];
        let kinds: Vec<_> = kinds.iter().chain(&others).map(|kind| format!("resource=\"{kind}\"")).collect();
        let counts = |line: &&str| {
            line.starts_with("apiserver_request_total{")
                && writes.iter().any(|verb| line.contains(verb))
                && kinds.iter().any(|kind| line.contains(kind))
        };
        Ok(text.lines().filter(counts).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    fn herd(&self, number: usize) -> Herd {
        Herd::new(&self.client, &self.namespace(number))
    }

    fn namespaces(&self) -> usize {
        self.clusters.div_ceil(TOGETHER)
    }

    fn namespace(&self, number: usize) -> String {
        format!("{}-fleet-{number}", self.operator.namespace)
    }
}

fn name(cluster: usize) -> String {
    format!("{NAME}{cluster}")
}

fn object(cluster: usize) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "etcd.etcd.io/v1alpha1",
        "kind": "EtcdCluster",
        "metadata": {"name": name(cluster)},
        "spec": {
            "size": MEMBERS,
            "version": "v3.5.21",
            "storage": {"size": "512Mi", "storageClassName": "local"},
            // The agents of the herd ask for no certificates.
            "security": {"peer": {"mode": "Plain"}, "client": {"mode": "Plain"}},
        },
    }))?)
}

fn say(words: &str) {
    eprintln!("fleet: {words}");
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
