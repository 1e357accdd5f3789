//! Undoes every fault at once, whoever made it: a test that was killed drops no handles.

use super::Faults;
use crate::command::call;
use crate::daemon::Daemon;
use crate::layout::{Layout, MAX_NODES, Node};
use crate::storage::disk;
use crate::{cgroups, network, sweep, worker};
use anyhow::Result;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use tokio::task::spawn_blocking;

impl Faults {
    /// Heals cuts, thaws and empties volumes, lets hung programs go on and starts those that are down. A volume that
    /// failed or was corrupted stays so.
    ///
    /// # Errors
    /// When a program does not start.
    pub async fn heal_all(&self) -> Result<()> {
        let layout = self.layout.clone();
        spawn_blocking(move || heal(&layout)).await?
    }
}

fn heal(layout: &Layout) -> Result<()> {
    sweep::thaw(layout);
    for (_, target) in disk::mounts().iter().filter(|(_, target)| target.starts_with(layout.root())) {
        let _ = fs::remove_file(target.join(super::volume::FILLER));
    }
    for process in cgroups::processes(None).into_iter().filter_map(crate::daemon::Process::find) {
        process.signal(Signal::SIGCONT);
    }
    namespaces().iter().for_each(|namespace| forget_rules(namespace));
    let (alive, dead): (Vec<Daemon>, Vec<Daemon>) = Daemon::all(layout).into_iter().partition(Daemon::is_alive);
    alive.iter().for_each(|daemon| daemon.signal(Signal::SIGCONT));
    let is_dead = |name: &String| dead.iter().any(|daemon| daemon.name == *name);
    // A node first: its programs start in order, and its cable is plugged in.
    for node in Node::all(MAX_NODES).filter(|node| worker::daemon_names(*node).iter().all(is_dead)) {
        super::node::start(layout, node)?;
    }
    for daemon in dead {
        if !Daemon::load(layout, &daemon.name)?.is_alive() {
            daemon.start(layout)?;
        }
    }
    Ok(())
}

/// The nodes' network namespaces and those of all pods, each once, by a file that opens it.
fn namespaces() -> Vec<String> {
    let nodes = network::namespaces().into_iter().map(|name| format!("/run/netns/{name}"));
    let pods: BTreeMap<_, _> = cgroups::processes(None)
        .into_iter()
        .map(|pid| format!("/proc/{pid}/ns/net"))
        .filter_map(|file| Some((fs::read_link(&file).ok()?, file)))
        .collect();
    nodes.chain(pods.into_values()).collect()
}

fn forget_rules(namespace: &str) {
    let rules = call(&format!("nsenter --net={namespace} iptables -w -S")).unwrap_or_default();
    for rule in rules.lines().filter(|rule| rule.contains(super::network::MARK)) {
        let _ =
            call(&format!("nsenter --net={namespace} iptables -w {}", rule.replacen("-A", "-D", 1).replace('"', "")));
    }
}
