//! One cgroup a node, which holds all its pods: kubelet's `cgroupRoot`, and how the sweep finds what is left of a node.

use crate::layout::{Node, PREFIX};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";
/// The controllers that kubelet wants in version 1, where each is a tree of its own.
const CONTROLLERS: [&str; 9] = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"];

/// Makes the node's cgroup under every controller.
///
/// # Errors
/// When the machine's cgroups are not writable.
pub fn create(node: Node) -> Result<()> {
    if unified() {
        // Hand the controllers down; where systemd rules they already are.
        let _ = fs::write(format!("{ROOT}/cgroup.subtree_control"), "+cpu +cpuset +memory +pids +io");
    }
    for tree in trees() {
        let folder = tree.join(node.cgroup());
        fs::create_dir_all(&folder).with_context(|| format!("create the cgroup {}", folder.display()))?;
    }
    // In version 1 a cpuset begins empty, and an empty one admits no process.
    let cpuset = Path::new(ROOT).join("cpuset");
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read_to_string(cpuset.join(file)) {
            fs::write(cpuset.join(node.cgroup()).join(file), value)
                .with_context(|| format!("write {file} of {node}"))?;
        }
    }
    Ok(())
}

/// The PIDs in all cgroups of a node; of every node for `None`.
#[must_use]
pub fn processes(node: Option<Node>) -> Vec<i32> {
    let Some(tree) = trees().into_iter().find(|tree| tree.ends_with("pids") || unified()) else { return vec![] };
    tops(&tree, node).iter().flat_map(|top| pids_below(top)).collect()
}

/// The PIDs in `folder` and below.
#[must_use]
pub fn pids_below(folder: &Path) -> Vec<i32> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    pids.extend(children(folder).iter().flat_map(|child| pids_below(child)));
    pids
}

/// The folder named `name` below a node's cgroup: `pod<UID>`, or a container's ID.
#[must_use]
pub fn find(node: Node, name: &str) -> Option<PathBuf> {
    let tree = trees().into_iter().find(|tree| tree.ends_with("pids") || unified())?;
    search(&tree.join(node.cgroup()), name)
}

fn search(folder: &Path, name: &str) -> Option<PathBuf> {
    if folder.file_name().is_some_and(|own| own == name) {
        return Some(folder.to_owned());
    }
    children(folder).iter().find_map(|child| search(child, name))
}

/// Removes every cgroup of ours; their processes must be dead. An empty cgroup can stay busy for a moment after its
/// last process.
pub fn remove() {
    let deadline = Instant::now() + Duration::from_secs(3);
    // Every tree, not only the controllers: runc also makes a cgroup in `unified` where version 2 is mounted beside
    // version 1.
    let all = if unified() { trees() } else { children(Path::new(ROOT)) };
    let tops: Vec<PathBuf> = all.iter().flat_map(|tree| tops(tree, None)).collect();
    while tops.iter().filter(|top| !remove_tree(top)).count() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn remove_tree(folder: &Path) -> bool {
    let emptied = children(folder).iter().filter(|child| !remove_tree(child)).count() == 0;
    emptied && (fs::remove_dir(folder).is_ok() || !folder.exists())
}

fn unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

fn trees() -> Vec<PathBuf> {
    if unified() {
        return vec![PathBuf::from(ROOT)];
    }
    CONTROLLERS.iter().map(|controller| Path::new(ROOT).join(controller)).filter(|tree| tree.exists()).collect()
}

fn tops(tree: &Path, node: Option<Node>) -> Vec<PathBuf> {
    let ours = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        node.map_or_else(|| name.starts_with(PREFIX), |node| name == node.cgroup())
    };
    children(tree).into_iter().filter(ours).collect()
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
