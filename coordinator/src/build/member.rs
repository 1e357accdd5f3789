//! The EtcdMember: what one member must know of its cluster.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberSpec, member::Peer},
    names,
};
use serde_json::{Value, json};

use super::Blueprint;

/// A new EtcdMember. Only one that is made before the StatefulSet exists is `initial`: the founding latch says so, and
/// one that is made again after it never is.
#[must_use]
pub fn member(plan: &Blueprint<'_>, ordinal: u32, peers: &[Peer]) -> EtcdMember {
    let name = names::member(&plan.name(), ordinal);
    let spec = EtcdMemberSpec {
        cluster_name: plan.name(),
        cluster_uid: plan.uid(),
        incarnation: plan.life.number,
        token: plan.life.token.clone(),
        initial: !plan.life.members_created && plan.life.initial_members.contains(&name),
        initial_members: plan.life.initial_members.clone(),
        peers: peers.to_vec(),
        size: size(plan),
        stopped: plan.wanted.size == 0,
    };
    EtcdMember { metadata: plan.metadata(name), spec, status: None }
}

/// The merge patch that brings an EtcdMember up to date, or `None` if it is. What was fixed when it was made stays.
#[must_use]
pub fn update(plan: &Blueprint<'_>, member: &EtcdMember, peers: &[Peer]) -> Option<Value> {
    let have = &member.spec;
    let (size, stopped) = (size(plan), plan.wanted.size == 0);
    let mut spec = BTreeMap::new();
    if have.peers != peers {
        spec.insert("peers", json!(peers));
    }
    if have.size != size {
        spec.insert("size", json!(size));
    }
    if have.stopped != stopped {
        spec.insert("stopped", json!(stopped));
    }
    (!spec.is_empty()).then(|| json!({ "spec": spec }))
}

/// A stopped cluster keeps its size: stopping is no change of membership.
fn size(plan: &Blueprint<'_>) -> i32 {
    i32::try_from(plan.members).unwrap_or(i32::MAX)
}
