//! What the cluster says of itself, added up from what its members and pods say.
//!
//! ```text
//!   facts ──▶ tally (who serves, who leads) ──┬─▶ phase, conditions ──▶ status
//!   pods, members ──▶ problems (who is to blame) ┘
//! ```
//! Pure: the same facts give the same status, so nothing is written when nothing changed. Unknown is shown as unknown.

mod conditions;
mod members;
mod phase;
pub mod problems;
mod tally;

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdClusterStatus},
    names,
};
use jiff::Timestamp;
use kube::ResourceExt;
use problems::Problem;
use tally::Tally;

use crate::{decide::Step, facts::Facts, membership::Membership, refusal::Refusal};

/// All that a status is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its status is the one before this one.
    pub cluster: &'a EtcdCluster,
    pub facts: &'a Facts,
    pub membership: &'a Membership,
    /// How many members are meant to serve.
    pub size: u32,
    pub step: &'a Step,
    /// What of the spec is not done.
    pub refusal: Option<&'a Refusal>,
}

/// What a status is told from: the view, added up.
struct Scene<'a> {
    view: View<'a>,
    tally: Tally,
    problems: Vec<Problem>,
    founded: bool,
    /// Size 0: no member is meant to run.
    stopped: bool,
    pods: u32,
    rolling: bool,
    /// The number of members is changing.
    moving: bool,
}

/// The status now.
#[must_use]
pub fn of(view: View<'_>, now: Timestamp) -> EtcdClusterStatus {
    let before = view.cluster.status.clone().unwrap_or_default();
    let scene = Scene::of(view);
    let phase = phase::of(before.phase, before.cluster_id.is_some(), &scene);
    let generation = view.cluster.metadata.generation;
    let conditions = conditions::of(before.conditions, &scene, phase, generation, now);
    let Tally { ready, leader, version, cluster_id, db_size, members, .. } = scene.tally;
    EtcdClusterStatus {
        observed_generation: generation,
        phase: Some(phase),
        conditions,
        incarnation: before.incarnation,
        cluster_id: cluster_id.or(before.cluster_id),
        leader,
        version,
        ready: Some(format!("{ready}/{}", view.size)),
        replicas: i32::try_from(scene.pods).unwrap_or(i32::MAX),
        selector: Some(selector(view.cluster)),
        db_size: db_size.map(size),
        members,
    }
}

impl<'a> Scene<'a> {
    fn of(view: View<'a>) -> Self {
        let View { cluster, facts, membership, size, step, refusal: _ } = view;
        let life = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref());
        let newest = facts.set.as_ref().and_then(|s| s.newest.as_deref());
        let old = |revision: &str| newest.is_some_and(|newest| newest != revision);
        let doomed = membership.standings.keys().any(|ordinal| *ordinal >= size && !membership.is_gone(*ordinal));
        Self {
            view,
            tally: tally::of(view),
            problems: problems::of(facts, membership, life.map_or(0, |life| life.number)),
            founded: life.is_some(),
            stopped: size == 0,
            pods: u32::try_from(facts.pods().count()).unwrap_or(u32::MAX),
            rolling: size > 0 && facts.pods().any(|(_, pod)| old(&pod.revision)),
            moving: doomed || facts.replicas() != size || matches!(step, Step::SetReplicas(_)),
        }
    }

    /// What holds the cluster until a person acts.
    fn held(&self) -> Option<&Problem> {
        self.problems.iter().find(|p| p.held)
    }
}

fn selector(cluster: &EtcdCluster) -> String {
    let uid = cluster.uid().unwrap_or_default();
    format!("{}={},{}={uid}", names::LABEL_CLUSTER, cluster.name_any(), names::LABEL_CLUSTER_UID)
}

/// Bytes as people read them; rounded up, so that a status is not written for every page.
fn size(bytes: u64) -> String {
    const MI: u64 = 1 << 20;
    match bytes.div_ceil(MI) {
        mi if mi >= 10 * 1024 => format!("{}Gi", mi.div_ceil(1024)),
        mi => format!("{mi}Mi"),
    }
}

#[cfg(test)]
mod tests;
