//! Volumes with a real size and a real filesystem: each is a sparse file of the requested size, formatted, on a loop
//! device.
//!
//! Three StorageClasses share them. `local` is mounted here, once, and tied to the node that the scheduler chose;
//! `growing` is the same and its volumes can grow.
//! `network` is a FlexVolume: the controller manager attaches it to one node at a time and kubelet mounts it, so it
//! can move, and is refused while another node has it.

pub mod disk;
pub mod driver;
pub mod grower;
pub mod provisioner;

use serde_json::{Value, json};

/// The default class: tied to a node.
pub const LOCAL: &str = "local";
/// As `local`, and its volumes grow while they are in use.
pub const GROWING: &str = "growing";
/// Mountable from any node, one at a time.
pub const NETWORK: &str = "network";
/// Who provisions all.
pub const PROVISIONER: &str = "testbed.etcd/disk";

/// The StorageClasses.
#[must_use]
pub fn classes() -> [Value; 3] {
    let class = |name: &str, mode: &str, default: bool, grows: bool| {
        json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": mode,
            "allowVolumeExpansion": grows,
        })
    };
    [
        class(LOCAL, "WaitForFirstConsumer", true, false),
        class(GROWING, "WaitForFirstConsumer", false, true),
        class(NETWORK, "Immediate", false, false),
    ]
}
