//! Writes the EtcdMember's status: by compare-and-swap, so that a twin or a stale cache is refused by the API server.

use ::kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberStatus},
    names::{GROUP, MANAGER_AGENT},
};
use serde_json::json;
use thiserror::Error;
use tokio::time::timeout;

use super::PATIENCE;

/// Why a write did not happen, as far as known.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The object has changed since it was read: look again, then decide again.
    #[error("the EtcdMember has changed meanwhile")]
    Conflict,
    #[error("the EtcdMember is gone")]
    Missing,
    /// The write may or may not have happened.
    #[error("the API server did not take the status: {0}")]
    Unknown(String),
}

/// Replaces the status if `seen` is still what stands there. The answer is the object after the write.
pub async fn write(
    api: Api<EtcdMember>,
    seen: &EtcdMember,
    status: &EtcdMemberStatus,
) -> Result<EtcdMember, WriteError> {
    let name = seen.name_any();
    // Server-side apply removes what this status no longer says; the version and the UID make it a compare-and-swap.
    let object = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "EtcdMember",
        "metadata": {"name": name, "uid": seen.metadata.uid, "resourceVersion": seen.metadata.resource_version},
        "status": status,
    });
    let parameters = PatchParams::apply(MANAGER_AGENT).force();
    let patch = Patch::Apply(&object);
    match timeout(PATIENCE, api.patch_status(&name, &parameters, &patch)).await {
        Err(_) => Err(WriteError::Unknown(format!("no answer within {} s", PATIENCE.as_secs()))),
        Ok(Ok(object)) => Ok(object),
        Ok(Err(::kube::Error::Api(said))) if said.code == 409 => Err(WriteError::Conflict),
        Ok(Err(::kube::Error::Api(said))) if said.code == 404 => Err(WriteError::Missing),
        Ok(Err(error)) => Err(WriteError::Unknown(error.to_string())),
    }
}
