//! What members are told of etcd's users, and whether etcd is to ask what a client may do.
//!
//! ```text
//!   spec.security.auth left out, or traffic with clients is plain ──▶ Left: nothing is told, and what was is taken back
//!   false                                                         ──▶ Told: etcd asks nobody
//!   true, and the EtcdUsers are not known yet                     ──▶ Unknown: what was told stands
//!   true                                                          ──▶ Told: all of them that are not on their way out
//! ```

use etcd_operator_shared::{
    api::{cluster::Incarnation, member::ToldAuth},
    auth,
    validate::Encryption,
};

use crate::cluster::facts::Facts;

/// What members are to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing new.
    #[default]
    Unknown,
    Left,
    Told(ToldAuth),
}

/// Decides it.
#[must_use]
pub fn wish(encryption: &Encryption, incarnation: &Incarnation, facts: &Facts) -> Wish {
    match (encryption.auth.filter(|_| incarnation.encrypted.client), &facts.users) {
        (None, _) => Wish::Left,
        (Some(false), _) => Wish::Told(ToldAuth::default()),
        (Some(true), None) => Wish::Unknown,
        (Some(true), Some(users)) => match auth::text(users.clone()) {
            users if users.len() > auth::LONGEST => Wish::Unknown,
            users => Wish::Told(ToldAuth { enabled: true, users }),
        },
    }
}

/// Whether there are more users than members are told.
#[must_use]
pub fn is_crowded(encryption: &Encryption, facts: &Facts) -> bool {
    let users = facts.users.as_ref().filter(|_| encryption.auth == Some(true));
    users.is_some_and(|users| auth::text(users.clone()).len() > auth::LONGEST)
}

#[cfg(test)]
mod tests {
    use etcd_operator_shared::{
        api::{EtcdCluster, EtcdUserSpec, cluster::Encrypted},
        validate,
    };
    use serde_json::json;

    use super::*;
    use crate::cluster::{decide::incarnation, facts::tests::healthy};

    fn told(auth: Option<bool>, client: bool, users: Option<usize>) -> (Wish, bool) {
        let spec = json!({"version": "v3.5.21", "security": {"client": {"mode": "Auto"}, "auth": auth}});
        let cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = validate::cluster(&cluster).unwrap();
        let began =
            Incarnation { encrypted: Encrypted { peer: true, client }, ..incarnation::first(&cluster, &wanted) };
        let user = |number: usize| auth::User::of(&format!("{number:064}"), &EtcdUserSpec::default());
        let facts = Facts { users: users.map(|count| (0..count).map(user).collect()), ..healthy(3) };
        (wish(&wanted.encryption, &began, &facts), is_crowded(&wanted.encryption, &facts))
    }

    #[test]
    fn members_are_told_who_may_do_what_where_that_is_asked_for() {
        assert_eq!(told(None, true, Some(1)), (Wish::Left, false));
        assert_eq!(told(Some(true), false, Some(1)), (Wish::Left, false), "nobody has a certificate");
        assert_eq!(told(Some(false), true, Some(1)), (Wish::Told(ToldAuth::default()), false));
        assert_eq!(told(Some(true), true, None), (Wish::Unknown, false), "users that are not listed yet are not gone");
        let (Wish::Told(ToldAuth { enabled: true, users }), false) = told(Some(true), true, Some(1)) else {
            panic!("nothing is told")
        };
        assert_eq!(users, format!("[{{\"name\":\"{:064}\"}}]", 0));
        assert_eq!(told(Some(true), true, Some(4000)), (Wish::Unknown, true));
    }
}
