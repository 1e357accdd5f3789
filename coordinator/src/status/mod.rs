//! What the cluster says of itself, added up from what its members and pods say.
//!
//! ```text
//!   facts ──▶ tally (who serves, who leads) ──┬─▶ phase, conditions ──▶ status
//!   pods, members ──▶ problems (who is to blame) ┘
//! ```
//! Pure: the same facts give the same status, so nothing is written when nothing changed. Unknown is shown as unknown.

mod conditions;
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

use crate::{decide::Step, facts::Facts, refusal::Refusal};

/// All that a status is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its status is the one before this one.
    pub cluster: &'a EtcdCluster,
    /// Number of members; 0 before the cluster is founded.
    pub members: u32,
    pub facts: &'a Facts,
    pub step: &'a Step,
    /// What of the spec is not done.
    pub refusal: Option<&'a Refusal>,
}

/// What a status is told from: the view, added up.
struct Scene<'a> {
    view: View<'a>,
    tally: Tally,
    problems: Vec<Problem>,
    /// Size 0: no member is meant to run.
    stopped: bool,
    /// Members that are meant to serve.
    wanted: u32,
    pods: u32,
    rolling: bool,
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
        ready: Some(format!("{ready}/{}", scene.wanted)),
        replicas: i32::try_from(scene.pods).unwrap_or(i32::MAX),
        selector: Some(selector(view.cluster)),
        db_size: db_size.map(size),
        members,
    }
}

impl<'a> Scene<'a> {
    fn of(view: View<'a>) -> Self {
        let stopped = view.cluster.spec.size == 0;
        let newest = view.facts.set.as_ref().and_then(|s| s.newest.as_deref());
        let old = |revision: &str| newest.is_some_and(|newest| newest != revision);
        Self {
            view,
            tally: tally::of(view.facts, view.members),
            problems: problems::of(view.facts),
            stopped,
            wanted: match view.members {
                _ if stopped => 0,
                0 => view.cluster.spec.size.max(0).unsigned_abs(),
                members => members,
            },
            pods: u32::try_from(view.facts.pods().count()).unwrap_or(u32::MAX),
            rolling: !stopped && view.facts.pods().any(|(_, pod)| old(&pod.revision)),
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
