//! The API server with the committed kinds in it.

use anyhow::{Context, Result, bail};
use etcd_operator_shared::api::{EtcdCluster, EtcdMember};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use testbed::Cluster;
use tokio::sync::OnceCell;

const KINDS: &str = include_str!("../../manifests/crds/etcd.etcd.io.yaml");

/// Where objects are sent as dry runs: it always exists.
const NAMESPACE: &str = "default";

pub struct Server {
    pub client: Client,
}

/// A namespace of a test's own.
pub struct Room {
    client: Client,
    pub name: String,
}

impl Server {
    /// The kinds are applied once for all tests: while a kind is being made, the API server turns readers away.
    pub async fn with_kinds() -> Result<Self> {
        static APPLIED: OnceCell<()> = OnceCell::const_new();
        let server = Self { client: Cluster::connect().await?.client() };
        APPLIED.get_or_try_init(|| server.apply_kinds()).await?;
        Ok(server)
    }

    async fn apply_kinds(&self) -> Result<()> {
        for document in KINDS.split("\n---\n") {
            let object: DynamicObject = serde_yaml::from_str(document)?;
            let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
            let kinds = Api::<DynamicObject>::all_with(self.client.clone(), &ApiResource::from_gvk(&kind));
            let name = object.metadata.name.clone().context("a kind without a name")?;
            kinds.patch(&name, &PatchParams::apply("etcd-tests").force(), &Patch::Apply(&object)).await?;
        }
        self.served(self.clusters(NAMESPACE)).await?;
        self.served(Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::erase::<EtcdMember>(&()))).await
    }

    /// Waits until a kind is served, which takes a moment the first time.
    async fn served(&self, kind: Api<DynamicObject>) -> Result<()> {
        for _ in 0..100 {
            if kind.list(&Default::default()).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        bail!("the kinds are not served after ten seconds")
    }

    pub fn clusters(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<EtcdCluster>(&()))
    }

    /// What the API server makes of an object: the object with its defaults, or the sentences of its refusal.
    pub async fn judge(&self, name: &str, spec: &Value) -> Result<std::result::Result<Value, Vec<String>>> {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let made = self.clusters(NAMESPACE).create(&dry, &cluster(name, spec)).await;
        verdict(made)
    }

    pub async fn room(&self) -> Result<Room> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"generateName": "api-"}}))?;
        let made = namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(Room { client: self.client.clone(), name: made.metadata.name.unwrap_or_default() })
    }
}

impl Room {
    pub async fn leave(self) -> Result<()> {
        Api::<Namespace>::all(self.client).delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

pub fn cluster(name: &str, spec: &Value) -> DynamicObject {
    let mut object = DynamicObject::new(name, &ApiResource::erase::<EtcdCluster>(&()));
    object.data = json!({ "spec": spec });
    object
}

/// An answer, or the sentences of a refusal for invalid content. Anything else is a failure of the test.
pub fn verdict(answer: kube::Result<DynamicObject>) -> Result<std::result::Result<Value, Vec<String>>> {
    match answer {
        Ok(object) => Ok(Ok(serde_json::to_value(object)?)),
        Err(kube::Error::Api(status)) if matches!(status.code, 422 | 400) => {
            // Without a field it is Kubernetes' own remark that an object which breaks the schema is not looked at further.
            let causes = status.details.iter().flat_map(|d| d.causes.clone()).filter(|c| c.field != "<nil>");
            let sentences: Vec<String> = causes.map(|c| format!("{}: {}", c.field, c.message)).collect();
            Ok(Err(if sentences.is_empty() { vec![status.message.clone()] } else { sentences }))
        }
        Err(error) => Err(error.into()),
    }
}
