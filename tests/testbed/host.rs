//! What kubelet and containerd change on the host, noted before the boot and put back by `down`: kernel settings and
//! folders at fixed paths.

use crate::layout::Layout;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Kubelet sets these unless told to only check them, and then it refuses to start where they differ.
const SETTINGS: [&str; 4] = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"];
/// Folders that no flag moves. They go again if they were not there, as far as they are empty: somebody else's
/// kubelet may have come meanwhile.
const FOLDERS: [&str; 6] =
    ["/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/containerd", "/run/netns", "/etc/cni"];

/// The host as it was.
#[derive(Debug, Serialize, Deserialize)]
pub struct Host {
    settings: BTreeMap<String, String>,
    absent: Vec<String>,
}

impl Host {
    /// Notes the host's state in the state directory.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note(layout: &Layout) -> Result<()> {
        let setting = |key: &&str| Some(((*key).to_owned(), fs::read_to_string(format!("/proc/sys/{key}")).ok()?));
        let absent = FOLDERS.iter().filter(|folder| !Path::new(folder).exists());
        let host = Self {
            settings: SETTINGS.iter().filter_map(setting).collect(),
            absent: absent.map(|folder| (*folder).to_owned()).collect(),
        };
        Ok(fs::write(layout.root().join("host.json"), serde_json::to_string(&host)?)?)
    }

    /// Puts back what was noted; nothing was, nothing is done.
    pub fn restore(layout: &Layout) {
        // What CNI keeps of a pod whose node died, in two files with the sandbox's ID, and kubelet's links to the
        // logs of pods: others' stay.
        remove_entries("/var/lib/cni/results", |entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let sandbox = name.strip_prefix("etb-").and_then(|rest| rest.strip_suffix("-eth0"));
            if let Some(sandbox) = sandbox {
                let _ = fs::remove_file(format!("/var/lib/cni/results/cni-loopback-{sandbox}-lo"));
            }
            sandbox.is_some()
        });
        remove_entries("/var/log/containers", |entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(layout.root()))
        });
        let Ok(text) = fs::read_to_string(layout.root().join("host.json")) else { return };
        let Ok(host) = serde_json::from_str::<Self>(&text) else { return };
        for (key, value) in &host.settings {
            let _ = fs::write(format!("/proc/sys/{key}"), value);
        }
        if host.absent.iter().any(|folder| folder == "/var/lib/kubelet") {
            remove_entries("/var/lib/kubelet/device-plugins", |_| true);
        }
        for folder in &host.absent {
            prune(Path::new(folder));
        }
    }
}

/// Removes the empty folders below `folder`, and itself when nothing is left.
fn prune(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    entries.flatten().for_each(|entry| prune(&entry.path()));
    let _ = fs::remove_dir(folder);
}

fn remove_entries(folder: &str, ours: impl Fn(&fs::DirEntry) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| ours(entry)) {
        let _ = fs::remove_file(entry.path());
    }
}
