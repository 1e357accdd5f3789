//! A change to an EtcdCluster's spec: one patch, which the API server judges.

use etcd_operator_shared::api::EtcdCluster;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    apiserver::{
        cluster,
        connection::{Connection, write},
    },
    args::Dry,
    failure::Failure,
};

/// Field manager of what this program writes.
pub const MANAGER: &str = "kubectl-etcd";
/// Somebody who writes at the same time is rarely faster more often.
const TRIES: u32 = 5;

/// Puts fields over the spec, whatever else is in it.
pub async fn merge(to: &Connection, name: &str, spec: &Value, dry: Dry) -> Result<EtcdCluster, Failure> {
    patch(to, name, &json!({ "spec": spec }), dry).await
}

/// Reads, decides and writes, and begins again where somebody was faster. `None`: nothing is to be changed.
pub async fn decided(
    to: &Connection,
    name: &str,
    dry: Dry,
    mut decide: impl FnMut(&EtcdCluster) -> Option<Value>,
) -> Result<Option<EtcdCluster>, Failure> {
    let mut tries = TRIES;
    loop {
        let cluster = cluster::get(to, name).await?;
        let Some(spec) = decide(&cluster) else { return Ok(None) };
        let version = &cluster.metadata.resource_version;
        match patch(to, name, &json!({"metadata": {"resourceVersion": version}, "spec": spec}), dry).await {
            Err(Failure::Conflict(_)) if tries > 1 => tries -= 1,
            outcome => return outcome.map(Some),
        }
    }
}

async fn patch(to: &Connection, name: &str, patch: &Value, dry: Dry) -> Result<EtcdCluster, Failure> {
    let params =
        PatchParams { dry_run: dry.dry_run, field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let what = format!("change EtcdCluster {name} in namespace {}", to.namespace);
    write(&what, to.api::<EtcdCluster>().patch(name, &params, &Patch::Merge(patch))).await
}

/// What was done, or would be.
#[must_use]
pub fn told(words: &str, dry: Dry) -> String {
    if dry.dry_run {
        format!("{words} (dry run: the API server would take it, and nothing was changed)")
    } else {
        words.to_owned()
    }
}
