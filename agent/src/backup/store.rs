//! A cluster's place in a store: opened with credentials that are read at that moment, and a few verbs on it.
//!
//! What a verb cannot do it says in the store's own words. Nothing is overwritten here: what is put is put once.

use std::{fs, io, path::Path as File, sync::Arc, time::Duration};

use bytes::Bytes;
use etcd_operator_shared::api::cluster::{S3, Store};
use futures::TryStreamExt;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RetryConfig, aws::AmazonS3Builder, path::Path,
};

use super::Failure;

/// Region where none is named: stores that are not Amazon's know it.
const REGION: &str = "us-east-1";
/// A store is as far as another continent.
const CONNECT: Duration = Duration::from_secs(10);
/// A part of 8 MiB goes through 1.2 Mbit/s in this time.
const ANSWER: Duration = Duration::from_secs(60);
/// How long one request is tried again, and how often.
const TRIED: Duration = Duration::from_secs(90);
const TRIES: usize = 5;
/// Largest object that is read at once: a manifest is a few hundred bytes.
const SMALL: u64 = 1 << 20;

/// Where a cluster's objects stand.
#[derive(Debug, Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    /// Before all keys, the store's own prefix among it.
    root: String,
}

/// Whether something was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// It is there already, and stays as it is.
    Exists,
}

/// An object in a folder.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its key, behind the place's root.
    pub key: String,
    /// When it was stored, by the store's clock, in seconds.
    pub stored: i64,
}

impl Place {
    /// Opens a store for the objects below `path`.
    ///
    /// # Errors
    /// When there are no credentials, or none that can be used.
    pub fn open(store: &Store, path: &str, credentials: &File) -> Result<Self, Failure> {
        let Store { s3 } = store;
        let root = match &s3.prefix {
            Some(prefix) => format!("{prefix}/{path}"),
            None => path.to_owned(),
        };
        Ok(Self { store: Arc::new(amazon(s3, credentials)?), root })
    }

    #[must_use]
    pub fn of(store: Arc<dyn ObjectStore>, root: &str) -> Self {
        Self { store, root: root.to_owned() }
    }

    /// The place below this one.
    #[must_use]
    pub fn below(&self, folder: &str) -> Self {
        Self { store: self.store.clone(), root: format!("{}/{folder}", self.root) }
    }

    #[must_use]
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// The whole key, as a person looks it up.
    #[must_use]
    pub fn location(&self, key: &str) -> String {
        format!("{}/{key}", self.root)
    }

    /// The same for the store.
    pub fn key(&self, key: &str) -> Result<Path, Failure> {
        Path::parse(self.location(key)).map_err(|error| Failure::Usage(format!("{key:?} is no key: {error}")))
    }

    /// A small object, or `None` if there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        let got = match self.store.get(&self.key(key)?).await.map_err(Failure::from) {
            Err(Failure::NotFound(_)) => return Ok(None),
            got => got?,
        };
        if got.meta.size > SMALL {
            let message = format!("{} has {} bytes: it is no such object", self.location(key), got.meta.size);
            return Err(Failure::integrity("NoManifest", message));
        }
        Ok(Some(got.bytes().await?))
    }

    /// Puts an object that is not there.
    pub async fn put_once(&self, key: &str, content: Vec<u8>) -> Result<Put, Failure> {
        let put = self.store.put_opts(&self.key(key)?, PutPayload::from(content), PutMode::Create.into()).await;
        match put {
            Ok(_) => Ok(Put::Stored),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Put::Exists)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an object. One that is not there is as good as deleted.
    pub async fn delete(&self, key: &str) -> Result<(), Failure> {
        match self.store.delete(&self.key(key)?).await.map_err(Failure::from) {
            Ok(()) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Whether it is there, and when it was stored, by the store's clock, in seconds.
    pub async fn stored(&self, key: &str) -> Result<Option<i64>, Failure> {
        match self.store.head(&self.key(key)?).await.map_err(Failure::from) {
            Ok(meta) => Ok(Some(meta.last_modified.timestamp())),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// All objects in a folder, however deep.
    pub async fn all(&self, folder: &str) -> Result<Vec<Found>, Failure> {
        let found: Vec<ObjectMeta> = self.store.list(Some(&self.key(folder)?)).try_collect().await?;
        let own = format!("{}/", self.root);
        let key = |meta: &ObjectMeta| meta.location.as_ref().strip_prefix(&own).map(ToOwned::to_owned);
        let found =
            found.iter().filter_map(|meta| Some(Found { key: key(meta)?, stored: meta.last_modified.timestamp() }));
        Ok(found.collect())
    }

    /// The folders directly below.
    pub async fn folders(&self) -> Result<Vec<String>, Failure> {
        let root =
            Path::parse(&self.root).map_err(|error| Failure::Usage(format!("{} is no path: {error}", self.root)))?;
        let listed = self.store.list_with_delimiter(Some(&root)).await?;
        Ok(listed.common_prefixes.iter().filter_map(|folder| folder.filename().map(ToOwned::to_owned)).collect())
    }
}

/// A client of S3. It is asked for by the name of the bucket in the path, which every such store knows.
fn amazon(s3: &S3, credentials: &File) -> Result<impl ObjectStore + use<>, Failure> {
    let S3 { bucket, prefix: _, endpoint, region } = s3;
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: TRIES, retry_timeout: TRIED };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.as_deref().unwrap_or(REGION))
        .with_access_key_id(needed(credentials, "accessKeyID")?)
        .with_secret_access_key(needed(credentials, "secretAccessKey")?)
        .with_client_options(client(credentials)?)
        .with_retry(retry);
    if let Some(token) = credential(credentials, "sessionToken")? {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = endpoint {
        builder =
            builder.with_endpoint(endpoint.trim_end_matches('/')).with_allow_http(endpoint.starts_with("http://"));
    }
    Ok(builder.build()?)
}

/// Whom the client believes: the authorities that come with this program, since its image has none, and the Secret's.
fn client(credentials: &File) -> Result<ClientOptions, Failure> {
    let mut options = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(ANSWER)
        .with_no_system_certificates(true);
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        options = options.with_root_certificate(Certificate::from_der(root)?);
    }
    if let Some(pem) = credential(credentials, "ca.crt")? {
        let roots = Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| Failure::store("NoCredentials", format!("the Secret's ca.crt is none: {error}")))?;
        options = roots.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

fn needed(folder: &File, name: &str) -> Result<String, Failure> {
    let missing = || {
        let message = format!("the Secret with the store's credentials is not there, or has no {name}");
        Failure::store("NoCredentials", message)
    };
    credential(folder, name)?.ok_or_else(missing)
}

/// One of the Secret's entries; an empty one is none.
fn credential(folder: &File, name: &str) -> Result<Option<String>, Failure> {
    match fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::store("NoCredentials", format!("the Secret's {name} cannot be read: {error}"))),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use object_store::memory::InMemory;

    /// A place in a store that honours conditions.
    pub fn in_memory() -> Place {
        Place::of(Arc::new(InMemory::new()), "etcd/ns/demo/u")
    }

    #[tokio::test]
    async fn what_is_there_is_not_put_again_and_what_is_gone_is_no_error() {
        let place = in_memory();
        assert_eq!(place.put_once("snapshots/1/a.json", b"first".to_vec()).await.unwrap(), Put::Stored);
        assert_eq!(place.put_once("snapshots/1/a.json", b"second".to_vec()).await.unwrap(), Put::Exists);
        assert_eq!(place.get("snapshots/1/a.json").await.unwrap().as_deref(), Some(b"first".as_slice()));
        assert_eq!(place.all("snapshots").await.unwrap()[0].key, "snapshots/1/a.json");
        assert!(place.stored("snapshots/1/a.json").await.unwrap().is_some());
        place.delete("snapshots/1/a.json").await.unwrap();
        place.delete("snapshots/1/a.json").await.unwrap();
        assert_eq!(place.get("snapshots/1/a.json").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_clusters_of_a_name_are_found_below_it() {
        let place = in_memory();
        place.put_once("data/a", vec![1]).await.unwrap();
        let above = Place::of(place.store(), "etcd/ns/demo");
        assert_eq!(above.folders().await.unwrap(), ["u"]);
        assert_eq!(above.below("u").location("data/a"), "etcd/ns/demo/u/data/a");
    }

    #[test]
    fn a_store_is_opened_with_the_secrets_files_and_says_which_is_missing() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let store = |endpoint: &str| Store {
            s3: S3 {
                bucket: "backups".into(),
                prefix: Some("etcd".into()),
                endpoint: Some(endpoint.into()),
                region: None,
            },
        };
        let open = |endpoint: &str| Place::open(&store(endpoint), "ns/demo/u", folder.path());
        let missing = open("https://s3.example.com").unwrap_err();
        assert!(missing.code() == 6 && missing.to_string().ends_with("has no accessKeyID"), "{missing}");
        fs::write(folder.path().join("accessKeyID"), "me\n").unwrap();
        fs::write(folder.path().join("secretAccessKey"), "secret").unwrap();
        for endpoint in ["https://s3.example.com", "http://127.0.0.1:9000/"] {
            assert_eq!(open(endpoint).unwrap().location("a"), "etcd/ns/demo/u/a");
        }
        fs::write(folder.path().join("ca.crt"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----").unwrap();
        assert_eq!(open("https://s3.example.com").unwrap_err().reason(), "NoCredentials");
    }
}
