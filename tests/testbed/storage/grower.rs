//! The controller that makes volumes of class `growing` larger when their claims ask for more, as a CSI driver's resizer
//! does: first the disk and its filesystem, under whoever uses it, then the volume's capacity, then the claim's.

use super::disk::Disk;
use super::{GROWING, provisioner::bytes};
use crate::layout::Layout;
use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// Grows volumes until the process ends, one after the other.
pub async fn run(client: Client, layout: Layout) {
    let claims: Api<PersistentVolumeClaim> = Api::all(client.clone());
    let mut claims = watcher(claims, watcher::Config::default()).default_backoff().applied_objects().boxed();
    while let Some(claim) = claims.next().await {
        match claim {
            Ok(claim) => {
                let Some((volume, size)) = wish(&claim) else { continue };
                match grow(&client, &layout, &claim, &volume, &size).await {
                    Ok(()) => eprintln!("grew {volume} to {size} for {}", claim.name_any()),
                    // Its next event tries again.
                    Err(error) => eprintln!("grow {volume} to {size}: {error:#}"),
                }
            }
            Err(error) => eprintln!("watch claims: {error}"),
        }
    }
}

/// The volume that is to grow, and the size that it is to have.
fn wish(claim: &PersistentVolumeClaim) -> Option<(String, String)> {
    let spec = claim.spec.as_ref().filter(|spec| spec.storage_class_name.as_deref() == Some(GROWING))?;
    let wanted = spec.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    let has = claim.status.as_ref()?.capacity.as_ref()?.get("storage")?;
    (bytes(&wanted.0)? > bytes(&has.0)?).then(|| Some((spec.volume_name.clone()?, wanted.0.clone())))?
}

async fn grow(client: &Client, layout: &Layout, claim: &PersistentVolumeClaim, volume: &str, size: &str) -> Result<()> {
    let disk = Disk::new(layout, volume);
    let wanted = bytes(size).context("the size is a quantity")?;
    tokio::task::spawn_blocking(move || disk.grow(wanted)).await??;
    let (params, capacity) = (PatchParams::default(), json!({"storage": size}));
    let patch = Patch::Merge(json!({"spec": {"capacity": capacity}}));
    Api::<PersistentVolume>::all(client.clone()).patch(volume, &params, &patch).await?;
    let patch = Patch::Merge(json!({"status": {"capacity": capacity}}));
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &claim.namespace().unwrap_or_default());
    claims.patch_status(&claim.name_any(), &params, &patch).await?;
    Ok(())
}
