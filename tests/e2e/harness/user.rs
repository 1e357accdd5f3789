//! An application of a cluster with encrypted traffic: an EtcdUser, and what its Secret holds.

use super::etcd::User;
use super::{PATIENCE, Stage, until};
use anyhow::{Context, Result};
use etcd_operator_shared::certificates;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

/// Makes an EtcdUser, and waits for its Secret.
///
/// # Errors
/// When the API server refuses it, or there is no Secret in time.
pub async fn make(stage: &Stage, cluster: &str, name: &str) -> Result<User> {
    let object = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdUser",
        "metadata": {"name": name, "namespace": stage.namespace}, "spec": {"cluster": cluster},
    });
    stage.kubectl.feed(&["apply", "-f", "-"], &object.to_string()).await?;
    until(&format!("the Secret of EtcdUser {name} is there"), PATIENCE, async || read(stage, cluster, name).await).await
}

/// What the Secret of an EtcdUser holds.
///
/// # Errors
/// When it is not there, or not whole.
pub async fn read(stage: &Stage, cluster: &str, name: &str) -> Result<User> {
    let secret = stage.api::<Secret>().get(name).await?;
    let data = secret.data.context("it holds nothing")?;
    let text = |key: &str| -> Result<String> {
        Ok(String::from_utf8(data.get(key).with_context(|| format!("it has no {key}"))?.0.clone())?)
    };
    let name = certificates::common(cluster, &stage.namespace);
    Ok(User { authority: text("ca.crt")?, certificate: text("tls.crt")?, key: text("tls.key")?, name })
}
