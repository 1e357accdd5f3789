//! The EtcdMember: what one member must know of its cluster.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberSpec},
    names,
};
use serde_json::{Value, json};

use super::Blueprint;

/// A new EtcdMember. Only one that is made before the StatefulSet exists is `initial`: the founding latch says so, and
/// one that is made again after it never is.
#[must_use]
pub fn member(plan: &Blueprint<'_>, ordinal: u32) -> EtcdMember {
    let name = names::member(&plan.name(), ordinal);
    let spec = EtcdMemberSpec {
        cluster_name: plan.name(),
        cluster_uid: plan.uid(),
        incarnation: plan.incarnation.number,
        token: plan.incarnation.token.clone(),
        initial: !plan.incarnation.members_created && plan.incarnation.initial_members.contains(&name),
        initial_members: plan.incarnation.initial_members.clone(),
        peers: plan.desired.peers.clone(),
        size: plan.desired.size(),
        stopped: plan.desired.stopped,
    };
    EtcdMember { metadata: plan.metadata(name), spec, status: None }
}

/// The merge patch that brings an EtcdMember up to date, or `None` if it is. What was fixed when it was made stays. A
/// wish is written only over what was read: a coordinator that slept must not tell members of a size that is long past.
#[must_use]
pub fn update(plan: &Blueprint<'_>, member: &EtcdMember) -> Option<Value> {
    let (have, desired) = (&member.spec, plan.desired);
    let (size, stopped) = (desired.size(), desired.stopped);
    let mut spec = BTreeMap::new();
    if have.peers != desired.peers {
        spec.insert("peers", json!(desired.peers));
    }
    let mut patch = json!({});
    if (have.size, have.stopped) != (size, stopped) {
        spec.insert("size", json!(size));
        spec.insert("stopped", json!(stopped));
        patch["metadata"] = json!({ "resourceVersion": member.metadata.resource_version });
    }
    if spec.is_empty() {
        return None;
    }
    patch["spec"] = json!(spec);
    Some(patch)
}
