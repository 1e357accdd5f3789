//! Promise: a disk that is not the member's own, or is an older copy of it, is refused with the reason, and untouched; the right one
//! is taken again.

use crate::harness::demo::spec;
use crate::harness::http;
use crate::harness::{Client, Demo, Manner, PATIENCE, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::PORT_AGENT;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use testbed::command::call;

/// How long what must not happen is watched for.
const WATCHED: Duration = Duration::from_secs(6);

#[test]
fn wrong_disks_are_refused_and_right_ones_taken_again() {
    play("wrong_disk", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (other, _) = Demo::up(stage, "other", spec(1)).await?;
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let shelf = Shelf::new(&stage.namespace)?;
        let disk = |ordinal| demo.volume(faults, ordinal);

        // A copy of a disk whose etcd runs: what a snapshot of the volume would hold.
        shelf.copy(&disk(2).await?, "older")?;
        let client = Client::start(&demo).await?;
        client.keeps_on(Duration::from_secs(1)).await?;
        client.finish(&demo).await?;
        let stopped = demo.scale(0).await?;
        let gone = other.scale(0).await?;

        for ordinal in 0..3 {
            shelf.copy(&disk(ordinal).await?, &ordinal.to_string())?;
        }
        shelf.copy(&other.volume(faults, 0).await?, "other")?;
        let wrong = [(0, "1", "ForeignVolume"), (1, "other", "ForeignVolume"), (2, "older", "OlderVolumeCopy")];
        for (ordinal, name, _) in wrong {
            shelf.put_back(name, &disk(ordinal).await?)?;
        }
        let woken = stopped.resize(3).await?;
        for (ordinal, name, reason) in wrong {
            let told = refused(&woken, ordinal, reason).await.with_context(|| format!("disk `{name}`"))?;
            stage.say(format!("member {ordinal} on disk `{name}`: {told}"));
        }
        let told = until("the cluster names them", PATIENCE, async || {
            let found = woken.condition("Stalled").await?;
            ensure!(found.status == "True", "Stalled is {}: {}", found.status, found.message);
            Ok(format!("{}: {}", found.reason, found.message))
        })
        .await?;
        stage.say(format!("the cluster says {told}"));
        holds("nobody serves", WATCHED, async || nobody_serves(&woken).await).await?;

        let stopped = woken.scale(0).await?;
        for ordinal in 0..3 {
            shelf.put_back(&ordinal.to_string(), &disk(ordinal).await?)?;
        }
        let woken = stopped.scale(3).await?;
        ensure!(woken.all_vote().await? == id, "the cluster ID changed");
        gone.scale(1).await.map(drop)
    });
}

/// Copies of disks, beside the testbed's own; gone with the test.
struct Shelf(std::path::PathBuf);

impl Shelf {
    fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn copy(&self, disk: &Path, name: &str) -> Result<()> {
        call(&format!("cp -a {} {}", disk.display(), self.0.join(name).display())).map(drop)
    }

    /// Replaces all that is on the disk. Nothing may run on it.
    fn put_back(&self, name: &str, disk: &Path) -> Result<()> {
        call(&format!("find {} -mindepth 1 -delete", disk.display()))?;
        call(&format!("cp -a {}/. {}", self.0.join(name).display(), disk.display())).map(drop)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The member's agent holds it for this reason.
async fn refused(demo: &Demo<'_>, ordinal: u32, reason: &str) -> Result<String> {
    until("the disk is refused", PATIENCE, async || {
        let page = http::get(&demo.ip(ordinal).await?, PORT_AGENT, "/status").await?;
        let page: Value = serde_json::from_str(&page.body)?;
        let said = format!("{}: {}, {}", page["phase"], page["reason"], page["message"]);
        ensure!(page["phase"] == "Held" && page["reason"] == reason, "it says {said}");
        Ok(said)
    })
    .await
}

async fn nobody_serves(demo: &Demo<'_>) -> Result<()> {
    for ordinal in 0..demo.size {
        let said = demo.etcd(ordinal).await?.said().await;
        ensure!(said.is_err(), "member {ordinal} serves: {said:?}");
    }
    Ok(())
}
