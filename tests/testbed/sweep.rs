//! Removes a testbed in whatever state it is: running, half booted, or dead with mounts and namespaces left behind.
//!
//! The order matters: thaw (a frozen disk blocks even SIGKILL), kill, unmount, then links, cgroups and files. What is
//! ours is never guessed: recorded daemons, whatever lives in our network namespaces or cgroups, shims started for
//! our containerd, mounts and loop devices below the state directory.

use crate::command::call;
use crate::daemon::{Daemon, Process};
use crate::host::Host;
use crate::layout::{Layout, MAX_NODES, Node};
use crate::storage::disk;
use crate::{cgroups, network};
use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Removes everything.
///
/// # Errors
/// When the state directory cannot be removed.
pub fn sweep(layout: &Layout) -> Result<()> {
    let sockets: Vec<String> = Node::all(MAX_NODES).flat_map(|node| shim_sockets(&layout.node(node))).collect();
    thaw(layout);
    kill_all(layout);
    unmount(layout.root());
    for (device, _) in disk::loop_devices().iter().filter(|(_, file)| file.starts_with(layout.root())) {
        let _ = call(&format!("losetup --detach {device}"));
    }
    network::remove();
    cgroups::remove();
    for socket in sockets {
        let _ = fs::remove_file(socket);
    }
    Host::restore(layout);
    crate::store::leftovers::sweep();
    match fs::remove_dir_all(layout.root()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", layout.root().display()))
        }
        _ => Ok(()),
    }
}

/// Whether there is anything to sweep.
#[must_use]
pub fn has_remains(layout: &Layout) -> bool {
    layout.root().exists() || !network::namespaces().is_empty() || !cgroups::processes(None).is_empty()
}

/// Unmounts everything below `folder`, the newest first; what is busy goes when its last user does.
pub fn unmount(folder: &Path) {
    for (_, target) in disk::mounts().iter().rev().filter(|(_, target)| target.starts_with(folder)) {
        if umount2(target, MntFlags::empty()).is_err() {
            let _ = umount2(target, MntFlags::MNT_DETACH);
        }
    }
}

/// Thaws every frozen volume.
pub(crate) fn thaw(layout: &Layout) {
    for (source, target) in disk::mounts() {
        if source.starts_with("/dev/loop") && target.starts_with(layout.root()) {
            let _ = call(&format!("fsfreeze --unfreeze {}", target.display()));
        }
    }
}

/// Daemons first, since kubelet and containerd start new processes; then rounds until nothing of ours lives.
fn kill_all(layout: &Layout) {
    let daemons = Daemon::all(layout);
    daemons.iter().for_each(|daemon| daemon.signal(Signal::SIGKILL));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let alive: Vec<Process> =
            ours(layout).into_iter().filter_map(Process::find).filter(|process| process.is_alive()).collect();
        if alive.is_empty() || Instant::now() > deadline {
            return;
        }
        alive.iter().for_each(|process| process.signal(Signal::SIGKILL));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ours(layout: &Layout) -> BTreeSet<i32> {
    let mut pids: BTreeSet<i32> = cgroups::processes(None).into_iter().collect();
    for name in network::namespaces() {
        let inside = call(&format!("ip netns pids {name}")).unwrap_or_default();
        pids.extend(inside.lines().filter_map(|line| line.trim().parse::<i32>().ok()));
    }
    pids.extend(
        Daemon::all(layout)
            .iter()
            .filter(|daemon| daemon.is_alive())
            .filter_map(|daemon| daemon.process)
            .map(|process| process.pid),
    );
    pids.extend(shims(layout, None));
    pids.remove(&i32::try_from(std::process::id()).unwrap_or_default());
    pids
}

/// The shims of our containerds, or of one node's: each has the socket of its containerd among its arguments.
pub(crate) fn shims(layout: &Layout, node: Option<Node>) -> Vec<i32> {
    let below = node.map_or_else(|| layout.root().join("nodes"), |node| layout.node(node));
    let below = format!("{}/", below.display());
    let Ok(entries) = fs::read_dir("/proc") else { return vec![] };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    let ours = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        arguments.contains("containerd-shim") && arguments.split('\0').any(|argument| argument.starts_with(&below))
    };
    pids.filter(ours).collect()
}

/// Shims listen in `/run/containerd/s` whatever their containerd's state directory; each container's bundle in the
/// node's folder says where.
pub(crate) fn shim_sockets(node: &Path) -> Vec<String> {
    let Ok(bundles) = fs::read_dir(node.join("containerd-state/io.containerd.runtime.v2.task/k8s.io")) else {
        return vec![];
    };
    let addresses = bundles.flatten().filter_map(|bundle| fs::read_to_string(bundle.path().join("address")).ok());
    addresses.filter_map(|address| Some(address.trim().strip_prefix("unix://")?.to_owned())).collect()
}
