//! What was told of an EtcdCluster as Events.

use super::Stage;
use anyhow::{Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Name of the EtcdCluster.
    pub cluster: String,
    pub warns: bool,
    pub reason: String,
    pub text: String,
}

/// All that was told of EtcdClusters, oldest first.
///
/// # Errors
/// When the API server does not say.
pub async fn told(stage: &Stage) -> Result<Vec<Told>> {
    let mut all = stage.api::<Event>().list(&ListParams::default()).await?.items;
    all.sort_by_key(|one| one.event_time.as_ref().map(|time| time.0));
    let ours = all.into_iter().filter_map(|event| {
        let about = event.regarding.filter(|about| about.kind.as_deref() == Some("EtcdCluster"))?;
        Some(Told {
            cluster: about.name.unwrap_or_default(),
            warns: event.type_.as_deref() == Some("Warning"),
            reason: event.reason.unwrap_or_default(),
            text: event.note.unwrap_or_default(),
        })
    });
    Ok(ours.collect())
}

/// Fails when something was warned of: nobody had to do anything.
///
/// # Errors
/// With the warnings.
pub async fn warned_of_nothing(stage: &Stage) -> Result<()> {
    let warnings: Vec<Told> = told(stage).await?.into_iter().filter(|one| one.warns).collect();
    ensure!(warnings.is_empty(), "nobody had to do anything, and it was warned of {warnings:#?}");
    Ok(())
}
