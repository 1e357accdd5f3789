//! The FlexVolume driver of class `network`: kubelet and the controller manager run it with a verb and JSON, and read
//! JSON.
//!
//! Only attaching is ours. What a driver says it does not support kubelet does in its stock way: format and mount the
//! device, bind it into the pod, and hand it to the pod's fsGroup. That a volume is attached to one node at a time is
//! the attach-detach controller's doing.

use super::disk::Disk;
use crate::layout::Layout;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// As PersistentVolumes name it.
pub const NAME: &str = "testbed.etcd/disk";

/// Puts the driver where kubelet and the controller manager look for it.
///
/// # Errors
/// When the files cannot be written.
pub fn install(layout: &Layout) -> Result<()> {
    let folder = layout.volume_plugins().join("testbed.etcd~disk");
    fs::create_dir_all(&folder)?;
    let driver = folder.join("disk");
    let program = layout.bin().join("testbed");
    fs::write(&driver, format!("#!/bin/sh\nexec {} driver \"$@\"\n", program.display()))?;
    fs::set_permissions(&driver, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Answers one call. The answer is printed, and a failure is an answer too.
#[must_use]
pub fn answer(layout: &Layout, arguments: &[String]) -> Value {
    perform(layout, arguments).unwrap_or_else(|error| json!({"status": "Failure", "message": format!("{error:#}")}))
}

fn perform(layout: &Layout, arguments: &[String]) -> Result<Value> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["init"] => {
            Ok(json!({"status": "Success", "capabilities": {"attach": true, "fsGroup": true, "selinuxRelabel": false}}))
        }
        ["attach", options, _node] => {
            let options: Value = serde_json::from_str(options)?;
            let volume = options["volume"].as_str().context("the options name no volume")?;
            Ok(json!({"status": "Success", "device": Disk::new(layout, volume).attach()?}))
        }
        ["detach", volume, _node] => {
            Disk::new(layout, volume).detach()?;
            Ok(json!({"status": "Success"}))
        }
        _ => Ok(json!({"status": "Not supported"})),
    }
}
