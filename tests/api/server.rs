//! The API server with the committed kinds in it.

use anyhow::{Context, Result, bail};
use etcd_operator_shared::api::{EtcdBackup, EtcdCluster, EtcdMember, EtcdRestore, EtcdUser};
use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, resume_unwind};
use testbed::Cluster;
use tokio::sync::OnceCell;

const KINDS: &str = include_str!("../../manifests/crds/etcd.etcd.io.yaml");

pub struct Server {
    pub client: Client,
}

/// A namespace of a test's own: whatever clusters there are elsewhere, none of them is in its way.
pub struct Room {
    pub server: Server,
    pub name: String,
}

/// Runs a test in a room of its own, which is removed when the test succeeds, fails or panics.
pub async fn in_room(test: impl AsyncFnOnce(&Room) -> Result<()>) -> Result<()> {
    let room = Server::with_kinds().await?.room().await?;
    let outcome = AssertUnwindSafe(test(&room)).catch_unwind().await;
    room.leave().await?;
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
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
        self.served::<EtcdCluster>().await?;
        self.served::<EtcdMember>().await?;
        self.served::<EtcdUser>().await?;
        self.served::<EtcdBackup>().await?;
        self.served::<EtcdRestore>().await
    }

    /// Waits until a kind is served, which takes a moment the first time.
    async fn served<K: Resource<DynamicType = ()>>(&self) -> Result<()> {
        let kind = Api::<DynamicObject>::all_with(self.client.clone(), &ApiResource::erase::<K>(&()));
        for _ in 0..100 {
            if kind.list(&ListParams::default()).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        bail!("the kinds are not served after ten seconds")
    }

    async fn room(self) -> Result<Room> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"generateName": "api-"}}))?;
        let made = namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(Room { server: self, name: made.metadata.name.unwrap_or_default() })
    }
}

impl Room {
    /// Objects of a kind, as they are written.
    pub fn api<K: Resource<DynamicType = ()>>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.server.client.clone(), &self.name, &ApiResource::erase::<K>(&()))
    }

    pub fn clusters(&self) -> Api<DynamicObject> {
        self.api::<EtcdCluster>()
    }

    pub fn users(&self) -> Api<DynamicObject> {
        self.api::<EtcdUser>()
    }

    /// What the API server makes of an object: the object with its defaults, or the sentences of its refusal.
    pub async fn judge(&self, name: &str, spec: &Value) -> Result<std::result::Result<Value, Vec<String>>> {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        verdict(self.clusters().create(&dry, &cluster(name, spec)).await)
    }

    async fn leave(self) -> Result<()> {
        Api::<Namespace>::all(self.server.client).delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

pub fn cluster(name: &str, spec: &Value) -> DynamicObject {
    object::<EtcdCluster>(name, spec)
}

pub fn user(name: &str, spec: &Value) -> DynamicObject {
    object::<EtcdUser>(name, spec)
}

/// An object of a kind.
pub fn object<K: Resource<DynamicType = ()>>(name: &str, spec: &Value) -> DynamicObject {
    let mut object = DynamicObject::new(name, &ApiResource::erase::<K>(&()));
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
