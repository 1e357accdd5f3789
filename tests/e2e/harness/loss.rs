//! Disks that are lost, and what may be told of the data then.

use super::etcd::{Etcd, User};
use super::{Demo, PATIENCE, Part, pods, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{self, PORT_CLIENT};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{Api, ResourceExt};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::Duration;
use testbed::Faults;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Between two rounds of questions.
const PACE: Duration = Duration::from_millis(50);
/// Who serves answers in milliseconds.
const ANSWER: Duration = Duration::from_millis(300);

/// How a disk is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The claim is deleted, and the pod with it: a blank volume is provisioned under the same name.
    Claim,
    /// Every file is removed under the running member, and etcd dies of it, if it runs.
    Emptied,
}

impl Demo<'_> {
    /// Loses a member's disk.
    pub async fn lose(&self, faults: &Faults, ordinal: u32, loss: Loss) -> Result<()> {
        match loss {
            Loss::Claim => {
                let before = self.claim(ordinal).await?.uid();
                self.delete_claim(ordinal).await?;
                self.delete_pod(ordinal, 0).await?;
                until("the claim is made again", PATIENCE, async || {
                    ensure!(self.claim(ordinal).await?.uid() != before, "the old claim is there");
                    Ok(())
                })
                .await
            }
            Loss::Emptied => {
                faults.volume(&self.stage.namespace, &names::volume_claim(&self.member(ordinal))).await?.wipe()?;
                if let Ok(etcd) = self.process(faults, ordinal, Part::Etcd).await {
                    etcd.signal(Signal::SIGKILL);
                }
                Ok(())
            }
        }
    }

    async fn claim(&self, ordinal: u32) -> Result<PersistentVolumeClaim> {
        Ok(self.stage.api().get(&names::volume_claim(&self.member(ordinal))).await?)
    }

    /// Where a member's volume can be reached on this machine.
    pub async fn volume(&self, faults: &Faults, ordinal: u32) -> Result<PathBuf> {
        faults.volume(&self.stage.namespace, &names::volume_claim(&self.member(ordinal))).await?.path()
    }

    /// The names of what was set aside on a member's volume.
    pub async fn set_aside(&self, faults: &Faults, ordinal: u32) -> Result<Vec<String>> {
        let folder = self.volume(faults, ordinal).await?;
        let entries = std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| name.starts_with("aside-")).collect())
    }
}

/// Asks every pod all the time for a key, with or without a quorum: whoever answers must have it.
pub struct Guard {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<usize>>,
}

impl Guard {
    /// Starts it on a cluster that has the key.
    ///
    /// # Errors
    /// When its traffic is encrypted, and there is no certificate for the guard.
    pub async fn start(demo: &Demo<'_>, key: &'static str) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let user = demo.user().await?;
        Ok(Self { stop, task: tokio::spawn(guard(demo.stage.api(), demo.selector(), user, key, stopped)) })
    }

    /// Stops it, and returns how many answers it had.
    ///
    /// # Errors
    /// When one came from a store without the key.
    pub async fn finish(self) -> Result<usize> {
        let _ = self.stop.send(());
        self.task.await?
    }
}

async fn guard(
    api: Api<Pod>,
    selector: String,
    user: Option<User>,
    key: &str,
    mut stopped: oneshot::Receiver<()>,
) -> Result<usize> {
    let mut answers = 0;
    while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
        for pod in pods::list(&api, &selector).await? {
            let Some(ip) = pods::ip(&pod) else { continue };
            let asked = async { Etcd::for_user(&ip, PORT_CLIENT, user.as_ref()).await?.get_local(key).await };
            if let Ok(Ok(value)) = timeout(ANSWER, asked).await {
                ensure!(value.is_some(), "pod {} serves a store without {key}", pod.name_any());
                answers += 1;
            }
        }
        sleep(PACE).await;
    }
    Ok(answers)
}
