//! A store of backups for one test: an S3 server on this machine with a bucket in it, at an address that pods reach.

use super::Stage;
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::backup::Manifest;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use testbed::layout::HOST_IP;
use testbed::store::{Bucket as Objects, Keys, Store, Traffic};

/// Name of the bucket.
pub const BUCKET: &str = "backups";
/// In front of all its keys: others may use the bucket too.
pub const PREFIX: &str = "etcd/tests";

/// A bucket, and the server that has it.
pub struct Bucket {
    pub server: Store,
    pub objects: Objects,
}

/// A manifest, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: String,
    pub manifest: Manifest,
}

impl Bucket {
    /// Starts a server; a line says that the test is skipped on a cluster whose pods do not reach this machine.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn open(stage: &Stage, traffic: Traffic) -> Result<Option<Self>> {
        if stage.cluster().testbed().is_none() {
            stage.say("skipped: pods must reach a store on this machine");
            return Ok(None);
        }
        let server = Store::start(HOST_IP.into(), traffic).await?;
        let objects = server.bucket(BUCKET)?;
        Ok(Some(Self { server, objects }))
    }

    /// The store as an EtcdCluster or an EtcdRestore names it.
    #[must_use]
    pub fn store(&self) -> Value {
        json!({"s3": {"bucket": BUCKET, "prefix": PREFIX, "endpoint": self.server.endpoint()}})
    }

    /// Makes a Secret with its credentials, or makes one right.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn admit(&self, stage: &Stage, secret: &str) -> Result<()> {
        self.admit_with(stage, secret, &self.server.keys).await
    }

    /// The same with other keys.
    ///
    /// # Errors
    /// As there.
    pub async fn admit_with(&self, stage: &Stage, secret: &str, keys: &Keys) -> Result<()> {
        let mut data = json!({"accessKeyID": keys.access, "secretAccessKey": keys.secret});
        if let Some(authority) = self.server.authority() {
            data["ca.crt"] = json!(authority);
        }
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": data});
        let params = PatchParams::apply("etcd-tests").force();
        stage.api::<Secret>().patch(secret, &params, &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// Every manifest in it, by key.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn manifests(&self) -> Result<Vec<Stored>> {
        manifests(&self.objects)
    }

    /// The manifest of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn manifest(&self, name: &str) -> Result<Stored> {
        let all = self.manifests()?;
        let found = all.iter().find(|one| one.manifest.name == name).cloned();
        found.with_context(|| format!("there is no {name} in the store, only {:?}", names(&all)))
    }

    /// Names of the backups that a proof has found right.
    #[must_use]
    pub fn verified(&self) -> Vec<String> {
        let keys = self.objects.keys(PREFIX).into_iter().filter(|key| key.contains("/verified/"));
        keys.filter_map(|key| Some(key.rsplit('/').next()?.trim_end_matches(".json").to_owned())).collect()
    }

    /// Keys of the snapshots' bytes.
    #[must_use]
    pub fn data(&self) -> Vec<String> {
        self.objects.keys(PREFIX).into_iter().filter(|key| key.contains("/data/")).collect()
    }

    /// The snapshot of a manifest, after checking that all that is said of it is true.
    ///
    /// # Errors
    /// With what is not.
    pub fn snapshot(&self, stored: &Stored) -> Result<Vec<u8>> {
        let said = &stored.manifest;
        let bytes = self.objects.read(&stored.data()?)?;
        ensure!(i64::try_from(bytes.len())? == said.stored_bytes, "{} bytes are stored: {said:?}", bytes.len());
        ensure!(sha256(&bytes) == said.stored_digest, "other bytes are stored: {said:?}");
        let snapshot = zstd::decode_all(&*bytes).context("decompress the snapshot")?;
        ensure!(i64::try_from(snapshot.len())? == said.bytes, "the snapshot has {} bytes: {said:?}", snapshot.len());
        ensure!(sha256(&snapshot) == said.digest, "it is another snapshot: {said:?}");
        Ok(snapshot)
    }
}

impl Stored {
    /// Before all keys of the cluster that it is of.
    ///
    /// # Errors
    /// When it stands somewhere else than manifests do.
    pub fn path(&self) -> Result<&str> {
        Ok(self.key.split_once("/snapshots/").with_context(|| format!("{} is no place for a manifest", self.key))?.0)
    }

    /// Key of its data.
    ///
    /// # Errors
    /// As there.
    pub fn data(&self) -> Result<String> {
        Ok(format!("{}/{}", self.path()?, self.manifest.data))
    }
}

/// Every manifest in a bucket, by key.
///
/// # Errors
/// When one cannot be read.
pub fn manifests(objects: &Objects) -> Result<Vec<Stored>> {
    let mut found = vec![];
    for key in objects.keys(PREFIX).into_iter().filter(|key| key.contains("/snapshots/")) {
        // It may have gone since.
        let Ok(bytes) = objects.read(&key) else { continue };
        let manifest = serde_json::from_slice(&bytes).with_context(|| format!("read manifest {key}"))?;
        found.push(Stored { key, manifest });
    }
    Ok(found)
}

/// Names of backups.
#[must_use]
pub fn names(all: &[Stored]) -> Vec<String> {
    all.iter().map(|one| one.manifest.name.clone()).collect()
}

/// In hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
