//! The verbs that take something away. Each names a UID and keeps the pace, and none is sent by a process that may lead no
//! more by the time that its turn has come.

use etcd_operator_shared::names::MANAGER_COORDINATOR;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use super::{
    failed::{Cause, Failed},
    fence,
    verbs::{ApiServer, Kind, say},
};

impl ApiServer {
    /// Deletes exactly the object with this UID, while this process leads for certain.
    pub async fn delete<K: Kind>(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Failed> {
        self.delete_only::<K>(namespace, name, Preconditions { uid: Some(uid.to_owned()), resource_version: None })
            .await
    }

    /// As [`delete`](Self::delete), if nobody has written it since it had this resourceVersion.
    pub async fn delete_unchanged<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        version: Option<String>,
    ) -> Result<(), Failed> {
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version: version };
        self.delete_only::<K>(namespace, name, only).await
    }

    async fn delete_only<K: Kind>(&self, namespace: &str, name: &str, only: Preconditions) -> Result<(), Failed> {
        self.writes::<K>("delete").await;
        self.may_take_away(|| say::<K>("delete", name))?;
        let params = DeleteParams::default().preconditions(only);
        self.call(|| say::<K>("delete", name), self.api::<K>(namespace).delete(name, &params)).await?;
        Ok(())
    }

    /// Deletes exactly this version of an object, and leaves what it owns.
    pub async fn release<K: Kind>(&self, namespace: &str, name: &str, only: Preconditions) -> Result<(), Failed> {
        self.writes::<K>("delete").await;
        self.may_take_away(|| say::<K>("release", name))?;
        let params = DeleteParams::orphan().preconditions(only);
        self.call(|| say::<K>("release", name), self.api::<K>(namespace).delete(name, &params)).await?;
        Ok(())
    }

    /// Changes parts of the object with the UID that the patch names, lists by their keys. What runs there is restarted by it.
    pub async fn change<K: Kind>(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), Failed> {
        self.writes::<K>("patch").await;
        self.may_take_away(|| say::<K>("patch", name))?;
        let params = PatchParams { field_manager: Some(MANAGER_COORDINATOR.into()), ..PatchParams::default() };
        let patch = Patch::Strategic(patch);
        self.call(|| say::<K>("patch", name), self.api::<K>(namespace).patch_metadata(name, &params, &patch)).await?;
        Ok(())
    }

    /// Merge patch by which something that runs is restarted.
    pub async fn merge_as_leader<K: Kind>(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), Failed> {
        self.may_take_away(|| say::<K>("patch", name))?;
        self.merge::<K>(namespace, name, patch).await.map(drop)
    }

    /// Evicts exactly the pod with this UID; `false` while its PodDisruptionBudget lets none go. Not kube's own `evict`,
    /// which sends its options under a name that the API server does not know (kube-core 5.0, `subresource.rs`).
    pub async fn evict(&self, namespace: &str, name: &str, uid: &str) -> Result<bool, Failed> {
        self.evict_so(namespace, name, json!({ "preconditions": { "uid": uid } })).await
    }

    /// Whether [`evict`](Self::evict) would let it go; nothing is done.
    pub async fn may_evict(&self, namespace: &str, name: &str, uid: &str) -> Result<bool, Failed> {
        self.evict_so(namespace, name, json!({ "preconditions": { "uid": uid }, "dryRun": ["All"] })).await
    }

    async fn evict_so(&self, namespace: &str, name: &str, options: Value) -> Result<bool, Failed> {
        self.writes::<Pod>("evict").await;
        self.may_take_away(|| say::<Pod>("evict", name))?;
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
            "deleteOptions": options,
        });
        let api = self.api::<Pod>(namespace);
        let call = async {
            match api.create_subresource::<_, Value>("eviction", name, &PostParams::default(), &eviction).await {
                Err(kube::Error::Api(status)) if status.code == 429 => Ok(false),
                answer => answer.map(|_| true),
            }
        };
        self.call(|| say::<Pod>("evict", name), call).await
    }

    fn may_take_away(&self, attempt: impl FnOnce() -> String) -> Result<(), Failed> {
        if self.fence.is_open(fence::since_boot()) {
            return Ok(());
        }
        let words = "the Lease was not renewed in time: another coordinator may lead".to_owned();
        Err(Failed { attempt: attempt(), cause: Cause::Unavailable(words) })
    }
}
