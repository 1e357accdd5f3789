//! The rules of an EtcdUser, repeated for servers without CEL.

use thiserror::Error;

use crate::{
    api::EtcdUserSpec,
    auth::{PREFIX, Range, User},
    certificates::ROOT,
};

/// Longer names fit no certificate.
pub const LONGEST_NAME: usize = 64;

/// The first broken rule, as a sentence.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum UserError {
    #[error("root is etcd's own name for who may do everything: give the user another name")]
    Root,
    #[error("metadata.name has more than {LONGEST_NAME} characters, and a certificate takes no more")]
    LongName,
    #[error("spec.permissions: each is for either a prefix or a key")]
    Permission,
    #[error(
        "spec.roles takes roles that people have made in etcd, not {0}: root is given by spec.admin, and {PREFIX}… are those of other users"
    )]
    Role(String),
}

/// What a user may do, as etcd is told it.
///
/// # Errors
/// With the first rule that it breaks.
pub fn user(name: &str, spec: &EtcdUserSpec) -> Result<User, UserError> {
    let user = User::of(name, spec);
    if name == ROOT {
        return Err(UserError::Root);
    }
    if name.len() > LONGEST_NAME {
        return Err(UserError::LongName);
    }
    if user.permissions.iter().any(|one| Range::of(one).is_none()) {
        return Err(UserError::Permission);
    }
    match user.roles.iter().find(|role| *role == ROOT || role.is_empty() || role.starts_with(PREFIX)) {
        Some(role) => Err(UserError::Role(role.clone())),
        None => Ok(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::user::Permission;

    #[test]
    fn each_mistake_is_named() {
        let of = |name: &str, change: &dyn Fn(&mut EtcdUserSpec)| {
            let mut spec = EtcdUserSpec { cluster: "demo".into(), ..EtcdUserSpec::default() };
            change(&mut spec);
            user(name, &spec).err()
        };
        assert_eq!(of("app", &|_| ()), None);
        assert_eq!(of("root", &|_| ()), Some(UserError::Root));
        assert_eq!(of(&"a".repeat(65), &|_| ()), Some(UserError::LongName));
        assert_eq!(of("app", &|spec| spec.permissions.push(Permission::default())), Some(UserError::Permission));
        for role in ["root", "etcd.etcd.io:web", ""] {
            assert_eq!(of("app", &|spec| spec.roles.push(role.into())), Some(UserError::Role(role.into())));
        }
    }
}
