//! Where the checks play: a namespace, and the few verbs they share.

use crate::command::{call, run};
use crate::machine::Testbed;
use crate::progress::Progress;
use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, Pod, Service};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) namespace: String,
    progress: Progress,
    kubeconfig: PathBuf,
    bin: PathBuf,
}

impl Stage {
    pub(super) async fn build(testbed: &Testbed, progress: Progress, namespace: &str) -> Result<Self> {
        let stage = Self {
            client: testbed.client().await?,
            namespace: namespace.to_owned(),
            progress,
            kubeconfig: testbed.kubeconfig(),
            bin: testbed.layout().bin(),
        };
        stage.strike().await?;
        let namespace = json!({"metadata": {"name": namespace}});
        Api::<Namespace>::all(stage.client.clone())
            .create(&PostParams::default(), &serde_json::from_value(namespace)?)
            .await?;
        Ok(stage)
    }

    /// Removes the namespace, and waits until its volumes are gone from the disk too.
    pub(super) async fn strike(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if let Some(namespace) = namespaces.get_opt(&self.namespace).await? {
            let uid = namespace.uid().context("a namespace has a UID")?;
            namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
            let gone = await_condition(namespaces, &self.namespace, conditions::is_deleted(&uid));
            tokio::time::timeout(PATIENCE, gone).await.context("the namespace does not go away")??;
        }
        let volumes = Api::<PersistentVolume>::all(self.client.clone());
        self.until("every volume is removed", async || {
            let all = volumes.list(&ListParams::default()).await;
            all.is_ok_and(|all| !all.iter().any(|volume| self.claims(volume)))
        })
        .await
    }

    fn claims(&self, volume: &PersistentVolume) -> bool {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_deref() == Some(&self.namespace))
    }

    pub(super) fn say(&self, what: impl AsRef<str>) {
        self.progress.say(what);
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) async fn create_pod(&self, pod: serde_json::Value) -> Result<()> {
        Ok(self.pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await.map(drop)?)
    }

    /// Deletes a pod and waits until it is gone.
    pub(super) async fn delete_pod(&self, name: &str) -> Result<()> {
        let uid = self.pods().get(name).await?.uid().context("a pod has a UID")?;
        self.pods().delete(name, &DeleteParams::default().grace_period(1)).await?;
        let gone = await_condition(self.pods(), name, conditions::is_deleted(&uid));
        tokio::time::timeout(PATIENCE, gone).await.with_context(|| format!("pod {name} does not go away"))??;
        Ok(())
    }

    pub(super) async fn node_of(&self, pod: &str) -> Result<String> {
        self.pods()
            .get(pod)
            .await?
            .spec
            .and_then(|spec| spec.node_name)
            .with_context(|| format!("pod {pod} has no node"))
    }

    pub(super) async fn ip_of(&self, pod: &str) -> Result<String> {
        self.pods()
            .get(pod)
            .await?
            .status
            .and_then(|status| status.pod_ip)
            .with_context(|| format!("pod {pod} has no address"))
    }

    pub(super) async fn is_ready(&self, pod: &str) -> bool {
        let Ok(pod) = self.pods().get(pod).await else { return false };
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True")
    }

    pub(super) async fn restarts(&self, pod: &str) -> i32 {
        let Ok(pod) = self.pods().get(pod).await else { return 0 };
        let containers = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
        containers.iter().map(|one| one.restart_count).sum()
    }

    /// A Service with an address of its own before the pods of `app`.
    pub(super) async fn cluster_ip(&self, name: &str, app: &str) -> Result<String> {
        let service =
            json!({"metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": [{"port": 2379}]}});
        let services = Api::<Service>::namespaced(self.client.clone(), &self.namespace);
        let service = services.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
        service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")
    }

    /// `etcdctl` in a pod, by `kubectl exec`: that the API server reaches kubelets is checked along the way.
    pub(super) async fn etcdctl(&self, pod: &str, words: &str) -> Result<String> {
        let mut command = Command::new(self.bin.join("kubectl"));
        command.env("KUBECONFIG", &self.kubeconfig).args([
            "-n",
            &self.namespace,
            "exec",
            pod,
            "-c",
            "etcd",
            "--",
            "etcdctl",
            "--command-timeout=3s",
        ]);
        command.args(words.split_whitespace());
        tokio::task::spawn_blocking(move || run(&mut command)).await?
    }

    /// `etcdctl` on the host.
    pub(super) fn etcdctl_here(&self, endpoint: &str, words: &str) -> Result<String> {
        call(&format!(
            "{} --dial-timeout=500ms --command-timeout=2s --endpoints={endpoint} {words}",
            self.bin.join("etcdctl").display()
        ))
    }

    pub(super) async fn put_and_get(&self, writer: &str, reader: &str, key: &str) -> Result<()> {
        self.etcdctl(writer, &format!("put {key} value-of-{key}")).await?;
        let read = self.etcdctl(reader, &format!("get {key}")).await?;
        ensure!(read.contains(&format!("value-of-{key}")), "{reader} reads `{read}`");
        Ok(())
    }

    /// Asks until the answer is yes.
    pub(super) async fn until(&self, what: &str, question: impl AsyncFn() -> bool) -> Result<()> {
        let started = Instant::now();
        while !question().await {
            if started.elapsed() > PATIENCE {
                bail!("waited {PATIENCE:?} until {what}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
