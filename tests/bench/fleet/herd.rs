//! What a fleet's clusters do while nothing runs in them: the herd plays the StatefulSets' controller, the scheduler,
//! kubelet and the agents, by their rules, with the API server's own objects.
//!
//! ```text
//!   StatefulSet ─▶ claims, pods, its status ─▶ pods Ready ──▶ coordinator tells addresses ─▶ EtcdMember statuses, the leader's list
//! ```
//! A thousand real clusters want three thousand etcds; the coordinator cannot tell these from them. Each turn does what is
//! missing, as controllers do. The real controller manager and scheduler are off meanwhile: at its 20 requests a second the
//! first would take an hour.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

/// What an EtcdCluster of the fleet is made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lot {
    Healthy,
    /// Its pods find no node.
    Unschedulable,
    /// It gets no pods.
    Podless,
}

/// One of so many clusters is broken.
const BROKEN: usize = 10;
/// What the fleet's EtcdClusters are called, before their number.
pub const NAME: &str = "etcd-";
/// The revision of every pod: templates do not change here.
const REVISION: &str = "herd-0000000000";
/// Clusters of one namespace that are worked on at a time.
const AT_ONCE: usize = 8;

impl Lot {
    /// Of the cluster with this number.
    pub fn of(cluster: usize) -> Self {
        match cluster % (2 * BROKEN) {
            3 => Self::Unschedulable,
            13 => Self::Podless,
            _ => Self::Healthy,
        }
    }
}

/// All objects of one namespace.
pub struct Herd {
    pub clusters: Api<DynamicObject>,
    members: Api<DynamicObject>,
    sets: Api<StatefulSet>,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
}

/// What is there of one cluster.
struct Flock<'a> {
    cluster: &'a DynamicObject,
    /// Its number in the fleet.
    number: usize,
    set: &'a StatefulSet,
    pods: &'a BTreeMap<String, Pod>,
    claims: &'a BTreeMap<String, PersistentVolumeClaim>,
    members: &'a BTreeMap<String, DynamicObject>,
}

pub fn kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "etcd.etcd.io".into(),
        version: "v1alpha1".into(),
        api_version: "etcd.etcd.io/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

impl Herd {
    pub fn new(client: &Client, namespace: &str) -> Self {
        let typed = |one: ApiResource| Api::namespaced_with(client.clone(), namespace, &one);
        Self {
            clusters: typed(kind("EtcdCluster", "etcdclusters")),
            members: typed(kind("EtcdMember", "etcdmembers")),
            sets: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            claims: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Does what is missing. Gives how many clusters are not yet as they are made to be.
    pub async fn turn(&self) -> Result<usize> {
        let clusters = self.clusters.list(&ListParams::default()).await?.items;
        let (sets, pods) = (named(&self.sets).await?, named(&self.pods).await?);
        let (claims, members) = (named(&self.claims).await?, named(&self.members).await?);
        let (pods, claims, members) = (&pods, &claims, &members);
        let flocks = clusters.iter().filter_map(|cluster| {
            let name = cluster.name_any();
            let number = name.strip_prefix(NAME)?.parse().ok()?;
            Some(Flock { cluster, number, set: sets.get(&name)?, pods, claims, members })
        });
        let turns = stream::iter(flocks).map(|flock| async move { self.play(&flock).await }).buffer_unordered(AT_ONCE);
        let settled = turns.try_fold(0, async |sum, settled| Ok(sum + usize::from(settled))).await?;
        Ok(clusters.len() - settled)
    }

    /// Plays all parts of one cluster. Whether it is as it is made to be.
    async fn play(&self, flock: &Flock<'_>) -> Result<bool> {
        let (lot, ready) = (Lot::of(flock.number), ready(flock.cluster));
        let seen = self.see(flock).await?;
        let replicas = usize::try_from(flock.set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default())?;
        if lot == Lot::Podless {
            return Ok(seen && ready == Some(false));
        }
        let mut there = seen;
        for ordinal in 0..replicas {
            there &= self.pod(flock, ordinal, lot).await?;
        }
        if lot == Lot::Unschedulable {
            return Ok(there && ready == Some(false));
        }
        for ordinal in 0..replicas {
            there &= self.speak(flock, ordinal, replicas).await?;
        }
        Ok(there && replicas > 0 && ready == Some(true))
    }

    /// The StatefulSet's controller has seen its spec.
    async fn see(&self, flock: &Flock<'_>) -> Result<bool> {
        let generation = flock.set.metadata.generation;
        if flock.set.status.as_ref().is_some_and(|status| status.observed_generation == generation) {
            return Ok(true);
        }
        let replicas = flock.set.spec.as_ref().and_then(|spec| spec.replicas);
        let status = json!({ "status": {
            "observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas,
            "currentReplicas": replicas, "updatedReplicas": replicas,
            "currentRevision": REVISION, "updateRevision": REVISION,
        }});
        let params = PatchParams::default();
        self.sets.patch_status(&flock.set.name_any(), &params, &Patch::Merge(status)).await?;
        Ok(false)
    }

    /// Makes a claim and a pod, and lets the pod run, or find no node.
    async fn pod(&self, flock: &Flock<'_>, ordinal: usize, lot: Lot) -> Result<bool> {
        let name = format!("{}-{ordinal}", flock.set.name_any());
        let Some(pod) = flock.pods.get(&name) else {
            let claim = format!("data-{name}");
            if !flock.claims.contains_key(&claim) {
                let claim = claim_of(flock.set, &claim, lot == Lot::Healthy)?;
                self.claims.create(&PostParams::default(), &claim).await?;
            }
            self.pods.create(&PostParams::default(), &pod_of(flock.set, &name)?).await?;
            return Ok(false);
        };
        if pod.status.as_ref().is_some_and(|status| status.conditions.is_some()) {
            return Ok(true);
        }
        let status = match lot {
            Lot::Healthy => running(&address(flock.number, ordinal)),
            Lot::Unschedulable | Lot::Podless => unschedulable(),
        };
        self.pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(false)
    }

    /// An agent says how its member is, once it knows the others' addresses; and again when it is told something else.
    async fn speak(&self, flock: &Flock<'_>, ordinal: usize, replicas: usize) -> Result<bool> {
        let name = format!("{}-{ordinal}", flock.set.name_any());
        let (Some(member), Some(pod)) = (flock.members.get(&name), flock.pods.get(&name)) else { return Ok(false) };
        let told = member.data["spec"]["peers"].as_array().map_or(0, Vec::len);
        let Some(generation) = member.metadata.generation.filter(|_| told == replicas) else { return Ok(false) };
        if member.data["status"]["observedGeneration"] == json!(generation) {
            return Ok(true);
        }
        let cluster = flock.set.name_any();
        let uid = pod.uid().context("a pod has a UID")?;
        let said = said(&cluster, ordinal, replicas, generation, &uid, &address(flock.number, ordinal));
        let patch = Patch::Merge(json!({ "status": said }));
        self.members.patch_status(&name, &PatchParams::default(), &patch).await?;
        Ok(false)
    }
}

/// Of a pod; none has the same.
fn address(number: usize, ordinal: usize) -> String {
    format!("10.{}.{}.{}", 100 + number / 10_000, number / 50 % 200, 1 + number % 50 * 4 + ordinal)
}

/// All objects of a kind by their names.
async fn named<K>(api: &Api<K>) -> Result<BTreeMap<String, K>>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let all = api.list(&ListParams::default()).await?;
    Ok(all.items.into_iter().map(|object| (object.name_any(), object)).collect())
}

/// Whether the coordinator says that it is Ready.
fn ready(cluster: &DynamicObject) -> Option<bool> {
    let conditions = cluster.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready").map(|condition| condition["status"] == "True")
}

fn claim_of(set: &StatefulSet, name: &str, bound: bool) -> Result<PersistentVolumeClaim> {
    let templates = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_ref());
    let mut claim = templates.and_then(|all| all.first()).context("a StatefulSet has a claim template")?.clone();
    claim.metadata.name = Some(name.to_owned());
    let selector = set.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default();
    claim.labels_mut().extend(selector);
    if bound {
        claim.annotations_mut().insert("pv.kubernetes.io/bind-completed".into(), "yes".into());
    }
    // A volume that nobody makes: the real controllers leave such a claim alone.
    claim.spec.get_or_insert_default().volume_name = Some(format!("herd-{name}"));
    Ok(claim)
}

fn pod_of(set: &StatefulSet, name: &str) -> Result<Pod> {
    let spec = set.spec.as_ref().context("a StatefulSet has a spec")?;
    let mut pod: Pod = serde_json::from_value(json!({"metadata": spec.template.metadata, "spec": spec.template.spec}))?;
    pod.metadata.name = Some(name.to_owned());
    pod.labels_mut().insert("controller-revision-hash".into(), REVISION.into());
    pod.labels_mut().insert("statefulset.kubernetes.io/pod-name".into(), name.into());
    pod.metadata.owner_references = Some(vec![serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set.name_any(), "uid": set.uid(),
        "controller": true, "blockOwnerDeletion": true,
    }))?]);
    let inner = pod.spec.get_or_insert_default();
    (inner.hostname, inner.subdomain) = (Some(name.to_owned()), spec.service_name.clone());
    let data = json!({"name": "data", "persistentVolumeClaim": {"claimName": format!("data-{name}")}});
    inner.volumes.get_or_insert_default().push(serde_json::from_value(data)?);
    Ok(pod)
}

/// A pod's status as the scheduler writes it where no node will do.
fn unschedulable() -> Value {
    let words = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are \
                 available: 3 Preemption is not helpful for scheduling.";
    let condition = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    json!({"status": {"conditions": [condition]}})
}

/// A pod's status as kubelet writes it when all is well.
fn running(address: &str) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let container = |name: &str| {
        json!({
            "name": name, "image": "etcd", "imageID": "sha256:0", "containerID": "containerd://0", "ready": true,
            "started": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        })
    };
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let containers = ["agent", "etcd"].map(container);
    json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "10.0.0.1",
        "conditions": conditions, "containerStatuses": containers,
    }})
}

/// What an agent says when all is well. Member 0 leads.
fn said(cluster: &str, ordinal: usize, members: usize, generation: i64, pod: &str, address: &str) -> Value {
    let id = |ordinal: usize| format!("{:016x}", 0x8e9e_05c5_2164_694d_u64.wrapping_mul(ordinal as u64 + 1));
    let role = if ordinal == 0 { "Leader" } else { "Follower" };
    let mut said = json!({
        "observedGeneration": generation, "podUid": pod, "address": address, "counter": 3,
        "claim": {"number": 1, "volumeId": pod}, "phase": "Running", "ready": true, "settled": true,
        "memberId": id(ordinal), "clusterId": "cdf818194e3a8c32", "leaderId": id(0), "term": 2,
        "role": role, "version": "v3.5.21", "agentVersion": "0.1.0",
        "revision": 1000, "dbSize": 20_971_520, "dbSizeInUse": 16_777_216, "restarts": 0,
    });
    if ordinal == 0 {
        let entry = |ordinal: usize| {
            let name = format!("{cluster}-{ordinal}");
            json!({"id": id(ordinal), "name": name, "learner": false, "started": true, "connected": true})
        };
        let list: Vec<Value> = (0..members).map(entry).collect();
        said["membership"] = json!({"generation": generation, "members": list});
    }
    said
}
