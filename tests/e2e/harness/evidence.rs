//! What a person would look at: the testbed's evidence, the kinds' own words, each agent's `/status`, the coordinator's log.

use super::{Stage, http, pods};
use etcd_operator_shared::api::{EtcdBackup, EtcdCluster, EtcdMember, EtcdRestore};
use etcd_operator_shared::names::PORT_AGENT;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use std::fmt::Write;

/// Gathers what can be had.
pub async fn of(stage: &Stage) -> String {
    let mut report = stage.cluster().evidence(&stage.namespace).await;
    if let Ok(clusters) = stage.api::<EtcdCluster>().list(&ListParams::default()).await {
        for one in clusters {
            let status = serde_json::to_string_pretty(&one.status).unwrap_or_default();
            let _ = writeln!(report, "--- EtcdCluster {}\n{status}", one.name_any());
        }
    }
    if let Ok(members) = stage.api::<EtcdMember>().list(&ListParams::default()).await {
        for one in members {
            let spec = serde_json::to_string(&one.spec).unwrap_or_default();
            let status = serde_json::to_string(&one.status).unwrap_or_default();
            let _ = writeln!(report, "--- EtcdMember {}\nspec {spec}\nstatus {status}", one.name_any());
        }
    }
    if let Ok(backups) = stage.api::<EtcdBackup>().list(&ListParams::default()).await {
        for one in backups {
            let status = serde_json::to_string(&one.status).unwrap_or_default();
            let _ = writeln!(report, "--- EtcdBackup {}\n{status}", one.name_any());
        }
    }
    if let Ok(restores) = stage.api::<EtcdRestore>().list(&ListParams::default()).await {
        for one in restores {
            let (spec, status) = (serde_json::to_string(&one.spec), serde_json::to_string(&one.status));
            let _ = writeln!(
                report,
                "--- EtcdRestore {}\nspec {}\nstatus {}",
                one.name_any(),
                spec.unwrap_or_default(),
                status.unwrap_or_default()
            );
        }
    }
    if let Ok(found) = stage.api::<Pod>().list(&ListParams::default()).await {
        for pod in found {
            let Some(ip) = pods::ip(&pod) else { continue };
            let said = http::get(&ip, PORT_AGENT, "/status").await;
            let said = said.map_or_else(|error| format!("{error:#}"), |reply| reply.body);
            let _ = writeln!(report, "--- agent of {}\n{said}", pod.name_any());
        }
    }
    let _ = writeln!(report, "--- coordinator\n{}", stage.coordinator_log());
    report
}
