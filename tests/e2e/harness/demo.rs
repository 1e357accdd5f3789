//! An EtcdCluster under test.

use super::etcd::{Entry, Etcd, User, hex};
use super::pods::{self, ReadyWatch};
use super::process;
use super::{Part, Stage, until, user};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::api::cluster::AgentUpdate;
use etcd_operator_shared::api::{EtcdCluster, EtcdMember};
use etcd_operator_shared::names::{self, PORT_CLIENT};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testbed::Faults;
use testbed::faults::process::PodProcess;
use tokio::sync::OnceCell;

/// What may take long on two cores that others use too. Where speed is the claim, the test says so.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// An election takes no longer, also on a busy machine.
const ELECTION: Duration = Duration::from_secs(20);

/// An EtcdCluster on a stage.
#[derive(Clone)]
pub struct Demo<'a> {
    pub stage: &'a Stage,
    pub name: String,
    pub size: u32,
    /// The EtcdUser as whom its etcd is asked, once it was asked; none where its traffic is plain.
    pub user: Arc<OnceCell<Option<String>>>,
}

/// A small cluster that takes its volumes with it.
#[must_use]
pub fn spec(size: u32) -> Value {
    let mut all = unsaid(size);
    all["security"] = json!({"peer": {"mode": "Plain"}, "client": {"mode": "Plain"}});
    all
}

/// The same as people write it: it says nothing of encryption, and so has it.
#[must_use]
pub fn unsaid(size: u32) -> Value {
    let storage = json!({"size": "512Mi", "retention": {"whenDeleted": "Delete"}});
    json!({"size": size, "version": "v3.5.21", "storage": storage})
}

/// `spec` with other fields put over it, deeply.
#[must_use]
pub fn spec_with(size: u32, fields: Value) -> Value {
    let mut all = spec(size);
    merge(&mut all, fields);
    all
}

/// Puts fields over others, deeply.
pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

impl<'a> Demo<'a> {
    /// Creates it and returns at once.
    ///
    /// # Errors
    /// With the API server's reply, when it refuses.
    pub async fn create(stage: &'a Stage, name: &str, spec: Value) -> Result<Self> {
        let size = u32::try_from(spec["size"].as_i64().unwrap_or(3)).unwrap_or_default();
        let object = json!({"apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster", "metadata": {"name": name}, "spec": spec});
        stage.api::<EtcdCluster>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(Self::there(stage, name, size))
    }

    /// One that is there already.
    #[must_use]
    pub fn there(stage: &'a Stage, name: &str, size: u32) -> Self {
        Self { stage, name: name.to_owned(), size, user: Arc::default() }
    }

    /// Creates it, waits until it is Ready, and returns how long that took.
    ///
    /// # Errors
    /// When it does not become Ready.
    pub async fn up(stage: &'a Stage, name: &str, spec: Value) -> Result<(Self, Duration)> {
        let started = Instant::now();
        let demo = Self::create(stage, name, spec).await?;
        demo.ready().await?;
        Ok((demo, started.elapsed()))
    }

    pub async fn get(&self) -> Result<EtcdCluster> {
        Ok(self.stage.api::<EtcdCluster>().get(&self.name).await?)
    }

    pub async fn patch_spec(&self, fields: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": fields }));
        self.stage.api::<EtcdCluster>().patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// A condition that speaks of the newest spec.
    pub async fn condition(&self, kind: &str) -> Result<Condition> {
        let cluster = self.get().await?;
        let conditions = cluster.status.map(|status| status.conditions).unwrap_or_default();
        let found = conditions.into_iter().find(|one| one.type_ == kind);
        let found = found.with_context(|| format!("EtcdCluster {} has no condition {kind}", self.name))?;
        ensure!(found.observed_generation == cluster.metadata.generation, "condition {kind} is of an older spec");
        Ok(found)
    }

    /// Waits until Ready is True and nothing is being changed, and all pods say the same.
    pub async fn ready(&self) -> Result<()> {
        until(&format!("EtcdCluster {} is Ready", self.name), PATIENCE, async || self.is_ready().await).await
    }

    /// Fails with the reason while it is not.
    pub async fn is_ready(&self) -> Result<()> {
        for (kind, wanted) in [("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")] {
            let found = self.condition(kind).await?;
            ensure!(found.status == wanted, "{kind} is {}: {} {}", found.status, found.reason, found.message);
        }
        let pods = self.pods().await?;
        ensure!(pods.len() == self.size as usize, "there are {} pods", pods.len());
        let set = self.stage.api::<StatefulSet>().get(&self.name).await?;
        let template = set.spec.map(|spec| spec.template).context("a StatefulSet has a template")?;
        let keeps_agents = self.get().await?.spec.pod.agent_update == Some(AgentUpdate::OnRestart);
        let newest = pods::made_of(template.metadata.as_ref(), template.spec.as_ref());
        for pod in pods {
            let own = pods::made_of(Some(&pod.metadata), pod.spec.as_ref());
            let same = own[..2] == newest[..2] && (keeps_agents || own[2] == newest[2]);
            ensure!(same, "pod {} is made of {own:?} and should be of {newest:?}", pod.name_any());
            ensure!(pods::is_ready(&pod), "pod {} is not Ready", pod.name_any());
        }
        let options = pods::options(template.spec.as_ref());
        for member in self.members() {
            let said = self.stage.api::<EtcdMember>().get(&member).await?.status.unwrap_or_default().options;
            ensure!(said.is_none() || said == options, "{member} has options {said:?} and should have {options:?}");
        }
        Ok(())
    }

    /// Waits until a condition has this status and reason, and returns its sentence.
    pub async fn says(&self, kind: &str, status: &str, reason: &str) -> Result<String> {
        let what = format!("EtcdCluster {} says {kind}={status}, {reason}", self.name);
        until(&what, PATIENCE, async || {
            let found = self.condition(kind).await?;
            let right = found.status == status && found.reason == reason;
            ensure!(right, "{kind} is {}: {} {}", found.status, found.reason, found.message);
            Ok(found.message)
        })
        .await
    }

    #[must_use]
    pub fn member(&self, ordinal: u32) -> String {
        names::member(&self.name, ordinal)
    }

    pub fn members(&self) -> impl Iterator<Item = String> + use<'_> {
        (0..self.size).map(|ordinal| self.member(ordinal))
    }

    /// Selects what is its members' own, not the throw-away pod of a roll.
    #[must_use]
    pub fn selector(&self) -> String {
        format!("{}={},{}", names::LABEL_CLUSTER, self.name, names::LABEL_CLUSTER_UID)
    }

    pub async fn pods(&self) -> Result<Vec<Pod>> {
        pods::list(&self.stage.api(), &self.selector()).await
    }

    pub async fn pod(&self, ordinal: u32) -> Result<Pod> {
        Ok(self.stage.api::<Pod>().get(&self.member(ordinal)).await?)
    }

    /// Watches the readiness of its pods from now on.
    #[must_use]
    pub fn watch_readiness(&self) -> ReadyWatch {
        ReadyWatch::start(self.stage.api(), &self.selector(), self.members())
    }

    /// Restarts of containers in all its pods.
    pub async fn restarts(&self) -> Result<i32> {
        Ok(self.pods().await?.iter().map(pods::restarts).sum())
    }

    pub async fn ip(&self, ordinal: u32) -> Result<String> {
        pods::ip(&self.pod(ordinal).await?).context("the pod has no address")
    }

    /// A connection to one member, by its pod's address.
    pub async fn etcd(&self, ordinal: u32) -> Result<Etcd> {
        Etcd::for_user(&self.ip(ordinal).await?, PORT_CLIENT, self.user().await?.as_ref()).await
    }

    /// As whom its etcd is asked: nobody where its traffic is plain, else an EtcdUser of the tests' own.
    pub async fn user(&self) -> Result<Option<User>> {
        match self.user.get_or_try_init(async || self.make_user().await).await? {
            // Its certificate may be another one by now.
            Some(name) => user::read(self.stage, &self.name, name).await.map(Some),
            None => Ok(None),
        }
    }

    async fn make_user(&self) -> Result<Option<String>> {
        let incarnation = self.get().await?.status.and_then(|status| status.incarnation);
        if !incarnation.context("it has not begun")?.encrypted.client {
            return Ok(None);
        }
        let name = user::tester(&self.name);
        user::make(self.stage, &self.name, &name).await?;
        Ok(Some(name))
    }

    /// Connections to all members.
    pub async fn etcds(&self) -> Result<Vec<Etcd>> {
        try_join_all((0..self.size).map(|ordinal| self.etcd(ordinal))).await
    }

    /// Waits until each member serves linearizable reads, whatever Kubernetes says of it.
    pub async fn serves(&self, within: Duration) -> Result<()> {
        until(&format!("every member of {} serves", self.name), within, async || {
            try_join_all(self.etcds().await?.iter().map(Etcd::serves)).await.map(drop)
        })
        .await
    }

    /// The membership, after checking that all members agree on one cluster ID; both are returned.
    pub async fn one_cluster(&self) -> Result<(String, Vec<Entry>)> {
        let etcds = self.etcds().await?;
        let said = try_join_all(etcds.iter().map(Etcd::said)).await?;
        let first = said.first().context("a cluster has members")?.cluster_id.clone();
        ensure!(said.iter().all(|one| one.cluster_id == first), "there are two clusters: {said:?}");
        Ok((first, etcds[0].members().await?))
    }

    /// Fails unless all members are voters that have started, of one cluster; returns its ID.
    pub async fn all_vote(&self) -> Result<String> {
        let (id, members) = self.one_cluster().await?;
        let mut found: Vec<&str> = members.iter().map(|one| one.name.as_str()).collect();
        found.sort_unstable();
        ensure!(found == self.members().collect::<Vec<_>>(), "the membership is {found:?}");
        ensure!(members.iter().all(|one| one.started && !one.is_learner), "not all vote and run: {members:?}");
        Ok(id)
    }

    /// The ordinal of the member that etcd says leads, after an election where one is under way.
    pub async fn leader(&self) -> Result<u32> {
        until(&format!("{} has a leader", self.name), ELECTION, async || self.leader_now().await).await
    }

    async fn leader_now(&self) -> Result<u32> {
        let etcd = self.etcd(0).await?;
        let (leader, members) = (etcd.said().await?.leader, etcd.members().await?);
        let leads =
            members.iter().find(|one| one.id == leader).with_context(|| format!("{} leads nobody", hex(leader)))?;
        names::ordinal(&self.name, &leads.name).context("the leader has a member's name")
    }

    /// Some member that does not lead.
    pub async fn follower(&self) -> Result<u32> {
        let leader = self.leader().await?;
        (0..self.size).find(|ordinal| *ordinal != leader).context("it has one member only")
    }

    pub async fn process(&self, faults: &Faults, ordinal: u32, part: Part) -> Result<PodProcess> {
        process::find(faults, &self.stage.namespace, &self.member(ordinal), part).await
    }

    /// `kubectl exec` in a member's pod, as a person types it.
    pub async fn exec(&self, ordinal: u32, args: &[&str]) -> Result<String> {
        let pod = self.member(ordinal);
        self.stage.kubectl.run(&[&["-n", &self.stage.namespace, "exec", &pod], args].concat()).await
    }

    /// As [`exec`](Self::exec), for a command that must not warn of anything.
    pub async fn exec_cleanly(&self, ordinal: u32, args: &[&str]) -> Result<String> {
        let pod = self.member(ordinal);
        self.stage.kubectl.run_cleanly(&[&["-n", &self.stage.namespace, "exec", &pod], args].concat()).await
    }

    /// Deletes a pod and does not wait.
    pub async fn delete_pod(&self, ordinal: u32, grace: u32) -> Result<()> {
        self.stage.api::<Pod>().delete(&self.member(ordinal), &DeleteParams::default().grace_period(grace)).await?;
        Ok(())
    }

    /// Deletes a volume claim and does not wait.
    pub async fn delete_claim(&self, ordinal: u32) -> Result<()> {
        let claim = names::volume_claim(&self.member(ordinal));
        self.stage.api::<PersistentVolumeClaim>().delete(&claim, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Deletes the EtcdCluster and waits until it, its pods and the volumes that go with it are gone.
    pub async fn delete(&self) -> Result<()> {
        self.stage.api::<EtcdCluster>().delete(&self.name, &DeleteParams::default()).await?;
        until(&format!("EtcdCluster {} and its pods are gone", self.name), PATIENCE, async || {
            if self.stage.api::<EtcdCluster>().get_opt(&self.name).await?.is_some() {
                bail!("the EtcdCluster is there");
            }
            let left = self.pods().await?;
            ensure!(left.is_empty(), "{} pods are there", left.len());
            let claims =
                self.stage.api::<PersistentVolumeClaim>().list(&ListParams::default().labels(&self.selector())).await?;
            let owned: Vec<String> =
                claims.iter().filter(|one| !one.owner_references().is_empty()).map(ResourceExt::name_any).collect();
            ensure!(owned.is_empty(), "{owned:?} are there");
            Ok(())
        })
        .await
    }
}
