//! An application of a cluster with encrypted traffic: an EtcdUser, and what its Secret holds.

use super::etcd::User;
use super::{PATIENCE, Stage, until};
use anyhow::{Context, Result};
use etcd_operator_shared::certificates;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks at a Secret.
const PACE: Duration = Duration::from_secs(1);

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
    held(stage.api(), certificates::common(cluster, &stage.namespace), name).await
}

/// Name of the EtcdUser as whom a cluster is asked by the tests.
#[must_use]
pub fn tester(cluster: &str) -> String {
    format!("{cluster}-tester")
}

/// Writes what the Secret of the tests' own user holds where a client reads it, again and again.
pub fn renew(stage: &Stage, cluster: &str, folder: PathBuf) -> impl Future<Output = ()> + Send + use<> {
    let (api, common, name) = (stage.api(), certificates::common(cluster, &stage.namespace), tester(cluster));
    async move {
        loop {
            sleep(PACE).await;
            // Not while the API server is away; and a client that has ended needs none.
            if let Ok(user) = held(api.clone(), common.clone(), &name).await {
                let _ = testbed::client::write(&folder, &user);
            }
        }
    }
}

async fn held(api: Api<Secret>, common: String, name: &str) -> Result<User> {
    let secret = api.get(name).await?;
    let data = secret.data.context("it holds nothing")?;
    let text = |key: &str| -> Result<String> {
        Ok(String::from_utf8(data.get(key).with_context(|| format!("it has no {key}"))?.0.clone())?)
    };
    Ok(User { authority: text("ca.crt")?, certificate: text("tls.crt")?, key: text("tls.key")?, name: common })
}
