//! The controller that makes and removes volumes, driven by events alone.
//!
//! A claim of ours without a volume gets one as soon as its class allows: `network` at once, `local` and `growing` when
//! the scheduler has chosen a node (it writes the choice into an annotation). A released volume is removed; while a
//! node still holds it, that is tried again. Those of class `growing` grow ([`grower`]).

use super::disk::{Disk, Filesystem};
use super::{GROWING, LOCAL, NETWORK, PROVISIONER, driver, grower};
use crate::layout::Layout;
use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Detaching takes the attach-detach controller a moment after the pod is gone, and a lost node's volume minutes.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: usize = 2000;

/// Provisions until the process ends.
pub async fn run(client: Client, layout: Layout) {
    drop(tokio::spawn(grower::run(client.clone(), layout.clone())));
    let claims: Api<PersistentVolumeClaim> = Api::all(client.clone());
    let volumes: Api<PersistentVolume> = Api::all(client);
    let mut claims = watcher(claims, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let mut released = watcher(volumes.clone(), watcher::Config::default()).default_backoff().applied_objects().boxed();
    // A volume is begun once and once ended, however many events tell of it; each task tries until it succeeds.
    let (mut begun, mut ended) = (HashSet::new(), HashSet::new());
    // Both arms only take an event off a stream: whichever loses keeps its event.
    loop {
        tokio::select! {
            Some(claim) = claims.next() => match claim {
                Ok(claim) => if let Some(order) = Order::of(&claim, &layout) && begun.insert(order.volume.clone()) {
                    drop(tokio::spawn(provision(volumes.clone(), layout.clone(), order)));
                },
                Err(error) => eprintln!("watch claims: {error}"),
            },
            Some(volume) = released.next() => match volume {
                Ok(volume) => if is_released(&volume) && ended.insert(volume.name_any()) {
                    drop(tokio::spawn(remove(volumes.clone(), layout.clone(), volume.name_any())));
                },
                Err(error) => eprintln!("watch volumes: {error}"),
            },
            else => return,
        }
    }
}

async fn provision(volumes: Api<PersistentVolume>, layout: Layout, order: Order) {
    let started = Instant::now();
    for _ in 0..TRIES {
        match order.fulfil(&volumes, layout.clone()).await {
            Ok(()) => {
                return eprintln!(
                    "made {} of {} bytes for {} in {:?}",
                    order.volume,
                    order.bytes,
                    order.claim,
                    started.elapsed()
                );
            }
            Err(error) => eprintln!("make {} for {}: {error:#}", order.volume, order.claim),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn remove(volumes: Api<PersistentVolume>, layout: Layout, name: String) {
    for attempt in 0..TRIES {
        match removed(&volumes, &layout, &name).await {
            Ok(()) => return eprintln!("removed {name}"),
            Err(error) if attempt == 0 => eprintln!("remove {name}: {error:#}; trying until it works"),
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn removed(volumes: &Api<PersistentVolume>, layout: &Layout, name: &str) -> Result<()> {
    Disk::new(layout, name).remove()?;
    match volumes.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result.map(drop).context("delete the PersistentVolume"),
    }
}

fn is_released(volume: &PersistentVolume) -> bool {
    let ours = volume.annotations().get(PROVISIONED_BY).is_some_and(|by| by == PROVISIONER);
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    ours && phase == Some("Released") && policy == Some("Delete") && volume.metadata.deletion_timestamp.is_none()
}

/// What a claim asks for, once it can be had.
struct Order {
    claim: String,
    volume: String,
    bytes: u64,
    object: PersistentVolume,
    filesystem: Filesystem,
    /// Class `local` is mounted here and now; `network` by the node that attaches it.
    local: bool,
}

impl Order {
    fn of(claim: &PersistentVolumeClaim, layout: &Layout) -> Option<Self> {
        let spec = claim.spec.as_ref()?;
        if spec.volume_name.is_some() || claim.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let class = spec.storage_class_name.as_deref()?;
        let volume = format!("pvc-{}", claim.uid()?);
        let size = spec.resources.as_ref()?.requests.as_ref()?.get("storage")?;
        let mut object = json!({
            "capacity": {"storage": size},
            "accessModes": spec.access_modes,
            "storageClassName": class,
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(), "name": claim.name_any(), "uid": claim.uid(),
            },
        });
        match class {
            LOCAL | GROWING => {
                let node = claim.annotations().get(SELECTED_NODE)?;
                object["local"] = json!({"path": Disk::new(layout, &volume).mount_point()});
                object["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]},
                ]}]}});
            }
            NETWORK => {
                object["flexVolume"] = json!({"driver": driver::NAME, "fsType": "ext4", "options": {"volume": volume}});
            }
            _ => return None,
        }
        let metadata = json!({"name": volume, "annotations": {PROVISIONED_BY: PROVISIONER}});
        Some(Self {
            claim: format!("{}/{}", claim.namespace()?, claim.name_any()),
            volume,
            bytes: bytes(&size.0)?,
            object: serde_json::from_value(json!({"metadata": metadata, "spec": object})).ok()?,
            filesystem: if class == GROWING { Filesystem::Xfs } else { Filesystem::Ext4 },
            local: class != NETWORK,
        })
    }

    async fn fulfil(&self, volumes: &Api<PersistentVolume>, layout: Layout) -> Result<()> {
        let disk = Disk::new(&layout, &self.volume);
        let (bytes, filesystem, local) = (self.bytes, self.filesystem, self.local);
        tokio::task::spawn_blocking(move || {
            disk.create(bytes, filesystem).and_then(|()| if local { disk.mount() } else { Ok(()) })
        })
        .await??;
        match volumes.create(&PostParams::default(), &self.object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            result => result.map(drop).context("create the PersistentVolume"),
        }
    }
}

/// Kubernetes quantities as claims write them: a whole or decimal number and a suffix.
pub(super) fn bytes(quantity: &str) -> Option<u64> {
    let end = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let factor = match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1_u64 << 40,
        _ => return None,
    };
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes of disks"
        )]
        Err(_) => number.parse::<f64>().ok().map(|decimal| (decimal * factor as f64) as u64),
    }
}
