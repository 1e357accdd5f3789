//! What a member asks and was answered of certificates: digests, not chains, since they are kept of each member.

use std::time::Duration;

use etcd_operator_shared::{
    api::{
        EtcdUser,
        cluster::{AuthorityPhase, Encrypted},
        member::{ClientCertificates, Issued, PeerCertificate},
    },
    certificates,
};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use crate::{
    pki::{Change, Pair, PublicKey, Side, Unsuitable},
    print,
};

/// What one member asks and was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    pub asked: Option<Asked>,
    pub answered: Option<Answered>,
}

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Certificates for this key.
    Key { key: PublicKey, digest: Box<str> },
    /// Something for which nothing can be signed.
    Nonsense(Unsuitable),
}

/// What it was answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Digest of the key.
    pub key: Box<str>,
    /// Fingerprint of the names, and of who signed.
    pub names: Box<str>,
    /// Digest of all of it, by which the agent says that it is in use.
    pub digest: Box<str>,
    /// Digest of the authorities that it was told to believe, as its agent says them; and a fingerprint of each.
    pub pools: Box<str>,
    pub peer: Option<u64>,
    pub client: Option<u64>,
    /// Number of the list of revoked certificates that it was told; `None`: it knows of none.
    pub revoked: Option<i64>,
}

/// What is known of a cluster's authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Held(Box<Held>),
    /// There are none, although the cluster began with some.
    Missing,
}

/// Authorities, as everybody may know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Number of those that sign.
    pub generation: i64,
    /// What of the spec they were made for.
    pub asked: i64,
    /// What members are to believe now.
    pub trust: Pools,
    /// What applications are to believe, PEM.
    pub shown: String,
    /// A change of them that is under way.
    pub change: Option<Changing>,
    /// Number of the list of revoked certificates.
    pub revoked: i64,
    /// When the first of them is over.
    pub end: Timestamp,
    /// Whether it is.
    pub over: bool,
    /// When they are changed though nobody asks.
    pub renewal: Timestamp,
    /// Whether that is now.
    pub aged: bool,
}

/// Certificates of two authorities, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pools {
    pub peer: String,
    pub client: String,
}

/// An EtcdUser with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// Number of the authorities that have signed it.
    pub generation: i64,
    /// Whether a person must act before it can have another one.
    pub stalled: bool,
}

/// A change of the authorities that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changing {
    pub phase: AuthorityPhase,
    pub since: Timestamp,
    /// For how long.
    pub lasts: Duration,
    /// What members were to believe before it where they are to believe the new ones by now, and else the new ones.
    pub other: Pools,
    /// How long the former are still valid.
    pub left: Duration,
}

impl User {
    /// `None`: it is another cluster's, or has no certificate that is good now.
    #[must_use]
    pub fn of(user: &EtcdUser, cluster: &str, now: Timestamp) -> Option<Self> {
        let said = user
            .status
            .as_ref()
            .filter(|_| user.spec.cluster == cluster && user.meta().deletion_timestamp.is_none())?;
        let good = said.not_after.as_ref().and_then(|end| end.parse::<Timestamp>().ok()).is_some_and(|end| now < end);
        let stalled = said.conditions.iter().any(|said| said.type_ == "Stalled" && said.status == "True");
        let generation = said.authorities.unwrap_or(1);
        good.then(|| Self { name: user.name_any(), generation, stalled })
    }
}

impl Pools {
    /// The digest by which an agent of such a cluster says that its etcd believes them.
    #[must_use]
    pub fn digest(&self, Encrypted { peer, client }: Encrypted) -> String {
        certificates::pools(peer.then_some(self.peer.as_str()), client.then_some(self.client.as_str()))
    }

    /// Whether these are what a member was told to believe; each by itself, where it was told anything.
    #[must_use]
    pub fn are_told(&self, peer: Option<u64>, client: Option<u64>) -> (bool, bool) {
        let is = |told: Option<u64>, pem: &str| told.is_none_or(|told| told == print::of(pem));
        (is(peer, &self.peer), is(client, &self.client))
    }
}

impl Certificates {
    /// `None` where a member has nothing to do with them.
    #[must_use]
    pub fn of(issued: Option<&Issued>, request: Option<&str>) -> Option<Box<Self>> {
        let asked = request.map(|request| match PublicKey::asked(request) {
            Ok(key) => Asked::Key { digest: key.digest().into(), key },
            Err(why) => Asked::Nonsense(why),
        });
        let all = Self { asked, answered: issued.map(Answered::of) };
        (all != Self::default()).then(|| Box::new(all))
    }
}

impl Answered {
    fn of(issued: &Issued) -> Self {
        let Issued { key, names, peer, client } = issued;
        let (digest, pools) = (issued.digest().into(), issued.pools().into());
        let trust = |trust: &str| print::of(trust);
        Self {
            key: key.as_str().into(),
            names: names.as_str().into(),
            digest,
            pools,
            peer: peer.as_ref().map(|PeerCertificate { chain: _, trust: pool }| trust(pool)),
            client: client.as_ref().map(|ClientCertificates { trust: pool, .. }| trust(pool)),
            revoked: client.as_ref().and_then(|client| Some(client.revoked.as_ref()?.number)),
        }
    }
}

impl Held {
    #[must_use]
    pub fn of(pair: &Pair, now: Timestamp) -> Self {
        let (end, renewal, history) = (pair.end(), pair.renewal(), &pair.history);
        let pools = |peer: &str, client: &str| Pools { peer: peer.to_owned(), client: client.to_owned() };
        let span = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).unwrap_or_default();
        let change = history.change.as_ref().map(|Change { phase, since, peer, client }| Changing {
            phase: *phase,
            since: *since,
            lasts: span(*since, now),
            other: match phase {
                AuthorityPhase::Issue => pools(pair.peer.certificate(), pair.client.certificate()),
                AuthorityPhase::Retire => pools(&peer.certificate, &client.certificate),
            },
            left: span(now, peer.end.min(client.end)),
        });
        Self {
            generation: history.generation,
            asked: history.asked,
            trust: pools(pair.trust(Side::Peer), pair.trust(Side::Client)),
            shown: pair.shown(),
            change,
            revoked: pair.revoked.number,
            end,
            over: end <= now,
            renewal,
            aged: renewal <= now,
        }
    }

    /// How far a change is.
    #[must_use]
    pub fn phase(&self) -> Option<AuthorityPhase> {
        self.change.as_ref().map(|change| change.phase)
    }
}
