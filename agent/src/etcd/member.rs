//! A few verbs on this pod's own etcd, each bounded in time.
//!
//! One client a member: the etcd-client crate has no failover. Its errors are mapped to a sentence; what a caller must
//! tell apart is a variant.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions};
use etcd_operator_shared::names::PORT_CLIENT;
use thiserror::Error;

use etcd_operator_shared::ids::hex;

/// How long a question may take. A member on a busy disk answers Status within milliseconds; one that is stopped never.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why etcd did not answer as hoped.
#[derive(Debug, Error)]
pub enum EtcdError {
    #[error("etcd did not answer within {} s", PATIENCE.as_secs())]
    TimedOut,
    #[error("etcd says: {0}")]
    Said(String),
}

/// What one member says of itself. A local read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub member_id: String,
    pub cluster_id: String,
    pub version: String,
    pub is_learner: bool,
    /// `None` while it knows no leader.
    pub leader_id: Option<String>,
    pub term: u64,
    pub revision: i64,
    pub raft_index: u64,
    pub raft_applied_index: u64,
    /// Bytes.
    pub db_size: i64,
    /// Bytes.
    pub db_size_in_use: i64,
    /// Alarms and other errors, in etcd's words.
    pub errors: Vec<String>,
}

/// An entry of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub name: String,
    pub is_learner: bool,
}

/// This pod's etcd.
#[derive(Clone)]
pub struct Member {
    client: Client,
}

impl Member {
    /// Never connects by itself: the first question does.
    ///
    /// # Errors
    /// When the address cannot be used at all.
    pub async fn local() -> Result<Self, EtcdError> {
        let options = ConnectOptions::new().with_connect_timeout(Duration::from_millis(500));
        let endpoint = format!("http://127.0.0.1:{PORT_CLIENT}");
        Ok(Self {
            client: Client::connect([endpoint], Some(options)).await.map_err(|e| EtcdError::Said(e.to_string()))?,
        })
    }

    /// What the member says of itself, from its own memory.
    pub async fn status(&self) -> Result<Status, EtcdError> {
        let said = bounded(self.client.clone().status()).await?;
        let header = said.header();
        let id = |f: fn(&etcd_client::ResponseHeader) -> u64| header.map(f).map(hex).unwrap_or_default();
        Ok(Status {
            member_id: id(etcd_client::ResponseHeader::member_id),
            cluster_id: id(etcd_client::ResponseHeader::cluster_id),
            version: format!("v{}", said.version()),
            is_learner: said.is_learner(),
            leader_id: (said.leader() != 0).then(|| hex(said.leader())),
            term: said.raft_term(),
            revision: header.map_or(0, etcd_client::ResponseHeader::revision),
            raft_index: said.raft_index(),
            raft_applied_index: said.raft_applied_index(),
            db_size: said.db_size(),
            db_size_in_use: said.raft_used_db_size(),
            errors: said.errors().to_vec(),
        })
    }

    /// A linearizable read: it succeeds only with a leader, a quorum, and this member caught up to it.
    pub async fn confirm(&self) -> Result<(), EtcdError> {
        let nothing = GetOptions::new().with_limit(1).with_keys_only();
        bounded(self.client.clone().get("\0", Some(nothing))).await.map(drop)
    }

    /// The membership: confirmed first on this same member, because the crate's list is a local read and may be old.
    pub async fn members(&self) -> Result<Vec<Entry>, EtcdError> {
        self.confirm().await?;
        let said = bounded(self.client.clone().member_list()).await?;
        let entry =
            |m: &etcd_client::Member| Entry { id: m.id(), name: m.name().to_owned(), is_learner: m.is_learner() };
        Ok(said.members().iter().map(entry).collect())
    }

    /// Hands leadership to another member. Must be asked of the leader.
    pub async fn move_leader(&self, to: u64) -> Result<(), EtcdError> {
        bounded(self.client.clone().move_leader(to)).await.map(drop)
    }
}

async fn bounded<T>(asked: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, EtcdError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Err(_) => Err(EtcdError::TimedOut),
        Ok(Ok(said)) => Ok(said),
        Ok(Err(etcd_client::Error::GRpcStatus(status))) => Err(EtcdError::Said(status.message().to_owned())),
        Ok(Err(error)) => Err(EtcdError::Said(error.to_string())),
    }
}
