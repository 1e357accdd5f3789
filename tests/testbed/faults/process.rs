//! The processes of a pod, found by their cgroup and broken with signals.

use super::{Faults, Place};
use crate::cgroups;
use crate::daemon::Process;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;

/// A process in a pod as it was found.
#[derive(Clone, Debug)]
pub struct PodProcess {
    pub container: String,
    pub argv: Vec<String>,
    process: Process,
}

impl PodProcess {
    /// On the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// SIGKILL is a crash, SIGSTOP a hang, SIGCONT its end.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The memory it holds (`VmRSS`), in KiB; none when it is gone.
    #[must_use]
    pub fn rss_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}

impl Faults {
    /// The processes of a pod's containers, without the one that holds its namespaces.
    ///
    /// # Errors
    /// When there is no such pod.
    pub async fn processes(&self, namespace: &str, pod: &str) -> Result<Vec<PodProcess>> {
        Ok(self.place(namespace, pod).await?.processes())
    }

    /// Signals the processes of a container whose arguments `which` picks.
    ///
    /// # Errors
    /// When none is picked.
    pub async fn signal(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        which: impl Fn(&[String]) -> bool,
        signal: Signal,
    ) -> Result<()> {
        let all = self.processes(namespace, pod).await?;
        let picked: Vec<&PodProcess> =
            all.iter().filter(|one| one.container == container && which(&one.argv)).collect();
        ensure!(!picked.is_empty(), "container {container} of pod {namespace}/{pod} has no such process, only {all:?}");
        picked.iter().for_each(|one| one.signal(signal));
        Ok(())
    }
}

impl Place {
    pub(crate) fn processes(&self) -> Vec<PodProcess> {
        let container = |(name, id): &(String, String)| {
            let folder = cgroups::find(self.node, id)?;
            let pids = cgroups::pids_below(&folder);
            Some(pids.into_iter().filter_map(|pid| pod_process(name, pid)).collect::<Vec<_>>())
        };
        self.containers.iter().filter_map(container).flatten().collect()
    }

    /// Any live process of the pod, the pause process included: the door to its network namespace.
    pub(crate) fn any_pid(&self) -> Result<i32> {
        let folder = cgroups::find(self.node, &format!("pod{}", self.uid));
        let pids = folder.map(|folder| cgroups::pids_below(&folder)).unwrap_or_default();
        pids.into_iter().next().with_context(|| format!("pod {} has no process on {}", self.name, self.node))
    }
}

fn pod_process(container: &str, pid: i32) -> Option<PodProcess> {
    let process = Process::find(pid)?;
    let argv = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let argv = argv
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned());
    Some(PodProcess { container: container.to_owned(), argv: argv.collect(), process })
}
