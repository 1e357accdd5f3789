//! All that a member holds, so that two clusters can be compared.

use super::{Etcd, bounded};
use anyhow::{Result, ensure};
use etcd_client::{GetOptions, KeyValue};

/// Everything of a store at one revision, and what stands beside its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub revision: i64,
    pub pairs: Vec<Pair>,
    /// IDs of all leases, in order.
    pub leases: Vec<i64>,
    /// Each user with the roles that it has.
    pub users: Vec<(String, Vec<String>)>,
    /// Each role with its permissions.
    pub roles: Vec<(String, String)>,
}

/// A key and all that etcd knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub version: i64,
    pub created: i64,
    pub modified: i64,
    pub lease: i64,
}

/// What a member says of its history up to a revision. Only hashes of equal revisions over equally compacted histories compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvHash {
    pub hash: u32,
    pub compacted: i64,
}

impl Etcd {
    /// The newest revision, by a linearizable read.
    ///
    /// # Errors
    /// When the member does not serve.
    pub async fn revision(&self) -> Result<i64> {
        let limit = GetOptions::new().with_limit(1).with_keys_only();
        let answer = bounded(self.client.clone().get("\0", Some(limit))).await?;
        Ok(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
    }

    /// All that this member holds, as of a revision: leases, users and roles have none, and are as they are now.
    ///
    /// # Errors
    /// When the member does not serve, or has not that revision.
    pub async fn contents(&self, revision: i64) -> Result<Contents> {
        let mut client = self.client.clone();
        let all = GetOptions::new().with_all_keys().with_revision(revision);
        let answer = bounded(client.get("", Some(all))).await?;
        ensure!(!answer.more(), "there are more keys");
        let mut leases: Vec<i64> = bounded(client.leases()).await?.leases().iter().map(|lease| lease.id()).collect();
        leases.sort_unstable();
        let mut users = vec![];
        for name in bounded(client.user_list()).await?.users() {
            let user = bounded(client.user_get(name.clone())).await?;
            users.push((name.clone(), user.roles().to_vec()));
        }
        let mut roles = vec![];
        for name in bounded(client.role_list()).await?.roles() {
            let role = bounded(client.role_get(name.clone())).await?;
            roles.push((name.clone(), format!("{:?}", role.permissions())));
        }
        Ok(Contents { revision, pairs: answer.kvs().iter().map(Pair::of).collect(), leases, users, roles })
    }

    /// Hash of this member's history up to a revision.
    ///
    /// # Errors
    /// When the member does not serve, or has not that revision.
    pub async fn kv_hash(&self, revision: i64) -> Result<KvHash> {
        let answer = bounded(self.client.clone().hash_kv(revision)).await?;
        Ok(KvHash::of(answer.hash(), answer.compact_version()))
    }
}

impl KvHash {
    /// Where nothing was ever compacted, etcd says -1 or 0.
    #[must_use]
    pub fn of(hash: u32, compacted: i64) -> Self {
        Self { hash, compacted: compacted.max(0) }
    }
}

impl Pair {
    fn of(kv: &KeyValue) -> Self {
        Self {
            key: kv.key().to_vec(),
            value: kv.value().to_vec(),
            version: kv.version(),
            created: kv.create_revision(),
            modified: kv.mod_revision(),
            lease: kv.lease(),
        }
    }
}
