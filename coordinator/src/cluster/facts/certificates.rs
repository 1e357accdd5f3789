//! What a member asks and was answered of certificates: digests, not chains, since they are kept of each member.

use etcd_operator_shared::api::member::{ClientCertificates, Issued, PeerCertificate};
use jiff::Timestamp;

use crate::{
    pki::{Pair, PublicKey, Unsuitable},
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
    /// Fingerprint of the names.
    pub names: Box<str>,
    /// Fingerprints of the authorities that it was told to believe.
    pub peer: Option<u64>,
    pub client: Option<u64>,
    /// Number of the list of revoked certificates that it was told; `None`: it knows of none.
    pub revoked: Option<i64>,
}

/// What is known of a cluster's authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Held(Held),
    /// There are none, although the cluster began with some.
    Missing,
}

/// Authorities, as everybody may know them: PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub peer: String,
    pub client: String,
    /// Number of the list of revoked certificates.
    pub revoked: i64,
    /// When the first of them is over.
    pub end: Timestamp,
    /// Whether it is.
    pub over: bool,
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
        let trust = |trust: &str| print::of(trust);
        Self {
            key: key.as_str().into(),
            names: names.as_str().into(),
            peer: peer.as_ref().map(|PeerCertificate { chain: _, trust: pool }| trust(pool)),
            client: client.as_ref().map(|ClientCertificates { trust: pool, .. }| trust(pool)),
            revoked: client.as_ref().and_then(|client| Some(client.revoked.as_ref()?.number)),
        }
    }
}

impl Held {
    #[must_use]
    pub fn of(pair: &Pair, now: Timestamp) -> Self {
        let end = pair.peer.end().min(pair.client.end());
        let text = |text: &str| text.to_owned();
        let (peer, client) = (text(pair.peer.certificate()), text(pair.client.certificate()));
        Self { peer, client, revoked: pair.revoked.number, end, over: end <= now }
    }
}
