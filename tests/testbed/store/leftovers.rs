//! Folders of stores whose test was killed: the next store, and who removes a testbed, remove them.

use crate::daemon::Process;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Then come PID and start time of the test's process.
const PREFIX: &str = "etcd-testbed-store-";

/// What the folder of a store of this process begins with.
pub(super) fn prefix() -> Result<String> {
    let own = Process::find(i32::try_from(std::process::id())?).context("this process runs")?;
    Ok(format!("{PREFIX}{}-{}-", own.pid, own.started))
}

/// Removes what dead processes have left.
pub(crate) fn sweep() {
    sweep_below(&std::env::temp_dir());
}

fn sweep_below(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if owner(&entry.file_name().to_string_lossy()).is_some_and(|owner| !owner.is_alive()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whose store has a folder of this name.
fn owner(name: &str) -> Option<Process> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    Some(Process { pid: parts.next()?.parse().ok()?, started: parts.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_has_left_is_removed() {
        let below = tempfile::tempdir().unwrap();
        let (dead, live) = (format!("{PREFIX}2147483647-1-x"), format!("{}x", prefix().unwrap()));
        let names = [dead, live, "somebody-elses-2147483647-1".to_owned(), format!("{PREFIX}odd")];
        names.iter().for_each(|name| fs::create_dir(below.path().join(name)).unwrap());
        sweep_below(below.path());
        let left: Vec<bool> = names.iter().map(|name| below.path().join(name).exists()).collect();
        assert_eq!(left, [false, true, true, true]);
    }
}
