//! Cuts between nodes and between pods: packets are dropped, as by a broken switch, so nobody is told.
//!
//! Nodes are cut in the nodes' network namespaces. Pods are cut in the first pod's own, because two pods of one node
//! meet on a bridge and never pass the node's filter. A pod that is made anew gets a new namespace and is whole
//! again.

use super::Faults;
use super::node::named;
use crate::command::call;
use crate::layout::{CONTROL_PLANE_IP, Node};
use anyhow::{Context, Result};

/// By this [`Faults::heal_all`] knows the rules of a test that was killed.
pub(super) const MARK: &str = "etb-cut";

/// A cut that lasts until it is healed or dropped.
#[must_use]
#[derive(Debug)]
pub struct Cut {
    /// Namespace file and the rule without its verb.
    rules: Vec<(String, String)>,
}

impl Faults {
    /// Cuts two nodes off each other: the nodes themselves and their pods, both ways.
    ///
    /// # Errors
    /// When a name is no node's.
    pub fn cut_nodes(&self, one: &str, other: &str) -> Result<Cut> {
        let (one, other) = (named(one)?, named(other)?);
        let mut cut = Cut { rules: vec![] };
        for peer in [other.ip().to_string(), other.pod_cidr()] {
            cut.drop_packets(&file_of(one), &peer, &["INPUT", "OUTPUT", "FORWARD"])?;
        }
        Ok(cut)
    }

    /// Cuts a node off the API server, and its pods with it, while these go on talking to other pods.
    ///
    /// # Errors
    /// When the name is no node's.
    pub fn cut_node_from_control_plane(&self, node: &str) -> Result<Cut> {
        let mut cut = Cut { rules: vec![] };
        cut.drop_packets(&file_of(named(node)?), &CONTROL_PLANE_IP.to_string(), &["INPUT", "OUTPUT", "FORWARD"])?;
        Ok(cut)
    }

    /// Cuts a pod off other pods of its namespace, both ways; kubelet's probes and all others still reach it.
    ///
    /// # Errors
    /// When a pod does not run or has no address yet.
    pub async fn cut_pod(&self, namespace: &str, pod: &str, from: &[&str]) -> Result<Cut> {
        let place = self.place(namespace, pod).await?;
        let door = format!("/proc/{}/ns/net", place.any_pid()?);
        let mut cut = Cut { rules: vec![] };
        for peer in from {
            let peer = self.place(namespace, peer).await?;
            let ip = peer.ip.with_context(|| format!("pod {} has no address yet", peer.name))?;
            cut.drop_packets(&door, &ip, &["INPUT", "OUTPUT"])?;
        }
        Ok(cut)
    }

    /// Cuts a pod off everything but its node: other pods, the API server, names, the host.
    ///
    /// # Errors
    /// When the pod does not run.
    pub async fn isolate_pod(&self, namespace: &str, pod: &str) -> Result<Cut> {
        let place = self.place(namespace, pod).await?;
        let door = format!("/proc/{}/ns/net", place.any_pid()?);
        let mut cut = Cut { rules: vec![] };
        // The node's own address in the pods' network is the first of its range: its probes go on.
        let gateway = place.node.pod_cidr().replace(".0/24", ".1");
        for (chain, side) in [("INPUT", "-s"), ("OUTPUT", "-d")] {
            cut.add(&door, format!("{chain} ! {side} {gateway}"))?;
        }
        Ok(cut)
    }
}

impl Cut {
    fn drop_packets(&mut self, namespace: &str, peer: &str, chains: &[&str]) -> Result<()> {
        for chain in chains {
            let sides: &[&str] = match *chain {
                "INPUT" => &["-s"],
                "OUTPUT" => &["-d"],
                _ => &["-s", "-d"],
            };
            for side in sides {
                self.add(namespace, format!("{chain} {side} {peer}"))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, namespace: &str, rule: String) -> Result<()> {
        let (chain, rest) = rule.split_once(' ').context("a rule has a chain")?;
        call(&format!(
            "nsenter --net={namespace} iptables -w -I {chain} 1 {rest} -m comment --comment {MARK} -j DROP"
        ))?;
        self.rules.push((namespace.to_owned(), rule));
        Ok(())
    }

    /// Heals it; dropping does the same.
    pub fn heal(self) {}
}

impl Drop for Cut {
    fn drop(&mut self) {
        for (namespace, rule) in &self.rules {
            // A namespace that is gone took its rules along.
            let _ =
                call(&format!("nsenter --net={namespace} iptables -w -D {rule} -m comment --comment {MARK} -j DROP"));
        }
    }
}

fn file_of(node: Node) -> String {
    format!("/run/netns/{}", node.netns())
}
