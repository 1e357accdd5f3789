//! A namespace with a coordinator of its own, and what of the testbed a test has broken.

use super::coordinator::{self, Coordinator};
use super::kubectl::Kubectl;
use super::{leftovers, poll::until, say};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdCluster;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use testbed::faults::control_plane::Component;
use testbed::{Cluster, Faults};
use tokio::sync::OnceCell;

/// The agents' image, unless `E2E_AGENT_IMAGE` names another.
const AGENT_IMAGE: &str = "etcd-operator/agent:dev";
/// Volumes are unmounted and their disks removed along the way.
const STRIKE: Duration = Duration::from_secs(120);
/// The API server needs a second.
const ESTABLISHED: Duration = Duration::from_secs(30);
/// How long pods that are killed may take to be gone.
const GRACE: Duration = Duration::from_secs(10);
/// Namespace and name of the coordinator that `manifests/install.yaml` installs.
const OPERATOR: (&str, &str) = ("etcd-operator-system", "etcd-coordinator");
/// Once a process: the kinds are there, and what killed tests left behind is not.
static PREPARED: OnceCell<()> = OnceCell::const_new();

/// Where one test plays.
pub struct Stage {
    pub test: String,
    pub namespace: String,
    pub kubectl: Kubectl,
    cluster: Cluster,
    kubeconfig: PathBuf,
    coordinator: Mutex<Option<Coordinator>>,
    broken: Mutex<Vec<Broken>>,
}

/// What of the testbed is down, until it is healed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Broken {
    Node(String),
    Part(Component),
}

impl Stage {
    /// Makes the namespace and starts the coordinator.
    ///
    /// # Errors
    /// When the cluster does not let it.
    pub async fn build(test: &str) -> Result<Self> {
        let cluster = Cluster::connect().await?;
        let named = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        let (program, kubeconfig) = match cluster.testbed() {
            Some(testbed) => (testbed.layout().bin().join("kubectl"), Some(testbed.kubeconfig())),
            None => ("kubectl".into(), named),
        };
        let kubectl = Kubectl { program, kubeconfig: kubeconfig.clone() };
        PREPARED.get_or_try_init(|| prepare(&cluster, &kubectl)).await?;
        let namespace = format!("e2e-{}-{:05x}", test.replace('_', "-"), rand::random::<u32>() & 0xf_ffff);
        let stage = Self {
            test: test.to_owned(),
            namespace,
            kubectl,
            cluster,
            kubeconfig: kubeconfig.context("a cluster has a kubeconfig")?,
            coordinator: Mutex::default(),
            broken: Mutex::default(),
        };
        let (labels, annotations) = leftovers::marks();
        let namespace = json!({"metadata": {"name": stage.namespace, "labels": labels, "annotations": annotations}});
        let namespaces = Api::<Namespace>::all(stage.client());
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
        stage.start_coordinator(&agent_image())?;
        Ok(stage)
    }

    #[must_use]
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// A client that is nobody but the bearer of this token.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client_of(&self, token: String) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
        Ok(Client::try_from(config)?)
    }

    /// The fault handles; a line says that the test is skipped when there are none.
    #[must_use]
    pub fn faults_or_skip(&self) -> Option<&Faults> {
        if self.cluster.faults().is_none() {
            self.say("skipped: needs fault handles");
        }
        self.cluster.faults()
    }

    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    pub fn say(&self, what: impl AsRef<str>) {
        say(&self.test, what);
    }

    /// Starts a coordinator that gives pods this agent image.
    ///
    /// # Errors
    /// When its program is not there.
    pub fn start_coordinator(&self, agent_image: &str) -> Result<()> {
        let started = self.another_coordinator(&self.namespace, agent_image)?;
        *self.coordinator.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(())
    }

    /// Starts a coordinator beside the stage's own, with its Lease in this namespace: another one is another installation.
    ///
    /// # Errors
    /// When its program is not there.
    pub fn another_coordinator(&self, lease_namespace: &str, agent_image: &str) -> Result<Coordinator> {
        Coordinator::start(&self.kubeconfig, &self.namespace, lease_namespace, agent_image)
    }

    /// Ends it as Kubernetes would.
    ///
    /// # Errors
    /// When it does not end, or ended before.
    pub async fn stop_coordinator(&self) -> Result<()> {
        match self.take_coordinator() {
            Some(coordinator) => coordinator.stop().await,
            None => Ok(()),
        }
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it ended before.
    pub async fn kill_coordinator(&self) -> Result<()> {
        self.take_coordinator().context("no coordinator runs")?.kill().await
    }

    /// The address of its probes and metrics, on this machine.
    ///
    /// # Errors
    /// When none runs.
    pub fn coordinator_port(&self) -> Result<u16> {
        let running = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(Coordinator::port).context("no coordinator runs")
    }

    fn take_coordinator(&self) -> Option<Coordinator> {
        self.coordinator.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The end of the coordinator's log.
    #[must_use]
    pub fn coordinator_log(&self) -> String {
        let running = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map_or_else(|| "it does not run\n".to_owned(), Coordinator::log)
    }

    /// Stops a node until it is started, at the latest when the stage is struck.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop_node(&self, faults: &Faults, node: &str) -> Result<()> {
        self.note(Broken::Node(node.to_owned()));
        faults.stop_node(node).await
    }

    /// # Errors
    /// When it does not start.
    pub async fn start_node(&self, faults: &Faults, node: &str) -> Result<()> {
        faults.start_node(node).await?;
        self.forget(&Broken::Node(node.to_owned()));
        Ok(())
    }

    /// Stops a part of the control plane until it is started, at the latest when the stage is struck.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop_part(&self, faults: &Faults, part: Component) -> Result<()> {
        self.note(Broken::Part(part));
        faults.stop(part).await
    }

    /// # Errors
    /// When it does not start.
    pub async fn start_part(&self, faults: &Faults, part: Component) -> Result<()> {
        faults.start(part).await?;
        self.forget(&Broken::Part(part));
        Ok(())
    }

    fn note(&self, broken: Broken) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(broken);
    }

    fn forget(&self, healed: &Broken) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).retain(|broken| broken != healed);
    }

    /// Starts what the test has left stopped.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn heal(&self) -> Result<()> {
        let broken: Vec<Broken> = self.broken.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        let Some(faults) = self.cluster.faults() else { return Ok(()) };
        for one in broken.into_iter().rev() {
            match one {
                Broken::Node(node) => faults.start_node(&node).await?,
                Broken::Part(part) => faults.start(part).await?,
            }
        }
        Ok(())
    }

    /// Removes the namespace with all that is in it, and waits until its volumes are gone too.
    ///
    /// # Errors
    /// When something stays.
    pub async fn strike(&self) -> Result<()> {
        drop(self.take_coordinator());
        let namespaces = Api::<Namespace>::all(self.client());
        // Pods first, and soon: a frozen etcd would take its whole grace period, and the namespace controller looks again after half of it.
        let (soon, all) = (DeleteParams::default().grace_period(1), ListParams::default());
        until("the namespace is being deleted", STRIKE, async || {
            leftovers::let_users_go(&self.client(), &self.namespace).await?;
            self.api::<EtcdCluster>().delete_collection(&DeleteParams::default(), &all).await?;
            self.api::<StatefulSet>().delete_collection(&DeleteParams::background(), &all).await?;
            self.api::<Pod>().delete_collection(&soon, &all).await?;
            until("its pods are gone", GRACE, async || {
                ensure!(self.api::<Pod>().list(&all).await?.items.is_empty(), "pods are there");
                Ok(())
            })
            .await
            // The namespace controller tries again.
            .unwrap_or_default();
            Ok(namespaces.delete(&self.namespace, &DeleteParams::default()).await.map(drop)?)
        })
        .await?;
        until("the namespace and its volumes are gone", STRIKE, async || {
            let _ = self.api::<Pod>().delete_collection(&soon, &all).await;
            ensure!(namespaces.get_opt(&self.namespace).await?.is_none(), "the namespace is there");
            let volumes = Api::<PersistentVolume>::all(self.client()).list(&all).await?;
            let left: Vec<String> = volumes.iter().filter(|one| self.claims(one)).map(ResourceExt::name_any).collect();
            ensure!(left.is_empty(), "volumes are there: {left:?}");
            Ok(())
        })
        .await
    }

    fn claims(&self, volume: &PersistentVolume) -> bool {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_deref() == Some(&self.namespace))
    }
}

/// The image of the agents under test.
#[must_use]
pub fn agent_image() -> String {
    std::env::var("E2E_AGENT_IMAGE").unwrap_or_else(|_| AGENT_IMAGE.to_owned())
}

async fn prepare(cluster: &Cluster, kubectl: &Kubectl) -> Result<()> {
    // A build beside a test would slow it down.
    testbed::client::Client::build().await?;
    cluster.stock().await?;
    nobody_else_acts(cluster).await?;
    leftovers::sweep(&cluster.client()).await?;
    apply_kinds(kubectl).await
}

/// Makes the kinds what the coordinator under test says.
///
/// # Errors
/// When the API server does not take them.
pub async fn apply_kinds(kubectl: &Kubectl) -> Result<()> {
    let crds = tokio::process::Command::new(coordinator::program()?).arg("crds").output().await?;
    let crds = String::from_utf8(crds.stdout)?;
    kubectl.feed(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &crds).await?;
    let kinds = ["etcdclusters", "etcdmembers", "etcdusers", "etcdbackups", "etcdrestores"];
    let kinds = kinds.map(|kind| format!("crd/{kind}.etcd.etcd.io"));
    let mut wait = vec!["wait", "--for=condition=Established", "--timeout=10s"];
    wait.extend(kinds.iter().map(String::as_str));
    // kubectl takes a kind that was made this moment, and has no conditions yet, for an error.
    until("the kinds are established", ESTABLISHED, async || kubectl.run(&wait).await.map(drop)).await
}

/// An installed operator looks after every namespace, and each test has a coordinator of its own.
async fn nobody_else_acts(cluster: &Cluster) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(cluster.client(), OPERATOR.0);
    let replicas = deployments.get_opt(OPERATOR.1).await?.and_then(|one| one.spec).and_then(|spec| spec.replicas);
    ensure!(
        replicas.unwrap_or(0) == 0,
        "the operator installed in {} would act on the clusters of the tests: `make e2e` and `make test` stand it still \
         while they run; by hand: kubectl -n {0} scale deployment {} --replicas=0",
        OPERATOR.0,
        OPERATOR.1
    );
    Ok(())
}
