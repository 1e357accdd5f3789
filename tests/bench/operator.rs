//! The operator under measurement: the release binaries, the coordinator outside the cluster.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use testbed::Cluster;
use tokio::time::sleep;

/// A namespace with its own coordinator; both end when it is dropped or closed.
pub struct Operator {
    pub cluster: Cluster,
    pub namespace: String,
    coordinator: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts a coordinator for a new namespace.
    pub async fn start(cluster: Cluster) -> Result<Self> {
        let namespace = format!("bench-{}", std::process::id());
        let body: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        Api::<Namespace>::all(cluster.client()).create(&PostParams::default(), &body).await?;
        let binary = binary();
        let kubeconfig = cluster.testbed().context("the benchmark needs the testbed")?.kubeconfig();
        let log = std::env::temp_dir().join(format!("{namespace}.log"));
        let coordinator = Command::new(&binary)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--namespace", &namespace, "--lease-namespace", &namespace, "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        Ok(Self { cluster, namespace, coordinator, log })
    }

    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// KiB of memory of the coordinator.
    pub fn coordinator_rss(&self) -> Result<f64> {
        rss(self.coordinator.id())
    }

    fn clusters(&self) -> Api<DynamicObject> {
        let kind = ApiResource {
            group: "etcd.etcd.io".into(),
            version: "v1alpha1".into(),
            api_version: "etcd.etcd.io/v1alpha1".into(),
            kind: "EtcdCluster".into(),
            plural: "etcdclusters".into(),
        };
        Api::namespaced_with(self.client(), &self.namespace, &kind)
    }

    /// Creates a cluster and waits until its condition Ready is True; returns how long that took.
    pub async fn create(&self, name: &str, size: usize) -> Result<Duration> {
        self.create_version(name, size, "v3.5.21").await
    }

    /// As [`create`](Self::create), of any version.
    pub async fn create_version(&self, name: &str, size: usize, version: &str) -> Result<Duration> {
        self.create_as(name, spec(size, version)).await
    }

    /// The same with all traffic encrypted, as it is where nothing is said.
    pub async fn create_encrypted(&self, name: &str, size: usize) -> Result<Duration> {
        let mut spec = spec(size, "v3.5.21");
        spec["security"] = json!({});
        self.create_as(name, spec).await
    }

    async fn create_as(&self, name: &str, spec: Value) -> Result<Duration> {
        let object = serde_json::from_value(json!({
            "apiVersion": "etcd.etcd.io/v1alpha1",
            "kind": "EtcdCluster",
            "metadata": {"name": name},
            "spec": spec,
        }))?;
        let started = Instant::now();
        self.clusters().create(&PostParams::default(), &object).await?;
        let ready = |object: &DynamicObject| {
            object.data["status"]["conditions"]
                .as_array()
                .is_some_and(|list| list.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
        };
        while !self.clusters().get_opt(name).await?.is_some_and(|object| ready(&object)) {
            if started.elapsed() > Duration::from_secs(120) {
                bail!("{name} is not Ready after two minutes\n{}", self.evidence().await);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(started.elapsed())
    }

    /// Asks for another size.
    pub async fn resize(&self, name: &str, size: usize) -> Result<()> {
        self.patch(name, json!({ "size": size })).await
    }

    /// Puts these fields over a cluster's spec.
    pub async fn patch(&self, name: &str, fields: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": fields }));
        self.clusters().patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// What a person would look at when something did not happen.
    pub async fn evidence(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("{}\n--- coordinator\n{log}", self.cluster.evidence(&self.namespace).await)
    }

    /// Deletes a cluster and waits until its pods are gone.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.clusters().delete(name, &kube::api::DeleteParams::background()).await?;
        gone(self.client(), &self.namespace).await
    }

    /// Ends the coordinator and removes the namespace.
    pub async fn close(mut self) -> Result<()> {
        self.stop();
        Api::<Namespace>::all(self.client()).delete(&self.namespace, &kube::api::DeleteParams::default()).await?;
        Ok(())
    }

    fn stop(&mut self) {
        // It has ended already, or it ends now.
        let _ = self.coordinator.kill();
        let _ = self.coordinator.wait();
        // Gone already after the first stop.
        let _ = std::fs::remove_file(&self.log);
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spec(size: usize, version: &str) -> Value {
    let storage = json!({"size": "512Mi", "storageClassName": "local", "retention": {"whenDeleted": "Delete"}});
    // What is compared with a bare etcd is plain as that is.
    let security = json!({"peer": {"mode": "Plain"}, "client": {"mode": "Plain"}});
    json!({"size": size, "version": version, "storage": storage, "security": security})
}

/// Waits until no pod and no claim is left in a namespace.
pub async fn gone(client: Client, namespace: &str) -> Result<()> {
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
    let (pods, claims) = (
        Api::<Pod>::namespaced(client.clone(), namespace),
        Api::<PersistentVolumeClaim>::namespaced(client, namespace),
    );
    let started = Instant::now();
    loop {
        let left =
            pods.list(&Default::default()).await?.items.len() + claims.list(&Default::default()).await?.items.len();
        if left == 0 {
            return Ok(());
        }
        if started.elapsed() > Duration::from_secs(120) {
            bail!("{left} pods and claims are still there after two minutes");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// KiB of memory of a process.
pub fn rss(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The coordinator's program.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("BENCH_COORDINATOR") {
        return PathBuf::from(named);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join(format!("{}-unknown-linux-musl/release/etcd-coordinator", std::env::consts::ARCH))
}
