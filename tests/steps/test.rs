//! `make test`: everything is built first, what can fail soonest before the rest; then every test.

use crate::place::{Cluster, Place};
use crate::plan::{self, Step, Task};
use crate::toolchain;
use anyhow::Result;
use std::process::Command;

/// All of it.
///
/// # Errors
/// With the task that failed, and why.
pub fn perform(place: &Place) -> Result<()> {
    let mut tests = Command::new("tests/with-testbed.sh");
    tests.arg(place.out.join("debug/testbed")).args(["make", "--no-print-directory", "api-only", "e2e-only"]);
    plan::perform(vec![
        build(place),
        Step { name: "unit tests".to_owned(), lanes: vec![vec![Task::show("unit tests", place.make("unit"))]] },
        Step {
            name: "tests of the kinds and of every promise, on a real Kubernetes".to_owned(),
            lanes: vec![vec![Task::show("api and e2e", place.aimed(tests))]],
        },
    ])
}

fn build(place: &Place) -> Step {
    let rust = vec![
        Task::listen("format and lints", place.make("lint")),
        Task::listen("testbed", place.make("testbed-program")),
        Task::listen("agent and coordinator", place.make("programs")),
        Task::listen("an agent that crashes", place.make("crash-image")),
        Task::listen("an agent of the last release", place.make("last-release-image")),
        Task::listen("tests", place.make("test-programs")),
        Task::listen("images", place.make("images")),
    ];
    let mut tools = vec![&toolchain::CLIENT, &toolchain::GATEWAY, &toolchain::HELM];
    if let Cluster::Testbed(_) = place.cluster {
        tools.extend([&toolchain::KUBERNETES, &toolchain::COREDNS]);
        tools.extend(&toolchain::ETCDS);
    }
    let go = tools.into_iter().map(Task::tool).collect();
    Step { name: "build everything, Rust and Go side by side".to_owned(), lanes: vec![rust, go] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_on_a_cluster_of_somebody_elses_build_no_kubernetes() {
        let built = |cluster| {
            let place = Place { out: "target".into(), cluster, nodes: "3".to_owned(), registry: None };
            build(&place).lanes[1].iter().map(|task| task.what.clone()).collect::<Vec<_>>()
        };
        assert_eq!(built(Cluster::Foreign("/other".into())), ["client", "versitygw-v1.8.0", "helm-v4.3.1"]);
        assert_eq!(built(Cluster::Testbed("/own".into())).len(), 5 + toolchain::ETCDS.len());
    }
}
