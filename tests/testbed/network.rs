//! The wires: one network namespace for the control plane and one a node, joined by a bridge in a namespace of its own.
//!
//! The bridge is not on the host, because a host with `br_netfilter` sends bridged frames through its own firewall
//! (Docker's drops them). The host has one end of a veth pair and routes; both vanish with the namespaces, so there
//! is nothing on the host to undo.

use crate::command::{call, feed};
use crate::layout::{
    CONTROL_PLANE_IP, CONTROL_PLANE_NETNS, HOST_IP, Node, PREFIX, SERVICE_CIDR, SWITCH_NETNS, UNCACHED_DNS_IP,
};
use anyhow::Result;
use std::fmt::Write;
use std::fs;

/// Makes namespaces, links and routes for `nodes` nodes.
///
/// # Errors
/// When a link cannot be made, for instance because remains of an earlier testbed are in the way.
pub fn create(nodes: usize) -> Result<()> {
    let mut names = vec![SWITCH_NETNS.to_owned(), CONTROL_PLANE_NETNS.to_owned()];
    names.extend(Node::all(nodes).map(Node::netns));
    let mut links = String::new();
    for name in &names {
        writeln!(links, "netns add {name}")?;
    }
    writeln!(links, "link add {PREFIX}host type veth peer name host netns {SWITCH_NETNS}")?;
    for name in &names[1..] {
        writeln!(links, "link add eth0 netns {name} type veth peer name {name} netns {SWITCH_NETNS}")?;
    }
    feed("ip -batch -", &links)?;
    switch(&names[1..])?;
    control_plane(nodes)?;
    for node in Node::all(nodes) {
        self::node(node, nodes)?;
    }
    host(nodes)
}

fn switch(ports: &[String]) -> Result<()> {
    let mut lines = "link add bridge type bridge\nlink set bridge up\nlink set host master bridge up\n".to_owned();
    for port in ports {
        writeln!(lines, "link set {port} master bridge up")?;
    }
    feed(&format!("ip -n {SWITCH_NETNS} -batch -"), &lines)?;
    sysctl(SWITCH_NETNS, "net/bridge/bridge-nf-call-iptables", "0");
    Ok(())
}

/// The control plane does not forward: what a node cannot place goes there by the default route, and ends.
fn control_plane(nodes: usize) -> Result<()> {
    let mut lines = format!(
        "addr add {CONTROL_PLANE_IP}/24 dev eth0\naddr add {UNCACHED_DNS_IP}/24 dev eth0\nlink set eth0 up\nlink set lo up\n\
         route add {SERVICE_CIDR} via {}\n",
        Node(1).ip()
    );
    for node in Node::all(nodes) {
        writeln!(lines, "route add {} via {}", node.pod_cidr(), node.ip())?;
    }
    feed(&format!("ip -n {CONTROL_PLANE_NETNS} -batch -"), &lines)?;
    sysctl(CONTROL_PLANE_NETNS, "net/ipv4/ip_forward", "0");
    Ok(())
}

fn node(node: Node, nodes: usize) -> Result<()> {
    let mut lines = format!(
        "addr add {}/24 dev eth0\nlink set eth0 up\nlink set lo up\nroute add default via {CONTROL_PLANE_IP}\n",
        node.ip()
    );
    for other in Node::all(nodes).filter(|other| *other != node) {
        writeln!(lines, "route add {} via {}", other.pod_cidr(), other.ip())?;
    }
    feed(&format!("ip -n {} -batch -", node.netns()), &lines)?;
    sysctl(&node.netns(), "net/ipv4/ip_forward", "1");
    // Pods of one node talk over its bridge; kube-proxy must see those frames too, or a Service does not reach a pod
    // of the same node.
    sysctl(&node.netns(), "net/bridge/bridge-nf-call-iptables", "1");
    Ok(())
}

/// The host reaches pods by their node and Services by the first node, whose kube-proxy masquerades what comes from
/// outside the pods.
fn host(nodes: usize) -> Result<()> {
    let mut lines = format!(
        "addr add {HOST_IP}/24 dev {PREFIX}host\nlink set {PREFIX}host up\nroute add {SERVICE_CIDR} via {}\n",
        Node(1).ip()
    );
    for node in Node::all(nodes) {
        writeln!(lines, "route add {} via {}", node.pod_cidr(), node.ip())?;
    }
    feed("ip -batch -", &lines)
}

/// Plugs a node's cable in or out: the far end goes down, so that addresses and routes in the node stay.
///
/// # Errors
/// When there is no such node.
pub fn plug(node: Node, connected: bool) -> Result<()> {
    let state = if connected { "up" } else { "down" };
    call(&format!("ip -n {SWITCH_NETNS} link set {} {state}", node.netns())).map(drop)
}

/// Removes the links of pods that are no more, after a node lost its power. (The far ends went with the pods'
/// namespaces, unless something held these.)
///
/// # Errors
/// When there is no such node.
pub fn forget_pods(node: Node) -> Result<()> {
    let links = call(&format!("ip -n {} -oneline link show type veth", node.netns()))?;
    let names = links.lines().filter_map(|line| line.split_whitespace().nth(1)?.split('@').next());
    for name in names.filter(|name| *name != "eth0") {
        let _ = call(&format!("ip -n {} link del {name}", node.netns()));
    }
    Ok(())
}

/// The names of our namespaces that exist.
#[must_use]
pub fn namespaces() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return vec![] };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

/// Removes the namespaces, and with them every link and route.
pub fn remove() {
    for name in namespaces() {
        let _ = call(&format!("ip netns del {name}"));
        // A name without a mount behind it, left by a crash between the two, is a file that `ip` refuses.
        let _ = fs::remove_file(format!("/run/netns/{name}"));
    }
    let _ = call(&format!("ip link del {PREFIX}host"));
}

/// A key that the kernel does not have (no `br_netfilter`) is a smaller testbed, not a failed one.
fn sysctl(netns: &str, key: &str, value: &str) {
    let write = format!("echo {value} > /proc/sys/{key}");
    let _ = crate::command::run(std::process::Command::new("nsenter").args([
        &format!("--net=/run/netns/{netns}"),
        "sh",
        "-c",
        &write,
    ]));
}
