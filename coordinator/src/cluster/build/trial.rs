//! The pod of a trial ([`crate::cluster::facts::trial`]): the template's etcd and flags, without a volume, an identity
//! or an account.

use std::collections::BTreeMap;

use etcd_operator_shared::names::{self, env};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{
            Affinity, Container, EnvVar, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
            PodReadinessGate, PodSpec,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::ResourceExt;

use super::{
    alone::{Parts, alone, installs},
    owner,
    pod::tls,
};
use crate::cluster::facts::{shape, trial};
use etcd_operator_shared::api::EtcdCluster;

/// A slow registry is waited for; then the pod is made anew, and kubelet goes on where it was.
const LONGEST: i64 = 600;
/// What nobody ever sets: a trial is never ready, whoever selects it.
const NEVER_READY: &str = "etcd.etcd.io/trial";
/// What the rehearsal must know of the member that it stands for.
const KNOWN: [&str; 4] = [env::POD_NAMESPACE, env::CLUSTER_NAME, env::ETCD_VERSION, env::ETCD_OPTIONS];

/// A trial of the newest template, on this node where it is held beside a member; `None` where the template is none of
/// ours.
#[must_use]
pub fn pod(cluster: &EtcdCluster, set: &StatefulSet, beside: Option<(u32, &str)>) -> Option<Pod> {
    let template = set.spec.as_ref()?.template.clone();
    let (meta, spec) = (template.metadata?, template.spec?);
    let shape = shape::written(&meta)?.to_owned();
    let mut labels = meta.labels.unwrap_or_default();
    let life = labels.remove(names::LABEL_CLUSTER_UID)?;
    labels.insert(trial::LABEL.into(), life);
    labels.insert("app.kubernetes.io/component".into(), "trial".into());
    let name = names::trial(&set.name_any(), &shape, beside.map(|(ordinal, _)| ordinal));
    let spec = stripped(spec)?;
    let spec = beside.map_or(spec.clone(), |(_, node)| pinned(spec, node));
    let metadata = ObjectMeta {
        name: Some(name),
        namespace: set.namespace(),
        labels: Some(labels),
        annotations: meta.annotations,
        owner_references: Some(vec![owner(cluster)]),
        ..ObjectMeta::default()
    };
    Some(Pod { metadata, spec: Some(spec), status: None })
}

/// On a node where a member is: no room is asked for beside it. What it may use at most stays as it is.
fn pinned(mut spec: PodSpec, node: &str) -> PodSpec {
    let name = NodeSelectorRequirement {
        key: "metadata.name".into(),
        operator: "In".into(),
        values: Some(vec![node.to_owned()]),
    };
    let there = NodeSelector {
        node_selector_terms: vec![NodeSelectorTerm { match_fields: Some(vec![name]), match_expressions: None }],
    };
    let affinity = NodeAffinity {
        required_during_scheduling_ignored_during_execution: Some(there),
        preferred_during_scheduling_ignored_during_execution: None,
    };
    spec.affinity = Some(Affinity { node_affinity: Some(affinity), ..Affinity::default() });
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let Some(resources) = &mut container.resources else { continue };
        // What is limited and not asked for is asked for in full.
        let named = resources.requests.iter().chain(&resources.limits).flat_map(|all| all.keys().cloned());
        let none: BTreeMap<String, Quantity> = named.map(|name| (name, Quantity("0".into()))).collect();
        resources.requests = Some(none);
    }
    spec
}

/// etcd alone, with the agent's binary beside it. It may go wherever a member may, and takes nobody's place for it.
fn stripped(spec: PodSpec) -> Option<PodSpec> {
    let Parts { agent, etcd } = Parts::of(&spec)?;
    let containers = vec![rehearses(etcd, agent.env.as_deref().unwrap_or_default())];
    Some(PodSpec {
        active_deadline_seconds: Some(LONGEST),
        readiness_gates: Some(vec![PodReadinessGate { condition_type: NEVER_READY.into() }]),
        ..alone(spec, vec![installs(agent)], containers, vec![])
    })
}

/// Its member is alone on loopback, without certificates: those of a cluster are for its members.
fn rehearses(mut etcd: Container, known: &[EnvVar]) -> Container {
    if let Some(mounts) = &mut etcd.volume_mounts {
        mounts.retain(|mount| mount.name != tls::VOLUME);
    }
    let known = known.iter().filter(|one| KNOWN.contains(&one.name.as_str())).cloned();
    Container {
        command: Some(vec![names::AGENT_BINARY.into(), "rehearse".into()]),
        args: None,
        env: Some(known.collect()),
        env_from: None,
        ports: None,
        lifecycle: None,
        readiness_probe: None,
        liveness_probe: None,
        startup_probe: None,
        ..etcd
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::build::tests::plan;
    use serde_json::{Value, json};

    fn trial(beside: Option<(u32, &str)>) -> Value {
        let resources = json!({"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}});
        let wish = json!({"pod": {"resources": resources, "template": {"spec": {"nodeSelector": {"disk": "fast"}}}}});
        let plan = plan(wish);
        let blueprint = plan.blueprint();
        json!(pod(blueprint.cluster, &blueprint.stateful_set(3), beside).unwrap())
    }

    #[test]
    fn a_trial_is_a_pod_that_no_service_leads_to_and_that_has_no_volume_of_a_member() {
        let trial = trial(None);
        let labels = &trial["metadata"]["labels"];
        assert!(labels.get(names::LABEL_CLUSTER_UID).is_none() && labels[trial::LABEL] == "u", "{labels}");
        assert!(!trial.to_string().contains("persistentVolumeClaim"));
        assert_eq!(trial["spec"]["containers"][0]["resources"]["requests"]["cpu"], "2", "it may go where a member may");
        assert!(trial["spec"].get("affinity").is_none());
    }

    #[test]
    fn beside_a_member_it_goes_to_that_node_and_asks_for_no_room() {
        let trial = trial(Some((2, "node-c")));
        assert!(trial["metadata"]["name"].as_str().unwrap().ends_with("-2"));
        let affinity = &trial["spec"]["affinity"]["nodeAffinity"];
        let terms = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        let there = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-c"]}]}]);
        assert_eq!(*terms, there);
        let resources = &trial["spec"]["containers"][0]["resources"];
        assert_eq!(*resources, json!({"requests": {"cpu": "0", "memory": "0"}, "limits": {"memory": "8Gi"}}));
    }
}
