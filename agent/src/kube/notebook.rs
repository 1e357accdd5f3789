//! Writes the EtcdMember's status: by compare-and-swap, so that a twin or a stale cache is refused by the API server.

use ::kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberStatus},
    names::MANAGER_AGENT,
};
use serde_json::{Value, json};
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
    // The version and the UID make it a compare-and-swap. A merge, not an apply: a field that the API server does not know
    // yet must be dropped, not refuse the whole.
    let object = json!({
        "metadata": {"uid": seen.metadata.uid, "resourceVersion": seen.metadata.resource_version},
        "status": replacement(&json!(seen.status), json!(status)),
    });
    let parameters = PatchParams { field_manager: Some(MANAGER_AGENT.into()), ..PatchParams::default() };
    let patch = Patch::Merge(&object);
    match timeout(PATIENCE, api.patch_status(&name, &parameters, &patch)).await {
        Err(_) => Err(WriteError::Unknown(format!("no answer within {} s", PATIENCE.as_secs()))),
        Ok(Ok(object)) => Ok(object),
        Ok(Err(::kube::Error::Api(said))) if said.code == 409 => Err(WriteError::Conflict),
        Ok(Err(::kube::Error::Api(said))) if said.code == 404 => Err(WriteError::Missing),
        Ok(Err(error)) => Err(WriteError::Unknown(error.to_string())),
    }
}

/// A merge patch that leaves exactly `new`: what `old` has and `new` has not becomes null, at every depth.
fn replacement(old: &Value, new: Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(mut new)) => {
            for (key, value) in old {
                let next = new.remove(key).map_or(Value::Null, |next| replacement(value, next));
                new.insert(key.clone(), next);
            }
            Value::Object(new)
        }
        (_, new) => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_said_is_removed_at_every_depth() {
        let old = json!({"ready": true, "leaderId": "a", "lastExit": {"code": 1, "class": "Crashed"}});
        let new = json!({"ready": false, "lastExit": {"signal": 9, "class": "Killed"}});
        let patch = replacement(&old, new);
        let wanted =
            json!({"ready": false, "leaderId": null, "lastExit": {"code": null, "signal": 9, "class": "Killed"}});
        assert_eq!(patch, wanted);
    }

    #[test]
    fn a_first_status_is_written_whole() {
        assert_eq!(replacement(&Value::Null, json!({"ready": false})), json!({"ready": false}));
    }
}
