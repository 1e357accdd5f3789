//! Promise: Helm installs the operator, changes it, takes the change back, removes it and installs it again, and no etcd notices. The kinds
//! and all clusters outlive the release. An operator that was installed with one file becomes a release.
//!
//! The release is kept to the namespace of the test, where it makes all its objects. Outside are the kinds alone, which are everybody's: the
//! release of one test takes them over as they are, and gives them up at the end.

use crate::harness::demo::unsaid;
use crate::harness::stage::{agent_image, apply_kinds};
use crate::harness::{Client, Demo, Manner, PATIENCE, Stage, holds, play, until};
use crate::in_cluster;
use crate::operator_upgrade::etcds;
use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use std::time::Duration;
use testbed::Helm;
use testbed::helm::CHART;

const RELEASE: &str = "etcd-operator";
/// Two pods start and one of them leads; a machine under load needs many times that.
const WAIT: &str = "--timeout=150s";
/// The longest that an application may wait on a busy machine while etcd goes on.
const GAP_MS: f64 = 10_000.0;
/// Whatever follows from an uninstall has happened by then.
const AFTER: Duration = Duration::from_secs(15);
/// What the API server takes as a Secret.
const SECRET: usize = 1 << 20;
/// Helm's annotation with the namespace of the release that something is of.
const OWNER: &str = "meta.helm.sh/release-namespace";
const KINDS: [&str; 5] = ["etcdclusters", "etcdmembers", "etcdusers", "etcdbackups", "etcdrestores"];

#[test]
fn helm_installs_changes_and_removes_the_operator_and_no_etcd_notices() {
    play("chart", Manner::Beside, async |stage| with_helm(stage, live).await.and(given_up(stage).await));
}

#[test]
fn an_operator_that_kubectl_has_installed_becomes_a_release_and_no_etcd_notices() {
    play("chart_takes_over", Manner::Beside, async |stage| with_helm(stage, take_over).await);
}

async fn with_helm(stage: &Stage, story: impl AsyncFnOnce(&Release<'_>) -> Result<()>) -> Result<()> {
    // That of the release has its Lease in the same namespace: it goes on where this one has stopped.
    stage.stop_coordinator().await?;
    let release = Release { stage, helm: Helm::ready(stage.kubectl.kubeconfig.clone()).await? };
    let outcome = story(&release).await;
    if outcome.is_err() {
        release.tell().await;
    }
    outcome
}

/// The life of a release, with a cluster and its application through all of it.
async fn live(release: &Release<'_>) -> Result<()> {
    let stage = release.stage;
    release.is_refused_the_kinds_of_others().await?;
    let notes = release.install(&["--take-ownership", "--force-conflicts"]).await?;
    ensure!(notes.contains(&format!("looks after {}.", stage.namespace)), "Helm says {notes}");
    let (demo, took) = Demo::up(stage, "demo", unsaid(3)).await?;
    stage.say(format!("Ready after {:.2} s by an operator that Helm has installed", took.as_secs_f64()));
    let id = demo.all_vote().await?;
    let before = State::of(&demo).await?;
    let client = Client::start(&demo).await?;

    changed_and_taken_back(release, &demo, &before).await?;
    release.fits().await?;
    removed_and_installed_again(release, &demo, &before, &client).await?;
    let report = client.finish(&demo).await?;
    ensure!(report.gap_ms < GAP_MS, "an application waited for {:.0} ms", report.gap_ms);
    ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
    demo.delete().await
}

async fn changed_and_taken_back(release: &Release<'_>, demo: &Demo<'_>, before: &State) -> Result<()> {
    // A release that has no kinds any more lets them be.
    let values = ["--reset-then-reuse-values", "--set", "log.filter=debug,crds.install=false"];
    let change = [&["upgrade", RELEASE, CHART][..], &values, &["--wait", WAIT]].concat();
    let back = ["rollback", RELEASE, "1", "--wait", WAIT];
    for (what, args, is_changed) in [("the upgrade", &change[..], true), ("the rollback", &back[..], false)] {
        release.helm(args).await?;
        let arguments = release.arguments().await?;
        ensure!(
            arguments.iter().any(|one| one == "--log-filter=debug") == is_changed,
            "{what} has made it {arguments:?}"
        );
        obeyed(demo, &format!("after {what}")).await?;
        before.holds(demo).await.with_context(|| format!("after {what}"))?;
    }
    Ok(())
}

async fn removed_and_installed_again(
    release: &Release<'_>,
    demo: &Demo<'_>,
    before: &State,
    client: &Client,
) -> Result<()> {
    let stage = release.stage;
    let said = release.helm(&["uninstall", RELEASE, "--wait", WAIT]).await?;
    ensure!(said.contains("etcdclusters.etcd.etcd.io"), "Helm does not say what it keeps: {said}");
    let left = stage.api::<Deployment>().list(&ListParams::default()).await?.items;
    ensure!(left.is_empty(), "{} Deployments are left", left.len());
    holds("etcd goes on without the operator", AFTER, async || before.holds(demo).await).await?;
    client.next(PATIENCE).await?;

    // Of the same name: the kinds that it has left are its own.
    release.install(&[]).await?;
    obeyed(demo, "after it was installed again").await?;
    before.holds(demo).await.context("after it was installed again")
}

async fn take_over(release: &Release<'_>) -> Result<()> {
    in_cluster::install(release.stage).await?;
    let (demo, _) = Demo::up(release.stage, "demo", unsaid(3)).await?;
    let before = State::of(&demo).await?;
    // The kinds are the other test's to take over.
    release.install(&["--set", "crds.install=false", "--take-ownership", "--force-conflicts"]).await?;
    obeyed(&demo, "after it became a release").await?;
    // kubectl still has the fields that were the same before.
    let values = ["--reset-then-reuse-values", "--set", "log.format=text,replicas=1", "--force-conflicts"];
    release.helm(&[&["upgrade", RELEASE, CHART][..], &values, &["--wait", WAIT]].concat()).await?;
    ensure!(release.arguments().await?.iter().any(|one| one == "--log-format=text"), "it was not changed");
    obeyed(&demo, "after the upgrade").await?;
    before.holds(&demo).await?;
    demo.delete().await
}

/// The operator as a release of Helm's.
struct Release<'a> {
    stage: &'a Stage,
    helm: Helm,
}

impl Release<'_> {
    /// Helm in the namespace of the test.
    async fn helm(&self, args: &[&str]) -> Result<String> {
        self.helm.run(&[args, &["--namespace", &self.stage.namespace]].concat()).await
    }

    /// Installs it for this namespace, with the agents under test, and returns what Helm says.
    async fn install(&self, args: &[&str]) -> Result<String> {
        let values = format!("namespaces={{{}}},rbac.people=false", self.stage.namespace);
        let agent = format!("images.agent={}", agent_image());
        let install = ["install", RELEASE, CHART, "--set", &values, "--set-string", &agent, "--wait", WAIT];
        self.helm(&[&install, args].concat()).await
    }

    /// The kinds are there already, of no release or of another one.
    async fn is_refused_the_kinds_of_others(&self) -> Result<()> {
        let Err(refused) = self.install(&[]).await else { bail!("Helm has taken the kinds of others unasked") };
        let said = format!("{refused:#}");
        ensure!(said.contains("cannot be imported into the current release"), "Helm says {said}");
        Ok(())
    }

    /// What the coordinator is started with.
    async fn arguments(&self) -> Result<Vec<String>> {
        let pods =
            self.stage.api::<Deployment>().get("etcd-coordinator").await?.spec.and_then(|spec| spec.template.spec);
        let mut containers = pods.context("a Deployment has pods")?.containers;
        containers.pop().and_then(|container| container.args).context("the coordinator has arguments")
    }

    /// Helm keeps each revision in a Secret.
    async fn fits(&self) -> Result<()> {
        let secrets = self.stage.api::<Secret>().list(&ListParams::default().labels("owner=helm")).await?;
        let length =
            |secret: &Secret| -> usize { secret.data.iter().flatten().map(|(_, ByteString(bytes))| bytes.len()).sum() };
        let lengths: Vec<usize> = secrets.iter().map(length).collect();
        self.stage.say(format!("Helm's Secrets of the release: {lengths:?} bytes"));
        ensure!(lengths.len() == 3 && lengths.iter().all(|length| *length < SECRET / 2), "they are {lengths:?} bytes");
        Ok(())
    }

    /// What a person would look at.
    async fn tell(&self) {
        let namespace = &self.stage.namespace;
        let logs = ["-n", namespace, "logs", "-l", "app.kubernetes.io/component=coordinator", "--prefix", "--tail=60"];
        let told = [self.stage.kubectl.run(&logs).await, self.helm(&["history", RELEASE]).await];
        for one in told {
            self.stage.say(one.unwrap_or_else(|error| format!("{error:#}")));
        }
    }
}

/// What no step may change: where etcd runs, how often a container was started, and the kinds. One that is made anew has lost all its
/// objects.
#[derive(Debug, PartialEq, Eq)]
struct State {
    etcds: Vec<(Option<String>, Option<i32>)>,
    restarts: i32,
    kinds: Vec<Option<String>>,
}

impl State {
    async fn of(demo: &Demo<'_>) -> Result<Self> {
        let of_the_server = Api::<CustomResourceDefinition>::all(demo.stage.client());
        let kinds = KINDS.map(|kind| format!("{kind}.etcd.etcd.io"));
        let kinds = try_join_all(kinds.iter().map(|kind| of_the_server.get(kind))).await?;
        Ok(Self {
            etcds: etcds(demo).await?,
            restarts: demo.restarts().await?,
            kinds: kinds.iter().map(ResourceExt::uid).collect(),
        })
    }

    async fn holds(&self, demo: &Demo<'_>) -> Result<()> {
        let now = Self::of(demo).await?;
        ensure!(now == *self, "it was {self:?} and is {now:?}");
        Ok(())
    }
}

/// The coordinator does what the spec says, and nothing more.
async fn obeyed(demo: &Demo<'_>, when: &str) -> Result<()> {
    demo.patch_spec(json!({"service": {"annotations": {"example.com/asked": when}}})).await?;
    until(&format!("the operator obeys {when}"), PATIENCE, async || {
        let service = demo.stage.api::<Service>().get(&format!("{}-client", demo.name)).await?;
        ensure!(service.annotations().get("example.com/asked").map(String::as_str) == Some(when), "it has not");
        Ok(())
    })
    .await?;
    demo.ready().await
}

/// The release goes with the namespace, and nothing of it is left on what stays. Whoever applies the kinds next would meet Helm as an
/// owner of their fields; what `kubectl` owns too stays when Helm gives it up.
async fn given_up(stage: &Stage) -> Result<()> {
    apply_kinds(&stage.kubectl).await?;
    let bare = KINDS.map(|kind| {
        let name = format!("{kind}.etcd.etcd.io");
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}})
            .to_string()
    });
    stage.kubectl.feed(&["apply", "--server-side", "--field-manager=helm", "-f", "-"], &bare.join("\n---\n")).await?;
    for kind in Api::<CustomResourceDefinition>::all(stage.client()).list(&ListParams::default()).await? {
        let of = kind.annotations().get(OWNER);
        ensure!(of != Some(&stage.namespace), "{} has Helm's marks", kind.name_any());
    }
    Ok(())
}
