//! AuthEnabled: whether etcd asks what a client may do. Only a cluster whose spec says something of it has the
//! condition.

use etcd_operator_shared::api::member::AuthStatus;

use super::{
    Input,
    condition::{ConditionUpdate, Status},
};
use crate::cluster::decide::{Care, auth::Wish};

/// The condition's type.
pub const KIND: &str = "AuthEnabled";

/// What the leader's agent says, or said last: a cluster without a leader changes nobody's leave.
pub fn said(input: Input<'_>, before: Option<AuthStatus>) -> Option<AuthStatus> {
    let leader = input.facts.leader().and_then(|(_, member)| member.status.as_ref()?.auth.clone());
    let managed = match input.decision.care.as_ref().map(|care| &care.desired.auth) {
        Some(Wish::Left) => false,
        Some(Wish::Unknown | Wish::Told(_)) | None => true,
    };
    leader.or(before).filter(|_| managed)
}

/// What to say, or `None` where the spec says nothing of it.
pub fn enabled(input: Input<'_>, care: &Care, said: Option<&AuthStatus>) -> Option<ConditionUpdate> {
    let says = |status, reason: &str, message| ConditionUpdate { kind: KIND, status, reason: reason.into(), message };
    let wanted = match &care.desired.auth {
        Wish::Left => return None,
        Wish::Unknown => None,
        Wish::Told(told) => Some(told),
    };
    let done = said.filter(|said| wanted.is_some_and(|wanted| wanted.digest() == said.wanted));
    Some(match done {
        None => says(Status::Unknown, "Pending", "the agent of the member that leads has not seen to it yet".into()),
        Some(AuthStatus { trouble: Some(trouble), .. }) => says(Status::False, "NotApplied", trouble.clone()),
        Some(AuthStatus { enabled: true, ungranted, .. }) => {
            let users = input.facts.users.as_ref().map_or(0, Vec::len);
            let all = format!("etcd asks what a client may do, and knows {users} EtcdUsers");
            let names: Vec<&str> = ungranted.iter().map(|one| one.user.as_str()).collect();
            let but = if names.is_empty() { String::new() } else { format!("; not granted: {}", names.join(", ")) };
            says(Status::True, "Enabled", all + &but)
        }
        Some(AuthStatus { enabled: false, .. }) => {
            says(Status::False, "Disabled", "whoever has a certificate may read and write every key".into())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use etcd_operator_shared::api::{EtcdCluster, cluster::Incarnation, member::Ungranted};
    use serde_json::json;

    use super::*;
    use crate::cluster::{
        decide::{Waited, decide, incarnation},
        facts::{Facts, tests::healthy},
    };

    fn says(auth: Option<bool>, change: &dyn Fn(&mut AuthStatus)) -> Option<(&'static str, String)> {
        let spec = json!({"version": "v3.5.21", "security": {"client": {"mode": "Auto"}, "auth": auth}});
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
        let first = incarnation::first(&cluster, &wanted);
        cluster.status.get_or_insert_default().incarnation = Some(Incarnation { members_created: true, ..first });
        let mut facts = Facts { users: Some(vec![]), ..healthy(3) };
        let decision = decide(&cluster, &facts, Waited::default());
        let care = decision.care.as_ref().unwrap();
        let digest = match &care.desired.auth {
            Wish::Told(told) => told.digest(),
            Wish::Unknown | Wish::Left => String::new(),
        };
        let mut said = AuthStatus { wanted: digest, enabled: auth == Some(true), ..AuthStatus::default() };
        change(&mut said);
        let (leader, _) = facts.leader().unwrap();
        let slot = facts.slots.get_mut(&leader).unwrap();
        Arc::make_mut(slot.member.as_mut().unwrap()).status.as_mut().unwrap().auth = Some(said);
        let input =
            Input { cluster: &cluster, facts: &facts, decision: &decision, denials: &[], lacking: Duration::ZERO };
        let told = super::said(input, None);
        enabled(input, care, told.as_ref()).map(|said| (said.status.as_str(), said.reason + ": " + &said.message))
    }

    #[test]
    fn whether_etcd_asks_is_said_where_the_spec_says_something_of_it() {
        assert_eq!(says(None, &|_| ()), None);
        assert_eq!(says(Some(false), &|_| ()).unwrap().0, "False");
        let (status, sentence) = says(Some(true), &|_| ()).unwrap();
        assert_eq!(
            (status, sentence.as_str()),
            ("True", "Enabled: etcd asks what a client may do, and knows 0 EtcdUsers")
        );
        let ungranted =
            |said: &mut AuthStatus| said.ungranted = vec![Ungranted { user: "app".into(), why: "x".into() }];
        assert!(says(Some(true), &ungranted).unwrap().1.ends_with("; not granted: app"));
        assert_eq!(says(Some(true), &|said| said.wanted = "other".into()).unwrap().0, "Unknown");
        let fails = |said: &mut AuthStatus| said.trouble = Some("demo-1 does not answer".into());
        assert_eq!(says(Some(true), &fails), Some(("False", "NotApplied: demo-1 does not answer".into())));
    }
}
