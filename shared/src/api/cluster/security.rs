//! Whether traffic is encrypted, and who vouches for whom.
//!
//! No mode has a default in the schema: it would be read into objects of before, whose traffic is plain and stays so.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Encryption of the traffic between members, and of that with clients. Both are mutual: who has no certificate is refused.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.auth) || !self.auth || !has(self.client) || !has(self.client.mode) || self.client.mode != 'Plain'").message("security.auth needs that traffic with clients is encrypted: security.client.mode Auto"))]
pub struct Security {
    /// Traffic between members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerSecurity>,
    /// Traffic with clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientSecurity>,
    /// The cluster's own certificate authorities: one for its members, one for its clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authority>,
    /// Whether etcd asks what a client may do (its authentication): EtcdUsers may do what they are permitted, all other certificates
    /// nothing. Needs that traffic with clients is encrypted. False switches it off; left out, it is as people have it in etcd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<bool>,
}

/// Traffic between members.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PeerSecurity {
    /// Left out: Auto for data that begins, and as it began for data that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SecurityMode>,
}

/// Traffic with clients.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecurity {
    /// Left out: Auto for data that begins, and as it began for data that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SecurityMode>,
    /// Further names that the members' certificates are valid for, such as that of a load balancer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(n, n.matches('^([*][.])?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$') || n.matches('^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$') || (size(n.split(':')) <= 8 && (n.matches('^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$') || n.matches('^(([0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4})?::(([0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4})?$'))))").message("security.client.names takes DNS names in lower case, such as etcd.example.com or *.example.com, and IP addresses"))]
    pub names: Vec<String>,
}

/// Where certificates come from.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityMode {
    /// The operator issues them, and renews them without a restart.
    Auto,
    /// There are none: traffic is plain, and who reaches the port may do everything.
    // Not `Off`: YAML as kubectl reads it takes that for a boolean.
    Plain,
}

/// The cluster's own certificate authorities.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Raise it, and the authorities are changed: others sign from then on, and once every member and every EtcdUser has certificates of
    /// theirs, the former are believed no more. Nobody is shut out on the way. It is 1 when left out; a lower number changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub generation: Option<i64>,
    /// When the members cease to believe former authorities: etcd learns that by a start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire: Option<Retire>,
    /// For how long an authority is valid, such as `87600h` (ten years, which is what it is when left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,5}(h|m|s)$') && duration(self) >= duration('1h')").message("security.ca.duration must be a duration of at least 1h, such as 87600h"))]
    pub duration: Option<String>,
    /// For how long a member's or a user's certificate is valid, such as `2160h` (90 days, which is what it is when left out). It is
    /// renewed after two thirds of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,5}(h|m|s)$') && duration(self) >= duration('10s')").message("security.ca.leafDuration must be a duration of at least 10s, such as 2160h"))]
    pub leaf_duration: Option<String>,
}

/// When members cease to believe authorities that sign no more.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retire {
    /// Each when it is started the next time, whatever for, and before the former authorities end; not before applications have had a third
    /// of the time of their certificates, or a week, to take the new ones into use.
    #[default]
    Later,
    /// As soon as all have new certificates: etcd is started once more in its pod, one member at a time. For a key that is in wrong hands.
    Now,
}

/// How the traffic of one life of a cluster's data began: recorded before anything else exists, since it is part of the URLs that
/// etcd forms its IDs of.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Encrypted {
    /// Whether traffic between members is encrypted.
    #[serde(default)]
    pub peer: bool,
    /// Whether traffic with clients is.
    #[serde(default)]
    pub client: bool,
}

impl Encrypted {
    #[must_use]
    pub fn is_off(&self) -> bool {
        let Self { peer, client } = *self;
        !peer && !client
    }
}
