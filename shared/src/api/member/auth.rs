//! What agents are told of etcd's users, and what they say of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is wanted of etcd's authentication.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ToldAuth {
    /// Whether etcd asks what a client may do.
    pub enabled: bool,
    /// The EtcdUsers and what they may do, as JSON.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 262_144))]
    pub users: String,
}

/// What became of it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AuthStatus {
    /// Digest of what was wanted when etcd was last made so, or was tried to.
    #[schemars(length(max = 16))]
    pub wanted: String,
    /// Whether etcd asks what a client may do.
    pub enabled: bool,
    /// Why etcd is not what is wanted, in a sentence: it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub trouble: Option<String>,
    /// Users that may not do all that they are permitted, until a person acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["user"]))]
    pub ungranted: Vec<Ungranted>,
}

/// A user that may not do all that it is permitted.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Ungranted {
    /// Its name.
    #[schemars(length(max = 64))]
    pub user: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub why: String,
}

impl ToldAuth {
    /// By this a status says what it is about.
    #[must_use]
    pub fn digest(&self) -> String {
        crate::options::digest(&format!("{}{}", self.enabled, self.users))
    }
}
