//! `make demo`, the main job as a user does it: install the operator, apply an example, wait until it is Ready, put and get a
//! key. Before it, all that this needs and no more.

use crate::deadline::{RealClock, until};
use crate::kubectl::{ask, feed};
use crate::place::{Cluster, Place};
use crate::plan::{self, Step, Task, Teller};
use crate::toolchain::{self, Tool};
use crate::view::Far;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

const INSTALL: &str = "manifests/install.yaml";
const EXAMPLE: &str = "manifests/examples/three.yaml";
/// The coordinator needs seconds; a machine under load may need ten times that. kubectl counts from its own start.
const ROLLOUT: &str = "--timeout=120s";
const ESTABLISHED: &str = "--timeout=60s";
/// Three members are Ready within ten seconds where images are at hand; a cluster of somebody's own may pull them slowly.
const READY: Duration = Duration::from_secs(300);
/// An API server that does not answer is asked again: the wait must end.
const PATIENCE: &str = "--request-timeout=10s";
/// Between two looks: a look by kubectl costs a tenth of a second of a core.
const LOOK: Duration = Duration::from_millis(200);
const NEXT: &str = "
Try next (source .testbed/env first, unless the cluster is your own):
  kubectl get etcdc,etcdm
  kubectl describe etcdc demo
  kubectl exec demo-0 -- etcdctl member list
  kubectl exec demo-0 -c agent -- etcd-agent status
  kubectl scale etcdc demo --replicas=5 && kubectl get etcdm -w
  kubectl delete pod demo-0 && kubectl get pods -w
  make down
";

/// All of it.
///
/// # Errors
/// With the task that failed, and why.
pub fn perform(place: &Place) -> Result<()> {
    let example = std::fs::read_to_string(EXAMPLE).with_context(|| format!("read {EXAMPLE}"))?;
    let version = version(&example).with_context(|| format!("{EXAMPLE} names no version"))?;
    let mut steps = vec![build(place, version)?];
    if let Cluster::Testbed(_) = place.cluster {
        let mut up = place.testbed();
        up.args(["up", "--nodes", &place.nodes, "--etcd", version]);
        steps.push(step("boot a Kubernetes on this machine", Task::listen("testbed", up)));
    }
    let mut load = place.testbed();
    load.arg("load").args(["agent", "coordinator"].map(|name| place.out.join(format!("images/{name}.tar"))));
    steps.push(Step {
        name: "install the operator".to_owned(),
        lanes: vec![vec![Task::listen("images", load), Task::call("operator", install)]],
    });
    steps.push(step(&format!("kubectl apply -f {EXAMPLE}"), Task::call("demo", apply)));
    plan::perform(steps)
}

fn step(name: &str, task: Task) -> Step {
    Step { name: name.to_owned(), lanes: vec![vec![task]] }
}

/// Only what the example needs: of the releases of etcd its own and the API server's store.
fn build(place: &Place, version: &str) -> Result<Step> {
    let rust = vec![
        Task::listen("testbed", place.make("testbed-program")),
        Task::listen("agent and coordinator", place.make("programs")),
        Task::listen("images", place.make("images")),
    ];
    let mut lanes = vec![rust];
    if let Cluster::Testbed(_) = place.cluster {
        let etcd = toolchain::etcd(version).with_context(|| format!("build what {EXAMPLE} needs"))?;
        let mut tools: Vec<&'static Tool> = vec![&toolchain::KUBERNETES, &toolchain::COREDNS, toolchain::store()];
        if etcd.name != toolchain::store().name {
            tools.push(etcd);
        }
        lanes.push(tools.into_iter().map(Task::tool).collect());
    }
    Ok(Step { name: "build what the example needs, Rust and Go side by side".to_owned(), lanes })
}

/// The `version:` of an example.
fn version(example: &str) -> Option<&str> {
    example.lines().find_map(|line| line.trim_start().strip_prefix("version:")).map(str::trim)
}

fn install(teller: &Teller<'_>) -> Result<()> {
    let place = Place::from_env();
    let manifest = std::fs::read_to_string(INSTALL).with_context(|| format!("read {INSTALL}"))?;
    let manifest = match &place.registry {
        Some(registry) => from_registry(&manifest, registry),
        None => manifest,
    };
    feed(&place, &["apply", "--server-side", "--force-conflicts", "-f", "-"], &manifest)?;
    teller.far(Far::Words("the kinds are being established".to_owned()));
    let kinds = ["etcdclusters", "etcdmembers", "etcdusers", "etcdbackups", "etcdrestores"];
    let kinds = kinds.map(|kind| format!("crd/{kind}.etcd.etcd.io"));
    // kubectl takes a kind that was made this moment, and has no conditions yet, for an error.
    let mut wait = vec!["wait", "--for=condition=Established", ESTABLISHED];
    wait.extend(kinds.iter().map(String::as_str));
    let established = || ask(&place, &wait);
    established().or_else(|_| established())?;
    teller.far(Far::Words("the coordinator starts".to_owned()));
    ask(&place, &["-n", "etcd-operator-system", "rollout", "status", "deployment/etcd-coordinator", ROLLOUT])?;
    Ok(())
}

/// A cluster of your own that gets images from a registry finds them there.
fn from_registry(manifest: &str, registry: &str) -> String {
    let registry = registry.trim_end_matches('/');
    ["agent", "coordinator"].iter().fold(manifest.to_owned(), |manifest, name| {
        manifest.replace(&format!("etcd-operator/{name}:dev"), &format!("{registry}/{name}:dev"))
    })
}

fn apply(teller: &Teller<'_>) -> Result<()> {
    let place = Place::from_env();
    let board = teller.board;
    let applied = Instant::now();
    ask(&place, &["apply", "-f", EXAMPLE])?;
    let mut told = String::new();
    let ready = until(&RealClock, "demo is Ready", READY, LOOK, || {
        let now = Said::of(&ask(&place, &["get", "etcdcluster", "demo", PATIENCE, "-o", Said::JSONPATH])?);
        if now.words != told && !now.words.is_empty() {
            board.say(&now.words);
            told.clone_from(&now.words);
        }
        if now.is_ready { Ok(()) } else { bail!("it says: {}", now.words) }
    });
    if ready.is_err() {
        board.print(&ask(&place, &["describe", "etcdcluster", "demo"]).unwrap_or_default());
    }
    ready.context("the conditions above say why")?;
    let took = applied.elapsed();
    board.print(ask(&place, &["get", "etcdclusters,etcdmembers"])?.trim_end());
    ask(&place, &["exec", "demo-0", "--", "etcdctl", "put", "hello", "world"])?;
    let value = ask(&place, &["exec", "demo-2", "--", "etcdctl", "get", "--print-value-only", "hello"])?;
    board.say(&format!("put through demo-0, get through demo-2: hello = {}", value.trim()));
    board.print(NEXT);
    board.print(&format!("demo is Ready in {:.1} s", took.as_secs_f64()));
    Ok(())
}

/// What the object says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    is_ready: bool,
    words: String,
}

impl Said {
    const JSONPATH: &str = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}\n{.status.phase}\n{.status.conditions[?(@.type==\"Ready\")].message}";

    fn of(answer: &str) -> Self {
        let mut lines = answer.lines();
        let is_ready = lines.next() == Some("True");
        let words: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        Self { is_ready, words: words.join(": ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_names_a_release_that_the_testbed_can_build() {
        let example = include_str!("../../manifests/examples/three.yaml");
        assert!(toolchain::etcd(version(example).unwrap()).is_ok());
    }

    #[test]
    fn a_demo_on_the_testbed_builds_two_releases_of_etcd_and_one_elsewhere_none() {
        let place = |cluster| Place { out: "target".into(), cluster, nodes: "3".to_owned(), registry: None };
        let etcds = |place: &Place| {
            let step = build(place, "v3.5.21").unwrap();
            step.lanes.iter().flatten().filter(|task| task.what.starts_with("etcd-v")).count()
        };
        assert_eq!(etcds(&place(Cluster::Testbed("/own".into()))), 2);
        assert_eq!(etcds(&place(Cluster::Foreign("/other".into()))), 0);
    }

    #[test]
    fn a_new_object_says_nothing_and_is_not_ready() {
        assert_eq!(Said::of("\n\n"), Said { is_ready: false, words: String::new() });
        assert_eq!(Said::of(""), Said { is_ready: false, words: String::new() });
        let said = Said::of("False\nCreating\n1 of 3 members serve");
        assert_eq!(said, Said { is_ready: false, words: "Creating: 1 of 3 members serve".to_owned() });
        assert!(Said::of("True\nRunning\n3 of 3").is_ready);
    }

    #[test]
    fn a_registry_holds_both_images() {
        let manifest = include_str!("../../manifests/install.yaml");
        let moved = from_registry(manifest, "registry.example/etcd/");
        assert!(
            moved.contains("registry.example/etcd/agent:dev")
                && moved.contains("registry.example/etcd/coordinator:dev")
        );
        assert!(!moved.contains("etcd-operator/agent:dev") && !moved.contains("etcd-operator/coordinator:dev"));
    }
}
