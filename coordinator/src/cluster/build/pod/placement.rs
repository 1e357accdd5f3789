//! Where pods go: the user's word, and what it leaves open filled in, so that members are kept apart.

use k8s_openapi::{
    api::core::v1::{
        Affinity, PodAffinityTerm, PodAntiAffinity, PodSpec, TopologySpreadConstraint, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{Blueprint, list, map, text};

/// The fields that say where a pod may run. `rest`: what the user's template says; `spec.pod` wins over it.
pub fn place(plan: &Blueprint<'_>, rest: PodSpec) -> PodSpec {
    let pod = &plan.cluster.spec.pod;
    let constraints = list(&pod.topology_spread_constraints).or(rest.topology_spread_constraints);
    PodSpec {
        affinity: Some(affinity(plan, pod.affinity.clone().or(rest.affinity))),
        topology_spread_constraints: constraints.map(|all| all.into_iter().map(|one| counting(plan, one)).collect()),
        tolerations: list(&pod.tolerations).or(rest.tolerations),
        node_selector: map(&pod.node_selector).or(rest.node_selector),
        priority_class_name: text(&pod.priority_class_name).or(rest.priority_class_name),
        ..rest
    }
}

/// Members are kept apart unless the user has a word of their own about that, if only an empty one: a wish about nodes
/// is none.
fn affinity(plan: &Blueprint<'_>, wanted: Option<Affinity>) -> Affinity {
    let mut affinity = wanted.unwrap_or_default();
    affinity.pod_anti_affinity.get_or_insert_with(|| apart(plan));
    affinity
}

/// Members prefer other nodes, and among these other zones.
fn apart(plan: &Blueprint<'_>) -> PodAntiAffinity {
    let prefer = |weight: i32, topology: &str| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            topology_key: topology.into(),
            label_selector: Some(members(plan)),
            ..PodAffinityTerm::default()
        },
    };
    let terms = vec![prefer(100, "kubernetes.io/hostname"), prefer(50, "topology.kubernetes.io/zone")];
    PodAntiAffinity { preferred_during_scheduling_ignored_during_execution: Some(terms), ..PodAntiAffinity::default() }
}

/// A constraint that selects no pods counts none: it is meant for the members.
fn counting(plan: &Blueprint<'_>, mut constraint: TopologySpreadConstraint) -> TopologySpreadConstraint {
    constraint.label_selector.get_or_insert_with(|| members(plan));
    constraint
}

fn members(plan: &Blueprint<'_>) -> LabelSelector {
    LabelSelector { match_labels: Some(plan.selector()), ..LabelSelector::default() }
}
