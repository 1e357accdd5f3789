//! A real Kubernetes on this machine, for tests: booted in seconds, with handles to break it. `README.md` beside this
//! file is the map.

pub mod bare_etcd;
pub mod boot;
pub mod cgroups;
pub mod check;
pub mod client;
pub mod cluster;
pub mod command;
pub mod control_plane;
pub mod daemon;
pub mod environment;
pub mod etcd;
pub mod evidence;
pub mod faults;
pub mod helm;
pub mod host;
pub mod image;
pub mod layout;
pub mod machine;
pub mod network;
pub mod pki;
pub mod progress;
pub mod storage;
pub mod store;
pub mod sweep;
pub mod template;
pub mod worker;

pub use cluster::Cluster;
pub use faults::Faults;
pub use helm::Helm;
pub use image::{build_image, etcd_image};
pub use layout::Layout;
pub use machine::Testbed;
pub use progress::Progress;
pub use steps::{lock, toolchain};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Asks a boot under way to stop at its next step and clean up. True when it was asked before.
pub fn interrupt() -> bool {
    INTERRUPTED.swap(true, Ordering::Relaxed)
}

pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A client with the rights of the administrator.
///
/// # Errors
/// When the kubeconfig is not there.
pub async fn admin(layout: &Layout) -> Result<Client> {
    client_from(&layout.kubeconfig()).await
}

/// A client that does not retry by itself: a test wants to see every answer.
pub(crate) async fn client_from(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
