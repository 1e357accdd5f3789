//! What a user may do, in a sentence.

use etcd_operator_shared::api::{
    EtcdUserSpec,
    user::{Access, Permission},
};

/// Says it.
#[must_use]
pub fn may(spec: &EtcdUserSpec) -> String {
    let EtcdUserSpec { cluster: _, secret_name: _, reissue: _, permissions, roles, admin } = spec;
    if *admin {
        return "it may do everything, users and members included".to_owned();
    }
    let mut all: Vec<String> = permissions.iter().map(permitted).collect();
    if !roles.is_empty() {
        all.push(format!("do what the roles {} may", roles.join(", ")));
    }
    match all.as_slice() {
        [] => "it may read and write no key".to_owned(),
        all => format!("it may {}", all.join(", ")),
    }
}

fn permitted(Permission { prefix, key, access }: &Permission) -> String {
    let verb = match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::ReadWrite => "read and write",
    };
    match (prefix.as_deref(), key) {
        (Some(""), _) => format!("{verb} every key"),
        (Some(prefix), _) => format!("{verb} what begins with {prefix}"),
        (None, Some(key)) => format!("{verb} {key}"),
        (None, None) => format!("{verb} nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_do_is_one_sentence() {
        let says = |spec: serde_json::Value| {
            let mut all = serde_json::json!({"cluster": "demo"});
            all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            may(&serde_json::from_value(all).unwrap())
        };
        assert_eq!(says(serde_json::json!({})), "it may read and write no key");
        assert_eq!(says(serde_json::json!({"admin": true})), "it may do everything, users and members included");
        let some = serde_json::json!({"permissions": [{"prefix": "/a/"}, {"key": "/b", "access": "Read"}, {"prefix": "", "access": "Write"}],
            "roles": ["readers"]});
        let sentence =
            "it may read and write what begins with /a/, read /b, write every key, do what the roles readers may";
        assert_eq!(says(some), sentence);
    }
}
