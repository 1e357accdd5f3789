//! Users of etcd as agents are told them, and how they are called there.
//!
//! ```text
//!   EtcdUser app ──▶ user app ── has ──▶ role etcd.etcd.io:app ── may ──▶ its keys
//!                                  └───▶ roles that people have made; root, if it is an admin
//! ```
//! The role marks the user as ours: a user without it was made by somebody else.

use serde::{Deserialize, Serialize};

use crate::api::user::{Access, EtcdUserSpec, Permission};

/// What the names of our roles begin with: no other roles are touched.
pub const PREFIX: &str = "etcd.etcd.io:";
/// The longest text of all users of a cluster that agents are told.
pub const LONGEST: usize = 262_144;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
}

/// Keys: one, or those from one on and before another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub key: Vec<u8>,
    /// Empty: the one key. A single zero: all that follow.
    pub end: Vec<u8>,
}

impl User {
    #[must_use]
    pub fn of(name: &str, spec: &EtcdUserSpec) -> Self {
        let EtcdUserSpec { cluster: _, secret_name: _, reissue: _, permissions, roles, admin } = spec.clone();
        Self { name: name.to_owned(), permissions, roles, admin }
    }
}

/// The role of a user's own.
#[must_use]
pub fn role(user: &str) -> String {
    format!("{PREFIX}{user}")
}

/// Users as agents are told them: the same whatever order they come in.
#[must_use]
pub fn text(mut users: Vec<User>) -> String {
    users.sort_by(|a, b| a.name.cmp(&b.name));
    serde_json::to_string(&users).unwrap_or_default()
}

/// The users of such a text.
///
/// # Errors
/// When it is none.
pub fn users(text: &str) -> Result<Vec<User>, serde_json::Error> {
    serde_json::from_str(text)
}

impl Range {
    /// The keys that a permission is for; `None` where it names none.
    #[must_use]
    pub fn of(permission: &Permission) -> Option<Self> {
        match permission {
            Permission { key: Some(key), prefix: None, access: _ } => {
                Some(Self { key: key.clone().into_bytes(), end: vec![] })
            }
            Permission { key: None, prefix: Some(prefix), access: _ } => Some(Self::beginning_with(prefix.as_bytes())),
            Permission { .. } => None,
        }
    }

    /// All keys that begin so; without a beginning, all.
    fn beginning_with(prefix: &[u8]) -> Self {
        let rises = |byte: &u8| *byte < u8::MAX;
        let end = prefix.iter().rposition(rises).map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        });
        let key = if prefix.is_empty() { vec![0] } else { prefix.to_vec() };
        Self { key, end: end.unwrap_or_else(|| vec![0]) }
    }
}

impl Access {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::ReadWrite }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(permission: &serde_json::Value) -> Option<(Vec<u8>, Vec<u8>)> {
        let permission: Permission = serde_json::from_value(permission.clone()).unwrap();
        Range::of(&permission).map(|range| (range.key, range.end))
    }

    #[test]
    fn a_prefix_ends_before_the_first_key_that_does_not_begin_so() {
        let of = |permission| range(&permission);
        let json = |text: &str| serde_json::from_str(text).unwrap();
        assert_eq!(of(json(r#"{"prefix": "/a/"}"#)), Some((b"/a/".to_vec(), b"/a0".to_vec())));
        assert_eq!(of(json(r#"{"prefix": ""}"#)), Some((vec![0], vec![0])), "all keys");
        assert_eq!(of(json(r#"{"key": "/a"}"#)), Some((b"/a".to_vec(), vec![])));
        assert_eq!(of(json("{}")), None);
        assert_eq!(Range::beginning_with(&[7, 255]).end, [8]);
        assert_eq!(Range::beginning_with(&[255]).end, [0]);
    }

    #[test]
    fn users_are_told_in_one_order_and_understood_again() {
        let user = |name: &str, admin| User { name: name.into(), permissions: vec![], roles: vec![], admin };
        let told = text(vec![user("b", true), user("a", false)]);
        assert_eq!(told, r#"[{"name":"a"},{"name":"b","admin":true}]"#);
        assert_eq!(users(&told).unwrap(), [user("a", false), user("b", true)]);
    }
}
