//! EtcdUser: an application's way into an EtcdCluster whose traffic with clients is encrypted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is let into a cluster: its certificate has this object's name. What it may do with keys is asked where the cluster's
/// `spec.security.auth` is true; else every user may read and write every key.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[kube(
    group = "etcd.etcd.io",
    version = "v1alpha1",
    kind = "EtcdUser",
    plural = "etcdusers",
    shortname = "etcdu",
    category = "etcd",
    namespaced,
    status = "EtcdUserStatus",
    derive = "PartialEq",
    doc = "A user of an EtcdCluster of the same namespace: yields a Secret of type etcd.etcd.io/client with ca.crt, tls.crt, tls.key and endpoints, and renews it. Where spec.security.auth of the cluster is true, it may do what it is permitted; else it may read and write every key.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "EtcdCluster that it is let into"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secret", description = "Secret that holds its certificate"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the Secret holds a certificate that is valid"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is or is not Ready"),
    printcolumn(name = "Access", type_ = "string", json_path = ".status.conditions[?(@.type==\"Granted\")].reason", description = "Whether it may do what it is permitted, and nothing else"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.notAfter", description = "When the certificate ends", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name != 'root'").message("metadata.name root is etcd's own: give the user another name"),
    validation = Rule::new("size(self.metadata.name) <= 64").message("metadata.name must have at most 64 characters, because it is the name in a certificate")
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdUserSpec {
    /// Name of the EtcdCluster, in the same namespace.
    #[schemars(length(min = 1, max = 52))]
    pub cluster: String,
    /// Name of the Secret that is made. Left out, it is the name of this object. One that somebody else has made is never touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message("secretName must be the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub secret_name: Option<String>,
    /// Raise it to have another certificate at once. Those before it are revoked when the new one is in the Secret: members refuse them.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub reissue: i64,
    /// The keys that it may read or write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub permissions: Vec<Permission>,
    /// Roles of etcd's that people have made there, which it has as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(r, r != 'root' && !r.startsWith('etcd.etcd.io:'))").message("roles are those that people have made in etcd: root is given by admin, and etcd.etcd.io:… are those of other users"))]
    pub roles: Vec<String>,
    /// Whether it may do everything, users and members included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
}

/// Leave to read or write keys.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.prefix) != has(self.key)").message("a permission is for either a prefix or a key"))]
pub struct Permission {
    /// All keys that begin so, such as `/app/`; empty, all keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// One key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub key: Option<String>,
    /// What it may do with them (ReadWrite, when left out).
    #[serde(default)]
    pub access: Access,
}

/// What may be done with keys.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
    #[default]
    ReadWrite,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A certificate that was issued and has not ended. It is written down before it is issued: none is ever out that cannot be revoked.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCertificate {
    /// Its serial number, in hexadecimal.
    #[schemars(length(max = 40))]
    pub serial: String,
    /// UID with which the data began whose authority has signed it.
    #[schemars(length(max = 64))]
    pub authority: String,
    /// It ends no later than this, in RFC 3339.
    #[schemars(length(max = 64))]
    pub not_after: String,
    /// `reissue` when it was issued.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reissue: i64,
}

/// What became of it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EtcdUserStatus {
    /// Number of the cluster's authorities that have signed what the Secret holds; 1 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<i64>,
    /// Generation of the object that this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: the Secret holds a certificate that is valid. Granted: it may do what it is permitted, and nothing else. Stalled: a
    /// person must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Name of the Secret that was written last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret: Option<String>,
    /// When the certificate in it ends, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub not_after: Option<String>,
    /// When it is renewed, in RFC 3339: after two thirds of its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub renew_after: Option<String>,
    /// Fingerprint of the cluster's data and the Secret that it was issued for: for others it is issued anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub issued_for: Option<String>,
    /// Serial number of the certificate in the Secret, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub serial: Option<String>,
    /// The certificates that may be out: revoked when this object is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["serial"]))]
    pub certificates: Vec<IssuedCertificate>,
}

impl EtcdUser {
    /// Name of the Secret that is wanted.
    #[must_use]
    pub fn secret(&self) -> &str {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        self.spec.secret_name.as_deref().unwrap_or(name)
    }
}
