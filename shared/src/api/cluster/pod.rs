//! What else a user may say of the members' pods.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As whom the processes of a pod run.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PodUser {
    /// User and group 65532, unless `pod.securityContext` names others.
    #[default]
    Fixed,
    /// Whom the platform chooses, such as OpenShift from the namespace's range.
    Platform,
}

/// When a pod that runs gets another agent.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AgentUpdate {
    /// At once, one member at a time: the agent's container alone is restarted, and etcd goes on.
    #[default]
    Rolling,
    /// When the pod is made anew for another reason, or its agent does not run.
    OnRestart,
}

/// What holds back a drain.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisruptionBudget {
    /// A drain never takes the quorum; the only member of a cluster holds it back.
    Quorum,
    /// Nothing of the operator's: a drain takes what it wants, or a PodDisruptionBudget of your own says what.
    None,
}

/// A pod template that is laid under the operator's own, containers by their names.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RawTemplate {
    /// Further labels and annotations of the pods; those of `pod.labels` and `pod.annotations` win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// The spec of a pod, as Kubernetes has it: sidecars, init containers, volumes, scheduling. What the operator sets itself, it
    /// sets; what is not used of this is told in the condition TemplateApplied. In the containers `etcd` and `agent` further
    /// volumes can be mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub spec: Option<Value>,
}

/// Labels and annotations of a template.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Further labels of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: Option<BTreeMap<String, String>>,
    /// Further annotations of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 128, "additionalProperties" = {"type": "string", "maxLength": 262144}))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Kept as it is: a pod's whole schema would be longer than all the rest, and as old as this operator.
/// [`crate::validate`] reads it.
fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
