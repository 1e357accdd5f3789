//! How a member comes to its certificates: its agent makes a key that never leaves the pod and asks for certificates in the
//! status; the coordinator answers in the spec. The agent asks anew, with another key, after two thirds of their time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{certificates, options};

/// The coordinator's answer: certificates for one key of the member, and whom to believe.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// SHA-256 of the public key (SubjectPublicKeyInfo, DER) that the certificates are for, in hexadecimal.
    #[schemars(length(max = 64))]
    pub key: String,
    /// Fingerprint of the names in them and of who has signed: where others are wanted, they are issued anew for the same key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub names: String,
    /// For the traffic between members, where that is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerCertificate>,
    /// For the traffic with clients, where that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientCertificates>,
}

impl Issued {
    /// By this an agent names what it has in use: sixteen digits over all of it but the list of revoked certificates.
    #[must_use]
    pub fn digest(&self) -> String {
        let Self { key, names, peer, client } = self;
        let PeerCertificate { chain, trust } = peer.clone().unwrap_or_default();
        let ClientCertificates { server, root, trust: clients, revoked: _ } = client.clone().unwrap_or_default();
        options::digest(&[key, names, &chain, &trust, &server, &root, &clients].map(String::as_str).join("|"))
    }

    /// Digest of the authorities that it says to believe, see [`certificates::pools`].
    #[must_use]
    pub fn pools(&self) -> String {
        let (peer, client) = (self.peer.as_ref().map(|one| &one.trust), self.client.as_ref().map(|one| &one.trust));
        certificates::pools(peer.map(String::as_str), client.map(String::as_str))
    }
}

/// That etcd is to be started once more in one pod, since it believes others than it is to.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct ToldReload {
    /// UID of the pod.
    #[schemars(length(max = 64))]
    pub pod: String,
    /// Digest of the authorities that it is to believe.
    #[schemars(length(max = 16))]
    pub pools: String,
}

/// For the traffic between members. Chains and pools are PEM, a chain's leaf first.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PeerCertificate {
    /// The member's certificate, as server and as client.
    #[schemars(length(max = 16384))]
    pub chain: String,
    /// The authorities that it believes.
    #[schemars(length(max = 16384))]
    pub trust: String,
}

/// For the traffic with clients.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificates {
    /// What etcd serves clients with.
    #[schemars(length(max = 16384))]
    pub server: String,
    /// What the agent, and etcdctl in the pod, are clients with: CN=root.
    #[schemars(length(max = 16384))]
    pub root: String,
    /// The authorities that both believe.
    #[schemars(length(max = 16384))]
    pub trust: String,
    /// The certificates that are not let in any more, before they end. Left out by coordinators that know of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<RevocationList>,
}

/// Certificates of clients that are not let in any more.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RevocationList {
    /// Number of the list: a later one has a higher number.
    pub number: i64,
    /// The list (RFC 5280), signed by the authority of clients, PEM.
    #[schemars(length(max = 262_144))]
    pub list: String,
}

/// What the member's agent says of its certificates.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// Certificate signing request (PKCS#10, PEM) of the key that certificates are asked for, until they are in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub request: Option<String>,
    /// SHA-256 of the public key whose certificates are in use, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub key: Option<String>,
    /// Digest of what was issued and is in use, and kept on the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub used: Option<String>,
    /// Digest of the authorities that etcd was last started with. Launchers that do not say it are of an older release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub loaded: Option<String>,
    /// When the first of the certificates in use ends, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub not_after: Option<String>,
    /// Number of the list of revoked certificates that etcd goes by. Left out where it was started without one: it is given one when
    /// it is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
    /// Why the last answer was not taken into use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub rejected: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_issued_otherwise_has_another_digest_and_pools_are_those_that_are_believed() {
        let peer = |chain: &str, trust: &str| Some(PeerCertificate { chain: chain.into(), trust: trust.into() });
        let one = Issued { key: "k".into(), names: "n".into(), peer: peer("c", "t"), client: None };
        let others = [
            Issued { key: "l".into(), ..one.clone() },
            Issued { names: "m".into(), ..one.clone() },
            Issued { peer: peer("d", "t"), ..one.clone() },
            Issued { peer: peer("c", "u"), ..one.clone() },
            Issued { peer: None, ..one.clone() },
        ];
        assert!(others.iter().all(|other| other.digest() != one.digest()));
        assert_eq!(one.digest().len(), 16);
        let same = others.each_ref().map(|other| other.pools() == one.pools());
        assert_eq!(same, [true, true, true, false, false]);
    }
}
