//! How a member comes to its certificates: its agent makes a key that never leaves the pod and asks for certificates in the
//! status; the coordinator answers in the spec. The agent asks anew, with another key, after two thirds of their time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The coordinator's answer: certificates for one key of the member, and whom to believe.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// SHA-256 of the public key (SubjectPublicKeyInfo, DER) that the certificates are for, in hexadecimal.
    #[schemars(length(max = 64))]
    pub key: String,
    /// Fingerprint of the names in them: where others are wanted, they are issued anew for the same key.
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
