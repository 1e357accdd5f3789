//! What is of use in an EtcdMember that cannot be read whole.
//!
//! The spec is the coordinator's own: without the status, which the agent wrote, the member is told what is wanted as
//! ever, and counts as one whose agent is not heard. Of an EtcdCluster no part will do: without its status it would seem
//! never to have begun.

use etcd_operator_shared::{api::EtcdMember, names};
use kube::ResourceExt;

use crate::apiserver::guard::Unreadable;

/// The EtcdMember without its status, with a note of why.
pub fn without_status(unreadable: &Unreadable) -> Option<EtcdMember> {
    let mut whole = unreadable.whole.clone();
    whole.as_object_mut()?.remove("status")?;
    let mut member: EtcdMember = serde_json::from_value(whole).ok()?;
    member.annotations_mut().insert(names::NOTE_UNREADABLE.to_owned(), unreadable.words.clone());
    Some(member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::guard::Guard;
    use serde_json::{Value, json};

    fn salvaged(size: i64, restarts: i64) -> Option<EtcdMember> {
        let whole: Value = json!({
            "metadata": {"name": "demo-1"},
            "spec": {
                "clusterName": "demo", "clusterUid": "u", "incarnation": 1, "token": "t", "initialMembers": [],
                "size": size,
            },
            "status": {"ready": true, "restarts": restarts},
        });
        let read: Guard<EtcdMember> = serde_json::from_value(whole).unwrap();
        without_status(&read.0.unwrap_err())
    }

    #[test]
    fn a_member_whose_status_cannot_be_read_keeps_its_spec_and_a_note() {
        let member = salvaged(3, 3_000_000_000).unwrap();
        assert_eq!((member.spec.size, member.status.is_none()), (3, true));
        assert!(member.annotations()[names::NOTE_UNREADABLE].starts_with("status.restarts: "));
    }

    #[test]
    fn nothing_is_made_of_a_member_whose_spec_cannot_be_read() {
        assert!(salvaged(3_000_000_000, 0).is_none());
    }
}
