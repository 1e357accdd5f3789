//! Our verbs on one member's etcd, each bounded in time.
//!
//! One client a member: the etcd-client crate has no failover (see [`super::peers`]). Its errors are mapped to a
//! sentence; what a caller must tell apart is a variant.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Client, ConnectOptions, DowngradeOptions, GetOptions, MemberAddOptions,
    ResponseHeader,
};
use etcd_operator_shared::{
    ids::hex,
    names::{PORT_CLIENT, member_of_peer_url, ordinal},
    version::Minor,
};
use thiserror::Error;

use super::{access::Access, refusal::Refusal};
use crate::{
    http,
    plan::{
        list::Entry,
        upkeep::{Alarm, Kind},
    },
    tls::Identity,
};

/// How long a question may take. A member on a busy disk answers Status within milliseconds; one that is stopped never.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a member may take to accept a connection: it is one hop away.
const CONNECT: Duration = Duration::from_millis(500);
/// A connection with a question on it is asked whether it lives. Not more often, and not without a question: etcd takes
/// a ping within 5 s of the last, or on an idle connection, for abuse, and closes the connection at the third.
/// Source: etcd `server/embed/etcd.go`, `KeepaliveEnforcementPolicy`.
const PING: Duration = Duration::from_secs(6);
const PONG: Duration = Duration::from_secs(3);

/// Why etcd did not answer as hoped.
#[derive(Debug, Error)]
pub enum EtcdError {
    #[error("etcd did not answer within {} s", PATIENCE.as_secs())]
    TimedOut,
    /// The same for what takes as long as there are keys.
    #[error("etcd did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// An answer that is no, in etcd's own words.
    #[error("{}", said(.0, .1))]
    Said(Refusal, String),
    /// There was no answer: nobody listens, or the connection broke.
    #[error("etcd cannot be reached: {0}")]
    Unreachable(String),
    #[error("the address is cluster {0}'s now")]
    OtherCluster(String),
    #[error("the address is member {0}'s now")]
    OtherMember(String),
    #[error("the only voter that answers is not vouched for by its agent")]
    NotVouched,
    #[error("no other member's address is known")]
    Nobody,
    #[error("there is no certificate yet to ask etcd with")]
    NoCertificate,
}

impl EtcdError {
    /// Whether etcd is there and serves, though it says no.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Said(refusal, _) => *refusal != Refusal::NotServing,
            Self::TimedOut
            | Self::TooSlow(_)
            | Self::Unreachable(_)
            | Self::OtherCluster(_)
            | Self::OtherMember(_)
            | Self::NotVouched
            | Self::Nobody
            | Self::NoCertificate => false,
        }
    }

    /// Whether it is for want of a user.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::Said(Refusal::Auth, _))
    }
}

fn said(refusal: &Refusal, words: &str) -> String {
    match refusal.meaning() {
        Some(meaning) => format!("{meaning} ({words})"),
        None => format!("etcd says: {words}"),
    }
}

/// What one member says of itself. A local read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub member_id: String,
    pub cluster_id: String,
    pub version: String,
    pub is_learner: bool,
    /// `None` while it knows no leader.
    pub leader_id: Option<String>,
    pub term: u64,
    /// Minor version that the cluster is allowed to go down to, while it is: `3.5.0`. 3.5 itself does not say.
    pub downgrade: Option<String>,
    pub revision: i64,
    pub raft_index: u64,
    pub raft_applied_index: u64,
    /// Bytes.
    pub db_size: i64,
    /// Bytes.
    pub db_size_in_use: i64,
    /// What etcd counts as errors, in its words: the alarms of *all* members, and that it knows no leader. Only a hint
    /// that there is something to ask for, see [`Member::alarms`].
    pub errors: Vec<String>,
}

/// The membership as a linearizable read found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub cluster_id: String,
    pub members: Vec<Entry>,
    /// Whether etcd refuses other questions for want of a user.
    pub barred: bool,
}

/// Whose members they are, on which the names in a list depend, and how they are spoken to.
#[derive(Debug, Clone)]
pub struct Whose {
    pub cluster: String,
    pub namespace: String,
    pub access: Access,
}

/// One member's etcd.
#[derive(Clone)]
pub struct Member {
    endpoint: String,
    whose: Whose,
    /// Made when first needed, and anew with each identity.
    client: Arc<Mutex<Option<Made>>>,
}

/// A client, and as whom it speaks.
struct Made {
    key: Option<String>,
    client: Client,
}

impl Member {
    /// This pod's own. Never connects by itself: the first question does.
    #[must_use]
    pub fn local(whose: Whose) -> Self {
        Self::at(&format!("{}://127.0.0.1:{PORT_CLIENT}", whose.access.scheme()), whose)
    }

    /// The one behind a URL.
    #[must_use]
    pub fn at(endpoint: &str, whose: Whose) -> Self {
        Self { endpoint: endpoint.to_owned(), whose, client: Arc::default() }
    }

    /// The client, as whom the agent is now. What it was is good no longer than its certificate.
    pub(super) async fn client(&self) -> Result<Client, EtcdError> {
        let identity = self.whose.access.identity()?;
        let key = identity.as_ref().map(|identity| identity.key.clone());
        if let Some(made) = self.made().as_ref().filter(|made| made.key == key) {
            return Ok(made.client.clone());
        }
        let options = options(identity.as_deref());
        let client = Client::connect([&self.endpoint], Some(options)).await;
        let client = client.map_err(|error| EtcdError::Unreachable(error.to_string()))?;
        *self.made() = Some(Made { key, client: client.clone() });
        Ok(client)
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Option<Made>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the pages that etcd has beside gRPC, such as `/version`. At most [`http::PAGE`] bytes.
    pub async fn page(&self, path: &str) -> Result<bytes::Bytes, EtcdError> {
        let identity = self.whose.access.identity()?;
        let authority = self.endpoint.rsplit("//").next().unwrap_or(&self.endpoint);
        let asked =
            tokio::time::timeout(PATIENCE, http::get_as(identity.as_deref(), authority, path, http::PAGE)).await;
        asked.map_err(|_| EtcdError::TimedOut)?.map_err(|error| EtcdError::Unreachable(error.to_string()))
    }

    /// Its client URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// What the member says of itself, from its own memory.
    pub async fn status(&self) -> Result<Status, EtcdError> {
        let said = bounded(self.client().await?.status()).await?;
        let header = said.header();
        let id = |f: fn(&ResponseHeader) -> u64| header.map(f).map(hex).unwrap_or_default();
        Ok(Status {
            member_id: id(ResponseHeader::member_id),
            cluster_id: id(ResponseHeader::cluster_id),
            version: format!("v{}", said.version()),
            is_learner: said.is_learner(),
            leader_id: (said.leader() != 0).then(|| hex(said.leader())),
            term: said.raft_term(),
            downgrade: said.downgrade_info().filter(|info| info.enabled()).map(|info| info.target_version().to_owned()),
            revision: header.map_or(0, ResponseHeader::revision),
            raft_index: said.raft_index(),
            raft_applied_index: said.raft_applied_index(),
            db_size: said.db_size(),
            db_size_in_use: said.raft_used_db_size(),
            errors: said.errors().to_vec(),
        })
    }

    /// A linearizable read: it succeeds only with a leader, a quorum, and this member caught up to it. Returns whether
    /// etcd refused to show the key for want of a user, which it does after that.
    /// Source: etcd `server/etcdserver/v3_server.go`, `Range`; 3.4 to 3.7.
    async fn confirm(&self) -> Result<bool, EtcdError> {
        let nothing = GetOptions::new().with_limit(1).with_keys_only();
        match bounded(self.client().await?.get("\0", Some(nothing))).await {
            Ok(_) => Ok(false),
            Err(error) if error.is_auth() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The membership: confirmed first on this same member, because the crate's list is a local read and may be old. An
    /// [`Refusal::Auth`] says that there is a quorum, all the same.
    pub async fn members(&self) -> Result<Listing, EtcdError> {
        let barred = self.confirm().await?;
        let said = bounded(self.client().await?.member_list()).await?;
        Ok(Listing {
            cluster_id: said.header().map(|header| hex(header.cluster_id())).unwrap_or_default(),
            members: said.members().iter().map(|member| self.entry(member)).collect(),
            barred,
        })
    }

    /// The alarms that are raised, each with the ID of its member. etcd writes the question into its log: not to be
    /// asked
    /// every second. Source: etcd `server/etcdserver/v3_server.go`, `Alarm`.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, EtcdError> {
        let said = bounded(self.client().await?.alarm(AlarmAction::Get, AlarmType::None, None)).await?;
        Ok(raised(said.alarms().iter().map(|alarm| (alarm.member_id(), alarm.alarm()))))
    }

    /// Takes back an alarm of a member. One that is not raised is as good as taken back.
    pub async fn disarm(&self, id: &str, kind: Kind) -> Result<(), EtcdError> {
        let kind = match kind {
            Kind::NoSpace => AlarmType::Nospace,
            Kind::Corrupt => AlarmType::Corrupt,
        };
        let mut whose = AlarmOptions::new();
        whose.with_member(number(id)?);
        bounded(self.client().await?.alarm(AlarmAction::Deactivate, kind, Some(whose))).await.map(drop)
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
        let said = bounded(self.client().await?.member_add([peer_url], Some(learner))).await?;
        said.member()
            .map(|member| hex(member.id()))
            .ok_or_else(|| EtcdError::Unreachable("no member in the answer".into()))
    }

    /// Removes a member. One that is not there is as good as removed.
    pub async fn remove(&self, id: &str) -> Result<(), EtcdError> {
        match bounded(self.client().await?.member_remove(number(id)?)).await {
            Err(EtcdError::Said(Refusal::MemberNotFound, _)) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Makes a learner a voter. Must be asked of a voter.
    pub async fn promote(&self, id: &str) -> Result<(), EtcdError> {
        bounded(self.client().await?.member_promote(number(id)?)).await.map(drop)
    }

    /// Lets the cluster go one minor version down. etcd checks whether that can be.
    pub async fn allow_downgrade(&self, to: Minor) -> Result<(), EtcdError> {
        bounded(self.client().await?.maintenance_client().downgrade(DowngradeOptions::Enable(to.to_string())))
            .await
            .map(drop)
    }

    /// Takes that back.
    pub async fn take_back_downgrade(&self) -> Result<(), EtcdError> {
        bounded(self.client().await?.maintenance_client().downgrade(DowngradeOptions::Cancel)).await.map(drop)
    }

    /// Hands leadership to another member. Must be asked of the leader.
    pub async fn move_leader(&self, to: &str) -> Result<(), EtcdError> {
        bounded(self.client().await?.move_leader(number(to)?)).await.map(drop)
    }
}

fn options(identity: Option<&Identity>) -> ConnectOptions {
    let options = ConnectOptions::new()
        .with_connect_timeout(CONNECT)
        .with_keep_alive(PING, PONG)
        .with_keep_alive_while_idle(false);
    match identity.and_then(|identity| identity.client.as_ref()) {
        Some(client) => options.with_tls(client.channel.clone()),
        None => options,
    }
}

fn number(id: &str) -> Result<u64, EtcdError> {
    u64::from_str_radix(id, 16).map_err(|_| EtcdError::Unreachable(format!("{id} is no member ID")))
}

pub(super) async fn bounded<T>(asked: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, EtcdError> {
    within(PATIENCE, asked).await.map_err(|error| match error {
        EtcdError::TooSlow(_) => EtcdError::TimedOut,
        error => error,
    })
}

/// An answer that takes as long as it takes, and not longer than this.
pub(super) async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, EtcdError> {
    match tokio::time::timeout(patience, asked).await {
        Err(_) => Err(EtcdError::TooSlow(patience)),
        Ok(Ok(said)) => Ok(said),
        Ok(Err(etcd_client::Error::GRpcStatus(status))) => Err(understood(status.message(), status.source())),
        Ok(Err(error)) => Err(EtcdError::Unreachable(error.to_string())),
    }
}

/// A status has a cause only if it was made on this side, where the connection failed.
fn understood(words: &str, cause: Option<&(dyn Error + 'static)>) -> EtcdError {
    match cause {
        Some(cause) => EtcdError::Unreachable(format!("{words}: {cause}")),
        None => EtcdError::Said(Refusal::of(words), words.to_owned()),
    }
}

/// The alarms as the plans know them.
fn raised(said: impl Iterator<Item = (u64, AlarmType)>) -> Vec<Alarm> {
    let kind = |alarm| match alarm {
        AlarmType::None => None,
        AlarmType::Nospace => Some(Kind::NoSpace),
        AlarmType::Corrupt => Some(Kind::Corrupt),
    };
    let mut alarms: Vec<Alarm> =
        said.filter_map(|(id, alarm)| Some(Alarm { id: hex(id), kind: kind(alarm)? })).collect();
    alarms.sort_unstable();
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_that_members_whose_id_it_has() {
        let said = [(0xa, AlarmType::Nospace), (0xb, AlarmType::Corrupt), (0xc, AlarmType::None)];
        let alarm = |id: u64, kind| Alarm { id: hex(id), kind };
        assert_eq!(raised(said.into_iter()), [alarm(0xa, Kind::NoSpace), alarm(0xb, Kind::Corrupt)]);
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_broken_connection_is_none() {
        let said = |words: &str| EtcdError::Said(Refusal::of(words), words.to_owned());
        assert!(said("etcdserver: user name is empty").is_answer());
        assert!(said("etcdserver: no leader").is_answer());
        assert!(!said("etcdserver: not capable").is_answer(), "it does not serve yet");
        assert!(!EtcdError::TimedOut.is_answer() && !EtcdError::Unreachable("refused".into()).is_answer());
    }

    #[tokio::test]
    async fn nobody_listening_is_not_taken_for_an_answer() {
        let whose = Whose { cluster: "demo".into(), namespace: "ns".into(), access: Access::Plain };
        let nobody = Member::at("http://127.0.0.1:1", whose);
        assert!(matches!(nobody.status().await, Err(EtcdError::Unreachable(_))));
    }

    #[tokio::test]
    async fn nobody_is_asked_in_plain_words_before_there_is_a_certificate() {
        let (_identity, access) = tokio::sync::watch::channel(None);
        let whose = Whose { cluster: "demo".into(), namespace: "ns".into(), access: Access::Encrypted(access) };
        let member = Member::local(whose);
        assert_eq!(member.endpoint(), "https://127.0.0.1:2379");
        assert!(matches!(member.status().await, Err(EtcdError::NoCertificate)));
        assert!(matches!(member.page("/version").await, Err(EtcdError::NoCertificate)));
    }
}
