//! One member's etcd as an application sees it, by the address of its pod. Every question is bounded.

mod contents;

use anyhow::{Context, Error, Result};
use etcd_client::{Certificate, Client, ConnectOptions, DeleteOptions, GetOptions, Identity, TlsOptions, Txn, TxnOp};
use std::time::{Duration, Instant};

pub use contents::{Contents, KvHash, Pair};

/// A member that serves answers in milliseconds; one that does not, never.
const PATIENCE: Duration = Duration::from_secs(2);
/// What needs a leader is asked again for this long: an election on a busy machine takes seconds.
const ELECTION: Duration = Duration::from_secs(20);

/// What an application shows and believes, where traffic is encrypted. All PEM.
#[derive(Clone, Debug)]
pub struct User {
    pub authority: String,
    pub certificate: String,
    pub key: String,
    /// The name that members' certificates have.
    pub name: String,
}

/// A connection to one member.
#[derive(Clone)]
pub struct Etcd {
    client: Client,
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub member_id: u64,
    /// In hexadecimal, as etcdctl prints it.
    pub cluster_id: String,
    pub leader: u64,
    pub version: String,
    pub is_learner: bool,
    /// Bytes of its database file.
    pub db_size: i64,
}

/// An entry of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub name: String,
    pub is_learner: bool,
    pub started: bool,
    pub peer_urls: Vec<String>,
}

/// An accepted write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub revision: i64,
    pub cluster_id: String,
}

impl Etcd {
    /// Connects at the first question.
    ///
    /// # Errors
    /// When the address is none.
    pub async fn at(ip: &str, port: u16) -> Result<Self> {
        Self::for_user(ip, port, None).await
    }

    /// The same as somebody, over TLS; plain as nobody.
    ///
    /// # Errors
    /// When the address is none.
    pub async fn for_user(ip: &str, port: u16, user: Option<&User>) -> Result<Self> {
        let mut options = ConnectOptions::new().with_connect_timeout(Duration::from_millis(500));
        if let Some(User { authority, certificate, key, name }) = user {
            let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(authority)).domain_name(name);
            options = options.with_tls(tls.identity(Identity::from_pem(certificate, key)));
        }
        let scheme = if user.is_some() { "https" } else { "http" };
        let client = Client::connect([format!("{scheme}://{ip}:{port}")], Some(options)).await?;
        Ok(Self { client })
    }

    /// A local read: it needs no quorum.
    pub async fn said(&self) -> Result<Said> {
        let answer = bounded(self.client.clone().status()).await?;
        let header = answer.header().context("an answer has a header")?;
        Ok(Said {
            member_id: header.member_id(),
            cluster_id: hex(header.cluster_id()),
            leader: answer.leader(),
            version: answer.version().to_owned(),
            is_learner: answer.is_learner(),
            db_size: answer.db_size(),
        })
    }

    /// Succeeds only when this member serves linearizable reads.
    pub async fn serves(&self) -> Result<()> {
        bounded(self.client.clone().get("\0", Some(GetOptions::new().with_limit(1).with_keys_only()))).await.map(drop)
    }

    /// A transaction of so many reads: etcd takes as many as `--max-txn-ops` says.
    ///
    /// # Errors
    /// When it takes fewer.
    pub async fn txn(&self, operations: usize) -> Result<()> {
        let reads: Vec<TxnOp> = (0..operations).map(|_| TxnOp::get("\0", None)).collect();
        bounded(self.client.clone().txn(Txn::new().and_then(reads))).await.map(drop)
    }

    /// The membership as this member knows it after a linearizable read.
    pub async fn members(&self) -> Result<Vec<Entry>> {
        led(|| self.members_at_once()).await
    }

    async fn members_at_once(&self) -> Result<Vec<Entry>> {
        self.serves().await?;
        let answer = bounded(self.client.clone().member_list()).await?;
        let entry = |one: &etcd_client::Member| Entry {
            id: one.id(),
            name: one.name().to_owned(),
            is_learner: one.is_learner(),
            started: !one.client_urls().is_empty(),
            peer_urls: one.peer_urls().to_vec(),
        };
        Ok(answer.members().iter().map(entry).collect())
    }

    pub async fn put(&self, key: &str, value: &str) -> Result<Accepted> {
        let answer = led(|| async { bounded(self.client.clone().put(key, value, None)).await }).await?;
        let header = answer.header().context("an answer has a header")?;
        Ok(Accepted { revision: header.revision(), cluster_id: hex(header.cluster_id()) })
    }

    /// As [`put`](Self::put), as an application does it that sets no limit: etcd answers after its own, 7 s, at the latest.
    pub async fn put_without_limit(&self, key: &str, value: &str) -> Result<()> {
        Ok(self.client.clone().put(key, value, None).await.map(drop)?)
    }

    /// Deletes all keys that begin so.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<()> {
        let all = DeleteOptions::new().with_prefix();
        bounded(self.client.clone().delete(prefix, Some(all))).await.map(drop)
    }

    /// A linearizable read of one key.
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        led(|| self.read(key, GetOptions::new())).await
    }

    /// What this member has of a key, with or without a quorum.
    pub async fn get_local(&self, key: &str) -> Result<Option<String>> {
        self.read(key, GetOptions::new().with_serializable()).await
    }

    async fn read(&self, key: &str, options: GetOptions) -> Result<Option<String>> {
        let answer = bounded(self.client.clone().get(key, Some(options))).await?;
        Ok(answer.kvs().first().map(|kv| String::from_utf8_lossy(kv.value()).into_owned()))
    }

    /// Asks this member, which leads, to let another one lead.
    pub async fn hand_over(&self, successor: u64) -> Result<()> {
        bounded(self.client.clone().move_leader(successor)).await.map(drop)
    }
}

/// An ID as etcdctl prints it.
#[must_use]
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}

/// Asks again while the cluster has no leader, which etcd says or is silent about; never where nobody answers at all.
async fn led<T, F: Future<Output = Result<T>>>(question: impl Fn() -> F) -> Result<T> {
    let started = Instant::now();
    loop {
        match question().await {
            Err(error) if started.elapsed() < ELECTION && is_leaderless(&error) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_leaderless(error: &Error) -> bool {
    let said = match error.downcast_ref::<etcd_client::Error>() {
        Some(etcd_client::Error::GRpcStatus(status)) => status.message(),
        _ => "",
    };
    let words = ["no leader", "leader changed", "request timed out"];
    error.is::<Silent>() || words.iter().any(|word| said.starts_with(&format!("etcdserver: {word}")))
}

/// What a member that has no leader does before it says so.
#[derive(Debug, thiserror::Error)]
#[error("etcd did not answer within {PATIENCE:?}")]
struct Silent;

async fn bounded<T>(asked: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T> {
    Ok(tokio::time::timeout(PATIENCE, asked).await.map_err(|_| Silent)??)
}
