//! The run of etcd that was last seen to find a quorum, remembered where it outlives the agent.
//!
//! A member that has served stays in the Service when the quorum is lost: its reads without one are better than nothing. An
//! agent that is started again meanwhile cannot see that it did. The folder that agent and launcher share has the pod's life.

use std::{fs, path::PathBuf};

use tracing::debug;

/// Name of the file in the shared folder.
const FILE: &str = "served";

/// The memory; a run is named by what tells it from every other in its pod.
#[derive(Debug)]
pub struct Served {
    file: PathBuf,
    last: Option<String>,
}

impl Served {
    /// Reads what a former agent of this pod has left.
    #[must_use]
    pub fn in_folder(shared: &std::path::Path) -> Self {
        let file = shared.join(FILE);
        let last = fs::read_to_string(&file).ok();
        Self { file, last }
    }

    /// Whether this run has found a quorum.
    #[must_use]
    pub fn is_of(&self, run: Option<&str>) -> bool {
        run.is_some() && self.last.as_deref() == run
    }

    /// No etcd runs: a launcher's successor counts from the beginning, and may come to the same name.
    pub fn forget(&mut self) {
        if self.last.take().is_some() {
            let _ = fs::remove_file(&self.file);
        }
    }

    /// This run has.
    pub fn note(&mut self, run: Option<String>) {
        if self.is_of(run.as_deref()) {
            return;
        }
        let Some(run) = run else { return };
        if let Err(error) = fs::write(&self.file, &run) {
            debug!(%error, "cannot note that etcd has served");
        }
        self.last = Some(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_agent_of_the_pod_knows_which_run_has_served_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let run = |text: &'static str| Some(text);
        let mut served = Served::in_folder(dir.path());
        assert!(!served.is_of(run("1 0 7")) && !served.is_of(None));
        served.note(run("1 0 7").map(Into::into));
        served.note(None);
        let next = Served::in_folder(dir.path());
        assert!(next.is_of(run("1 0 7")));
        assert!(!next.is_of(run("1 1 7")) && !next.is_of(None));
        served.forget();
        assert!(!served.is_of(run("1 0 7")) && !Served::in_folder(dir.path()).is_of(run("1 0 7")));
    }
}
