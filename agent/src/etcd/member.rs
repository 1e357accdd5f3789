//! Our verbs on one member's etcd, each bounded in time.
//!
//! One client a member: the etcd-client crate has no failover (see [`super::peers`]). Its errors are mapped to a sentence;
//! what a caller must tell apart is a variant.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions, MemberAddOptions, ResponseHeader};
use etcd_operator_shared::{
    ids::hex,
    names::{PORT_CLIENT, member_of_peer_url, ordinal},
};
use thiserror::Error;

use crate::plan::list::Entry;

/// How long a question may take. A member on a busy disk answers Status within milliseconds; one that is stopped never.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why etcd did not answer as hoped.
#[derive(Debug, Error)]
pub enum EtcdError {
    #[error("etcd did not answer within {} s", PATIENCE.as_secs())]
    TimedOut,
    /// In etcd's own words.
    #[error("etcd says: {0}")]
    Said(String),
    #[error("the address is cluster {0}'s now")]
    OtherCluster(String),
    #[error("the only voter that answers is not vouched for by its agent")]
    NotVouched,
    #[error("no other member's address is known")]
    Nobody,
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

/// Whose members they are: the names in a list depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    pub cluster: String,
    pub namespace: String,
}

/// One member's etcd.
#[derive(Clone)]
pub struct Member {
    client: Client,
    endpoint: String,
    whose: Whose,
}

impl Member {
    /// This pod's own. Never connects by itself: the first question does.
    ///
    /// # Errors
    /// When the address cannot be used at all.
    pub async fn local(whose: Whose) -> Result<Self, EtcdError> {
        Self::at(&format!("http://127.0.0.1:{PORT_CLIENT}"), whose).await
    }

    /// The one behind a URL.
    ///
    /// # Errors
    /// When the URL cannot be used at all.
    pub async fn at(endpoint: &str, whose: Whose) -> Result<Self, EtcdError> {
        let options = ConnectOptions::new().with_connect_timeout(Duration::from_millis(500));
        let client = Client::connect([endpoint], Some(options)).await.map_err(|e| EtcdError::Said(e.to_string()))?;
        Ok(Self { client, endpoint: endpoint.to_owned(), whose })
    }

    /// Its client URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// What the member says of itself, from its own memory.
    pub async fn status(&self) -> Result<Status, EtcdError> {
        let said = bounded(self.client.clone().status()).await?;
        let header = said.header();
        let id = |f: fn(&ResponseHeader) -> u64| header.map(f).map(hex).unwrap_or_default();
        Ok(Status {
            member_id: id(ResponseHeader::member_id),
            cluster_id: id(ResponseHeader::cluster_id),
            version: format!("v{}", said.version()),
            is_learner: said.is_learner(),
            leader_id: (said.leader() != 0).then(|| hex(said.leader())),
            term: said.raft_term(),
            revision: header.map_or(0, ResponseHeader::revision),
            raft_index: said.raft_index(),
            raft_applied_index: said.raft_applied_index(),
            db_size: said.db_size(),
            db_size_in_use: said.raft_used_db_size(),
            errors: said.errors().to_vec(),
        })
    }

    /// A linearizable read: it succeeds only with a leader, a quorum, and this member caught up to it. Returns the cluster's
    /// ID.
    async fn confirm(&self) -> Result<String, EtcdError> {
        let nothing = GetOptions::new().with_limit(1).with_keys_only();
        let said = bounded(self.client.clone().get("\0", Some(nothing))).await?;
        Ok(said.header().map(|header| hex(header.cluster_id())).unwrap_or_default())
    }

    /// The membership and the cluster's ID: confirmed first on this same member, because the crate's list is a local read and
    /// may be old.
    pub async fn members(&self) -> Result<(String, Vec<Entry>), EtcdError> {
        let cluster_id = self.confirm().await?;
        let said = bounded(self.client.clone().member_list()).await?;
        Ok((cluster_id, said.members().iter().map(|member| self.entry(member)).collect()))
    }

    fn entry(&self, member: &etcd_client::Member) -> Entry {
        let url = member.peer_urls().first().map(String::as_str).unwrap_or_default();
        let name = member_of_peer_url(url, &self.whose.cluster, &self.whose.namespace);
        Entry {
            id: hex(member.id()),
            ordinal: name.as_deref().and_then(|name| ordinal(&self.whose.cluster, name)),
            member: name.unwrap_or_else(|| url.to_owned()),
            learner: member.is_learner(),
            started: !member.name().is_empty(),
        }
    }

    /// Adds a learner. Returns its ID, which is fresh.
    pub async fn add_learner(&self, peer_url: &str) -> Result<String, EtcdError> {
        let learner = MemberAddOptions::new().with_is_learner();
        let said = bounded(self.client.clone().member_add([peer_url], Some(learner))).await?;
        said.member().map(|member| hex(member.id())).ok_or_else(|| EtcdError::Said("no member in the answer".into()))
    }

    /// Removes a member. One that is not there is as good as removed.
    pub async fn remove(&self, id: &str) -> Result<(), EtcdError> {
        match bounded(self.client.clone().member_remove(number(id)?)).await {
            Err(EtcdError::Said(words)) if words.contains("member not found") => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Makes a learner a voter. Must be asked of a voter.
    pub async fn promote(&self, id: &str) -> Result<(), EtcdError> {
        bounded(self.client.clone().member_promote(number(id)?)).await.map(drop)
    }

    /// Hands leadership to another member. Must be asked of the leader.
    pub async fn move_leader(&self, to: &str) -> Result<(), EtcdError> {
        bounded(self.client.clone().move_leader(number(to)?)).await.map(drop)
    }
}

fn number(id: &str) -> Result<u64, EtcdError> {
    u64::from_str_radix(id, 16).map_err(|_| EtcdError::Said(format!("{id} is no member ID")))
}

async fn bounded<T>(asked: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, EtcdError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Err(_) => Err(EtcdError::TimedOut),
        Ok(Ok(said)) => Ok(said),
        Ok(Err(etcd_client::Error::GRpcStatus(status))) => Err(EtcdError::Said(status.message().to_owned())),
        Ok(Err(error)) => Err(EtcdError::Said(error.to_string())),
    }
}
