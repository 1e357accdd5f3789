//! What an agent says of itself to its siblings, and how it is read: whoever has an old address by now may answer there.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::http::HttpError;

/// What an agent says at `/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    pub cluster_uid: String,
    pub member: String,
    /// The addresses that stand in its hosts file, by member.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
    /// etcd's ID that its volume is for, in hexadecimal; empty if none. An older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    /// Whether its etcd runs, and gives a list of members that is the cluster's (`plan::trust`). An older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouches: Option<bool>,
    /// Bytes that are free on its volume, as it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<u64>,
    /// Whether a backup is being read of its etcd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backs_up: bool,
}

/// Why an address did not say who it is.
#[derive(Debug, Error)]
pub enum NotAnAgent {
    #[error(transparent)]
    Silent(#[from] HttpError),
    /// It answered, and not as an agent does.
    #[error("no agent answers so: {0}")]
    Stranger(String),
}

/// Hexadecimal digits of an etcd ID.
const ID: usize = 16;

impl WhoAmI {
    /// Reads an answer. What is in no agent's answer makes it a stranger's.
    pub fn read(answer: &[u8]) -> Result<Self, NotAnAgent> {
        let said: Self = serde_json::from_slice(answer).map_err(|error| NotAnAgent::Stranger(error.to_string()))?;
        let stranger = |what: &str| Err(NotAnAgent::Stranger(format!("{what:.64} is neither an ID nor an address")));
        let Self { addresses, member_id, .. } = &said;
        if let Some(id) = member_id.as_ref().filter(|id| !is_id(id)) {
            return stranger(id);
        }
        match addresses.values().find(|address| !is_address(address)) {
            Some(other) => stranger(other),
            None => Ok(said),
        }
    }
}

impl WhoAmI {
    /// Whether its word does not stand against a list in which this ID is the only voter. That of an older agent, which cannot give
    /// one, does not: a cluster must grow while its agents are being changed.
    #[must_use]
    pub fn vouches_for(&self, voter: &str) -> bool {
        match (self.vouches, self.member_id.as_deref()) {
            (None, _) => true,
            (Some(vouches), Some(id)) => vouches && id == voter,
            (Some(_), None) => false,
        }
    }
}

/// Whether it is an IP address: the only thing that may stand before a name in the hosts file.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_id(text: &str) -> bool {
    text.len() <= ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_understood_an_older_one_too() {
        let said = WhoAmI::read(br#"{"cluster_uid": "u", "member": "demo-1"}"#).unwrap();
        assert_eq!((said.member.as_str(), &said.member_id, said.vouches), ("demo-1", &None, None));
        assert!(said.vouches_for("a"), "it cannot say");
        let said =
            br#"{"cluster_uid": "u", "member": "m", "addresses": {"m": "fd00::1"}, "member_id": "ab12", "new": 1}"#;
        assert_eq!(WhoAmI::read(said).unwrap().member_id.as_deref(), Some("ab12"));
    }

    #[test]
    fn what_no_agent_says_is_a_strangers() {
        for answer in [
            "",
            "[]",
            "<html>",
            r#"{"cluster_uid": "u", "member": "m", "member_id": "12345678901234567"}"#,
            r#"{"cluster_uid": "u", "member": "m", "member_id": "no"}"#,
            r#"{"cluster_uid": "u", "member": "m", "addresses": {"m": "10.0.0.1 evil\n10.0.0.2"}}"#,
        ] {
            assert!(matches!(WhoAmI::read(answer.as_bytes()), Err(NotAnAgent::Stranger(_))), "{answer}");
        }
    }

    #[test]
    fn an_agent_vouches_only_for_its_own_etcd_and_only_when_it_says_so() {
        let said = |json: &str| WhoAmI::read(json.as_bytes()).unwrap();
        let mine = said(r#"{"cluster_uid": "u", "member": "demo-0", "member_id": "a", "vouches": true}"#);
        assert!(mine.vouches_for("a") && !mine.vouches_for("b"));
        let doubts = said(r#"{"cluster_uid": "u", "member": "demo-0", "member_id": "a", "vouches": false}"#);
        assert!(!doubts.vouches_for("a"));
        let blank = said(r#"{"cluster_uid": "u", "member": "demo-0", "vouches": true}"#);
        assert!(!blank.vouches_for("a"));
    }
}
