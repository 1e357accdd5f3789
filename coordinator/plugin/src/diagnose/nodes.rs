//! Are the nodes well that the members' pods are on, and are they different ones?

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;

use super::{Check, Finding, Scene, finding::or_fine};
use crate::failure::line;

const CHECK: Check = Check::Nodes;

pub fn check(scene: &Scene) -> Vec<Finding> {
    let nodes = match (scene.sources.pods.caveat(), scene.nodes.caveat(), scene.nodes.read()) {
        (Some(why), _, _) | (None, Some(why), _) => return vec![Finding::unknown(CHECK, why)],
        (None, None, Some(nodes)) => nodes,
        (None, None, None) => return vec![],
    };
    let on = members_by_node(scene);
    let mut found: Vec<Finding> = on
        .iter()
        .flat_map(|(node, members)| {
            let there = nodes.iter().find(|one| one.metadata.name.as_deref() == Some(node));
            there.map_or_else(|| vec![gone(node, members)], |there| of_node(there, node, members))
        })
        .collect();
    found.extend(crowded(scene, &on));
    let fine = if on.is_empty() {
        "none carries a member".to_owned()
    } else {
        format!("{} carry members, all well", on.len())
    };
    or_fine(found, CHECK, fine)
}

fn members_by_node(scene: &Scene) -> BTreeMap<&str, Vec<&str>> {
    let mut on: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pod in scene.pods() {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if let (Some(node), Some(name)) = (node, pod.metadata.name.as_deref()) {
            on.entry(node).or_default().push(name);
        }
    }
    on
}

fn gone(node: &str, members: &[&str]) -> Finding {
    Finding::fault(CHECK, format!("it does not exist any more, and {} is said to run there", members.join(", ")))
        .of(node)
        .advise("wait: Kubernetes removes pods of nodes that are gone within a minute")
}

fn of_node(node: &Node, name: &str, members: &[&str]) -> Vec<Finding> {
    let members = members.join(", ");
    let conditions = || node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut found = vec![];
    let ready = conditions().find(|one| one.type_ == "Ready").filter(|one| one.status != "True");
    found.extend(ready.map(|one| {
        let words = line(one.message.as_deref().unwrap_or_default());
        Finding::fault(CHECK, format!("it is not Ready, and carries {members}: {words}")).of(name).advise(
            "bring the node back; if it is gone for good, delete the Node, and the member's pod is made elsewhere",
        )
    }));
    let pressed = conditions().filter(|one| one.status == "True" && one.type_.ends_with("Pressure"));
    found.extend(pressed.map(|one| {
        Finding::fault(CHECK, format!("it reports {}, and carries {members}", one.type_))
            .of(name)
            .advise("free what it runs short of: pods are evicted from such a node")
    }));
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        found.push(Finding::note(CHECK, format!("it is cordoned, and carries {members}")).of(name));
    }
    found
}

/// More members on one node than the cluster can lose at a time.
fn crowded(scene: &Scene, on: &BTreeMap<&str, Vec<&str>>) -> Option<Finding> {
    let tolerated = etcd_operator_shared::quorum::tolerance(scene.wanted().count()).max(1);
    let (node, members) = on.iter().find(|(_, members)| members.len() > tolerated)?;
    let words = format!("{} are on this one node: its loss stops all writes", members.join(", "));
    Some(
        Finding::note(CHECK, words)
            .of(*node)
            .advise("give the cluster more nodes to choose from, or ask for a spread in spec.pod"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apiserver::lists::Known,
        diagnose::{
            Outcome,
            scene::tests::{read, well},
        },
    };

    #[test]
    fn a_node_that_is_not_ready_is_named_with_the_members_that_it_carries() {
        let mut scene = well(3);
        let node = json!({"metadata": {"name": "node-of-demo-1"}, "spec": {"unschedulable": true}, "status": {"conditions": [
            {"type": "DiskPressure", "status": "True"},
            {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting"}]}});
        if let Known::Read(nodes) = &mut scene.nodes {
            nodes[1] = read(node);
            nodes.remove(2);
        }
        let found = check(&scene);
        let outcomes: Vec<Outcome> = found.iter().map(|finding| finding.outcome).collect();
        assert_eq!(outcomes, [Outcome::Fault, Outcome::Fault, Outcome::Note, Outcome::Fault]);
        assert!(found[0].message.contains("carries demo-1: Kubelet stopped posting"), "{found:?}");
        assert!(found[3].message.contains("does not exist"), "{found:?}");
    }

    #[test]
    fn members_that_one_node_would_take_along_are_a_note() {
        let mut scene = well(3);
        if let Known::Read(pods) = &mut scene.sources.pods {
            pods[1].spec.as_mut().unwrap().node_name = Some("node-of-demo-0".into());
        }
        let found = check(&scene);
        assert!(found[0].message.contains("demo-0, demo-1 are on this one node"), "{found:?}");
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
    }

    #[test]
    fn a_viewer_who_may_not_read_nodes_is_told_so() {
        let mut scene = well(1);
        scene.nodes = Known::Unread("not allowed to read nodes".into());
        assert_eq!(check(&scene), [Finding::unknown(CHECK, "not allowed to read nodes")]);
    }
}
