//! Namespaces of test processes that were killed: the next one removes them.

use anyhow::Result;
use etcd_operator_shared::api::EtcdUser;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;
use testbed::daemon::Process;

/// On each namespace of a test: the host that it ran on, so that nobody else's are touched.
const LABEL: &str = "etcd-e2e/host";
/// PID and start time of the test process.
const OWNER: &str = "etcd-e2e/owner";

type Words = BTreeMap<&'static str, String>;

/// Labels and annotations of a namespace of this process.
#[must_use]
pub fn marks() -> (Words, Words) {
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let owner = Process::find(pid).map_or_else(String::new, |process| format!("{}-{}", process.pid, process.started));
    ([(LABEL, host())].into(), [(OWNER, owner)].into())
}

/// Deletes what dead processes of this host left.
///
/// # Errors
/// When the API server does not answer.
pub async fn sweep(client: &Client) -> Result<()> {
    let namespaces = Api::<Namespace>::all(client.clone());
    let ours = namespaces.list(&ListParams::default().labels(&format!("{LABEL}={}", host()))).await?;
    for namespace in ours.iter().filter(|one| !owner_lives(one)) {
        super::say("leftovers", format!("namespace {} of a killed test is deleted", namespace.name_any()));
        let _ = let_users_go(client, &namespace.name_any()).await;
        let _ = namespaces.delete(&namespace.name_any(), &DeleteParams::default()).await;
    }
    Ok(())
}

/// EtcdUsers wait until a coordinator has revoked their certificates, and there is none any more.
///
/// # Errors
/// When the API server refuses it.
pub async fn let_users_go(client: &Client, namespace: &str) -> Result<()> {
    let users = Api::<EtcdUser>::namespaced(client.clone(), namespace);
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    for user in users.list(&ListParams::default()).await? {
        users.patch(&user.name_any(), &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

fn owner_lives(namespace: &Namespace) -> bool {
    let Some((pid, started)) = namespace.annotations().get(OWNER).and_then(|owner| owner.split_once('-')) else {
        return false;
    };
    match (pid.parse(), started.parse()) {
        (Ok(pid), Ok(started)) => Process { pid, started }.is_alive(),
        _ => false,
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    format!("h{plain}")
}
