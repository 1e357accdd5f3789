//! Writes the EtcdMember's status: by compare-and-swap, so that a twin or a stale cache is refused by the API server.

use ::kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::Status,
};
use etcd_operator_shared::{api::EtcdMember, names::MANAGER_AGENT};
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
    /// The kinds that are installed do not take these fields, by path, with the values that they were given.
    #[error("the API server's kinds do not take the status: {words}")]
    Invalid { paths: Vec<String>, words: String },
    /// The write may or may not have happened.
    #[error("the API server did not answer within {} s", PATIENCE.as_secs())]
    TimedOut,
    /// The write may or may not have happened.
    #[error("the API server did not take the status: {0}")]
    Unknown(String),
}

/// Replaces the status if `seen` is still what stands there. The answer is the object after the write: what the API server
/// dropped is not in it.
pub async fn write(api: Api<EtcdMember>, seen: &EtcdMember, status: Value) -> Result<EtcdMember, WriteError> {
    let name = seen.name_any();
    // The version and the UID make it a compare-and-swap. A merge, not an apply: a field that the API server does not know
    // yet must be dropped, not refuse the whole.
    let object = json!({
        "metadata": {"uid": seen.metadata.uid, "resourceVersion": seen.metadata.resource_version},
        "status": replacement(&json!(seen.status), status),
    });
    let parameters = PatchParams { field_manager: Some(MANAGER_AGENT.into()), ..PatchParams::default() };
    let patch = Patch::Merge(&object);
    match timeout(PATIENCE, api.patch_status(&name, &parameters, &patch)).await {
        Err(_) => Err(WriteError::TimedOut),
        Ok(Ok(object)) => Ok(object),
        Ok(Err(::kube::Error::Api(said))) => Err(refusal(&said)),
        Ok(Err(error)) => Err(WriteError::Unknown(error.to_string())),
    }
}

fn refusal(said: &Status) -> WriteError {
    let causes = said.details.iter().flat_map(|details| &details.causes);
    match said.code {
        404 => WriteError::Missing,
        409 => WriteError::Conflict,
        422 => WriteError::Invalid {
            paths: causes.map(|cause| cause.field.clone()).collect(),
            words: said.message.clone(),
        },
        _ => WriteError::Unknown(said.message.clone()),
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
    fn a_refusal_of_a_value_names_the_field() {
        // As kube-apiserver 1.33 words it.
        let said = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "EtcdMember.etcd.etcd.io \"demo-0\" is invalid: status.role: Unsupported value: \"Witness\"",
            "details": {"name": "demo-0", "group": "etcd.etcd.io", "kind": "EtcdMember", "causes": [
                {"reason": "FieldValueNotSupported", "message": "Unsupported value: \"Witness\"", "field": "status.role"}
            ]},
        });
        let said: Status = serde_json::from_value(said).unwrap();
        assert!(matches!(refusal(&said), WriteError::Invalid { paths, .. } if paths == ["status.role"]));
        assert!(matches!(refusal(&Status { code: 409, ..said }), WriteError::Conflict));
    }

    #[test]
    fn a_first_status_is_written_whole() {
        assert_eq!(replacement(&Value::Null, json!({"ready": false})), json!({"ready": false}));
    }
}
