//! Promise: volumes of a former cluster of the same name are neither used nor touched; a person is told.

use crate::harness::demo::spec_with;
use crate::harness::{Demo, Manner, Stage, holds, play};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use testbed::Faults;

/// Names of files below a volume, with their bytes' digest.
type Files = BTreeMap<String, Vec<u8>>;

#[test]
fn a_cluster_created_again_refuses_the_old_volumes_until_they_are_deleted() {
    play("created_again", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", keeping()).await?;
        demo.etcd(0).await?.put("former", "life").await?;
        demo.delete().await?;
        let before = files_of_all(stage, &demo).await?;

        let again = Demo::create(stage, "demo", keeping()).await?;
        let sentence = again.says("Stalled", "True", "StaleVolume").await?;
        stage.say(format!("refused: {sentence}"));
        ensure!(sentence.contains("data-demo-0"), "the sentence does not name the claim");
        holds("no pod", Duration::from_secs(5), async || {
            ensure!(again.pods().await?.is_empty(), "a pod was made over old volumes");
            Ok(())
        })
        .await?;
        ensure!(files_of_all(stage, &demo).await? == before, "files of the old volumes changed");

        for ordinal in 0..demo.size {
            again.delete_claim(ordinal).await?;
        }
        again.ready().await?;
        again.all_vote().await?;
        ensure!(again.etcd(0).await?.get("former").await?.is_none(), "data of the former life is there");
        Ok(())
    });
}

/// Volumes stay when the cluster is deleted.
fn keeping() -> Value {
    spec_with(3, json!({"storage": {"retention": {"whenDeleted": "Retain"}}}))
}

/// The files of all volumes; none on a cluster without fault handles, where they cannot be reached.
async fn files_of_all(stage: &Stage, demo: &Demo<'_>) -> Result<Vec<Files>> {
    let mut all = Vec::new();
    if let Some(faults) = stage.cluster().faults() {
        for member in demo.members() {
            all.push(files_of(faults, &stage.namespace, &member).await?);
        }
    }
    Ok(all)
}

async fn files_of(faults: &Faults, namespace: &str, member: &str) -> Result<Files> {
    let root = faults.volume(namespace, &names::volume_claim(member)).await?.path()?;
    let mut files = Files::new();
    read(&root, &root, &mut files).with_context(|| format!("read the volume of {member}"))?;
    let has = |part: &str| files.keys().any(|name| name.contains(part));
    ensure!(has("mark.json") && has(".wal"), "the volume of {member} holds {:?}", files.keys());
    Ok(files)
}

fn read(root: &Path, folder: &Path, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(root, &path, files)?;
        } else {
            let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(&path)?);
            files.insert(path.strip_prefix(root)?.display().to_string(), digest.as_ref().to_vec());
        }
    }
    Ok(())
}
