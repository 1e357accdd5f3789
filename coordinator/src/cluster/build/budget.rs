//! The PodDisruptionBudget: a drain never takes the quorum.

use etcd_operator_shared::{api::cluster::DisruptionBudget, names, quorum::quorum};
use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Blueprint, ServerVersion};

/// `unhealthyPodEvictionPolicy` is on by default from 1.27.
const EVICTION_POLICY: ServerVersion = ServerVersion(27);

/// A label that no pod has.
const UNCOVERED: &str = "etcd.etcd.io/disruption-budget";

/// An integer, because a percentage or maxUnavailable is reckoned from the pods that are left, and shrinks with them.
/// Broken pods may be evicted: else one that never becomes ready holds up every drain. A learner is one more that must
/// not be lost to a drain: it may have become a voter before anybody hears of it.
///
/// Where the user wants none, it stays and covers no pod: of two budgets over one pod Kubernetes lets neither be drained.
#[must_use]
pub fn budget(plan: &Blueprint<'_>) -> PodDisruptionBudget {
    let voters = plan.voters.max(plan.desired.size);
    let least = quorum(usize::try_from(voters).unwrap_or(usize::MAX)) + usize::from(plan.learner);
    let mut covered = plan.selector();
    match plan.cluster.spec.pod.disruption_budget {
        Some(DisruptionBudget::Quorum) | None => {}
        Some(DisruptionBudget::None) => {
            covered.insert(UNCOVERED.into(), "none".into());
        }
    }
    PodDisruptionBudget {
        metadata: plan.metadata(names::stateful_set(&plan.name())),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(i32::try_from(least).unwrap_or(i32::MAX))),
            selector: Some(LabelSelector { match_labels: Some(covered), ..LabelSelector::default() }),
            unhealthy_pod_eviction_policy: (plan.server >= EVICTION_POLICY).then(|| "AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
