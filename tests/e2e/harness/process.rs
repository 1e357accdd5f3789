//! The processes of a pod by what they are for.

use anyhow::{Context, Result};
use testbed::Faults;
use testbed::faults::process::PodProcess;

/// A process of a member's pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// etcd itself.
    Etcd,
    /// PID 1 of the etcd container, its parent.
    Launcher,
    /// PID 1 of the agent container.
    AgentInit,
    /// The agent itself, its child.
    Sidecar,
}

impl Part {
    fn is(self, container: &str, argv: &[String]) -> bool {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let program = words.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
        let verb = words.get(1).copied().unwrap_or_default();
        match self {
            Self::Etcd => container == "etcd" && program == "etcd",
            Self::Launcher => container == "etcd" && verb == "launch",
            Self::AgentInit => container == "agent" && verb == "run",
            Self::Sidecar => container == "agent" && verb == "sidecar",
        }
    }
}

/// The process as it runs now.
///
/// # Errors
/// When it does not run.
pub async fn find(faults: &Faults, namespace: &str, pod: &str, part: Part) -> Result<PodProcess> {
    let all = faults.processes(namespace, pod).await?;
    let found = all.iter().find(|one| part.is(&one.container, &one.argv)).cloned();
    found.with_context(|| format!("pod {pod} runs no {part:?}, only {all:?}"))
}
