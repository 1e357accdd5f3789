//! A node that loses power, and gets it back.

use super::Faults;
use crate::daemon::{Daemon, Process};
use crate::layout::{Layout, Node};
use crate::{cgroups, network, sweep, worker};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

impl Faults {
    /// Takes a node's power: its cable, its daemons and every process of its pods are gone at once, and what kubelet
    /// mounted with them. Writes that were not synced do reach the disk (the page cache is the machine's), which a
    /// real loss of power would not grant.
    ///
    /// # Errors
    /// When something of it does not die.
    pub async fn stop_node(&self, node: &str) -> Result<()> {
        let (layout, node) = (self.layout.clone(), named(node)?);
        spawn_blocking(move || stop(&layout, node)).await?
    }

    /// Boots the node again with the disks it had.
    ///
    /// # Errors
    /// When it was never booted or a daemon does not start.
    pub async fn start_node(&self, node: &str) -> Result<()> {
        let (layout, node) = (self.layout.clone(), named(node)?);
        spawn_blocking(move || start(&layout, node)).await?
    }
}

pub(crate) fn named(name: &str) -> Result<Node> {
    Node::named(name).with_context(|| format!("`{name}` is no node of a testbed"))
}

fn stop(layout: &Layout, node: Node) -> Result<()> {
    network::plug(node, false)?;
    // All are signalled before any is waited for: a kubelet that outlives its containerd would write down what it sees.
    let daemons: Vec<Daemon> =
        worker::daemon_names(node).iter().map(|name| Daemon::load(layout, name)).collect::<Result<_>>()?;
    daemons.iter().for_each(|daemon| daemon.signal(Signal::SIGKILL));
    daemons.iter().try_for_each(Daemon::kill)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut pids = cgroups::processes(Some(node));
        pids.extend(sweep::shims(layout, Some(node)));
        let alive: Vec<Process> =
            pids.into_iter().filter_map(Process::find).filter(|process| process.is_alive()).collect();
        if alive.is_empty() {
            break;
        }
        ensure!(Instant::now() < deadline, "processes of {node} do not die: {alive:?}");
        alive.iter().for_each(|process| process.signal(Signal::SIGKILL));
        std::thread::sleep(Duration::from_millis(10));
    }
    forget_runtime_state(layout, node);
    Ok(())
}

/// What lies in memory on a real machine: mounts, containerd's and runc's state of running containers, addresses
/// handed out to pods.
fn forget_runtime_state(layout: &Layout, node: Node) {
    let folder = layout.node(node);
    for socket in sweep::shim_sockets(&folder) {
        let _ = fs::remove_file(socket);
    }
    sweep::unmount(&folder);
    for name in ["containerd-state", "runc", "ipam"] {
        let _ = fs::remove_dir_all(folder.join(name));
    }
}

pub(super) fn start(layout: &Layout, node: Node) -> Result<()> {
    let daemons: Vec<Daemon> =
        worker::daemon_names(node).iter().map(|name| Daemon::load(layout, name)).collect::<Result<_>>()?;
    if daemons.iter().any(Daemon::is_alive) {
        bail!("{node} runs already");
    }
    network::forget_pods(node)?;
    network::plug(node, true)?;
    for daemon in daemons {
        let is_containerd = daemon.name.starts_with("containerd");
        daemon.start(layout)?;
        if is_containerd {
            worker::await_containerd(layout, node)?;
        }
    }
    Ok(())
}
