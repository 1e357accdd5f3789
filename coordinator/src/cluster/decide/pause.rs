//! A cluster that rests (`spec.paused`): what is decided about it is said, and not done.
//!
//! ```text
//!   its members are told that it rests, the size and the stop that they were told before, and each other's addresses: so
//!   processes and pods that end come back, and agents of before this field change nothing either
//!   everything else that was decided ──▶ one sentence
//! ```
//! Looking is not doing: what must be known before anything is decided is looked for all the same where it costs one read.

use crate::cluster::{
    decide::{
        Care, Decision,
        growth::Growth,
        membership::Desired,
        moving::{Due, Moving},
        space::Room,
        step::{Look, Step, Waiting},
    },
    facts::Facts,
};

/// Reason of all that rests.
const PAUSED: &str = "Paused";

/// A cluster that rests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paused {
    /// What would be done; `None` where that is nothing.
    pub next: Option<String>,
}

/// Puts what was decided to rest.
#[must_use]
pub fn rest(decision: Decision, facts: &Facts) -> Decision {
    if decision.step == Step::Look(Look::Ground) {
        return decision;
    }
    let paused = Paused { next: next(&decision.step) };
    let size = if facts.told_stopped() { 0 } else { facts.told().unwrap_or(decision.size) };
    let step = match paused.next {
        Some(_) => Step::Wait(Waiting::new(PAUSED, paused.sentence())),
        None => Step::Nothing,
    };
    let care = decision.care.map(|care| resting(care, facts));
    Decision { step, size, care, paused: Some(paused), ..decision }
}

/// What is left of all care.
fn resting(care: Care, facts: &Facts) -> Care {
    let desired = Desired {
        size: facts.told().unwrap_or(care.desired.size),
        stopped: facts.told_stopped(),
        paused: true,
        downgrade: None,
        ..care.desired
    };
    Care {
        desired,
        departed: vec![],
        volumes: vec![],
        growth: Growth::None,
        moving: Moving { due: Due::Nothing, ..care.moving },
        room: Room::Enough,
        trials: vec![],
        members: facts.replicas(),
        ..care
    }
}

impl Paused {
    #[must_use]
    pub fn sentence(&self) -> String {
        let rests = "spec.paused is true: all is left as it is";
        match &self.next {
            None => rests.to_owned(),
            Some(next) => format!("{rests}; next would be: {next}"),
        }
    }
}

/// What a step would do.
fn next(step: &Step) -> Option<String> {
    let all = |names: Vec<&str>| names.join(", ");
    Some(match step {
        Step::Begin(incarnation) => format!("incarnation {} begins", incarnation.number),
        Step::MakeMembers => "the first members are made".to_owned(),
        Step::SetReplicas(n) => format!("the number of pods is set to {n}"),
        Step::Look(Look::Places { .. }) => "pods are added".to_owned(),
        Step::Look(Look::Template) | Step::Try(_) => "pods with an old template are replaced".to_owned(),
        Step::Swap(swap) => format!("etcd {} for {}", swap.etcd.version, swap.name),
        Step::Turn(turn) => format!("new options for {}", turn.name),
        Step::Move(renewal) => format!("another volume in place of {}", renewal.volume.name),
        Step::Replace(pods) => format!("{} replaced", all(pods.iter().map(|pod| pod.name.as_str()).collect())),
        Step::Refresh(pods) => format!("new agents for {}", all(pods.iter().map(|pod| pod.name.as_str()).collect())),
        Step::End(_) => "the incarnation is over".to_owned(),
        Step::Wait(waiting) => waiting.message.clone(),
        Step::Look(Look::Ground | Look::Live) | Step::Nothing => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etcd_operator_shared::api::{EtcdCluster, cluster::EtcdClusterStatus};
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::{
        decide::{Waited, decide, tests::begun},
        facts::tests::{healthy, list, set, slot},
    };

    fn cluster(spec: &Value) -> EtcdCluster {
        let mut whole = json!({"version": "v3.5.21", "paused": true});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(whole).unwrap());
        let status = EtcdClusterStatus { incarnation: Some(begun(3)), ..EtcdClusterStatus::default() };
        cluster.status = Some(status);
        cluster
    }

    fn decided(spec: &Value, facts: &Facts) -> Decision {
        decide(&cluster(spec), facts, Waited { address: Duration::ZERO, leader: Duration::from_secs(60) })
    }

    /// Nothing but words, whatever was decided.
    fn rests(decision: &Decision) -> Option<&str> {
        let care = decision.care.as_ref().unwrap();
        assert!(care.departed.is_empty() && care.volumes.is_empty() && care.growth == Growth::None);
        assert!(care.desired.paused && (care.desired.size, care.desired.stopped) == (3, false), "{:?}", care.desired);
        let paused = decision.paused.as_ref().unwrap();
        match &decision.step {
            Step::Wait(waiting) => assert_eq!(waiting.message, paused.sentence()),
            step => assert_eq!((step, &paused.next), (&Step::Nothing, &None)),
        }
        paused.next.as_deref()
    }

    #[test]
    fn a_paused_cluster_says_what_it_would_do_and_does_nothing() {
        assert_eq!(rests(&decided(&json!({}), &healthy(3))), None);
        assert_eq!(rests(&decided(&json!({"size": 5}), &healthy(3))), Some("pods are added"));
        assert_eq!(rests(&decided(&json!({"size": 1}), &healthy(3))), Some("waiting for demo-2 to leave"));
        assert_eq!(rests(&decided(&json!({"size": 0}), &healthy(3))), Some("the number of pods is set to 0"));
        let abandoned = json!({"recovery": {"abandonIncarnation": 1}});
        assert_eq!(rests(&decided(&abandoned, &healthy(3))), Some("the number of pods is set to 0"));
        let old = Facts { set: Some(set(3, "b")), ..healthy(3) };
        assert_eq!(rests(&decided(&json!({}), &old)), Some("pods with an old template are replaced"));
    }

    #[test]
    fn what_a_member_that_has_left_left_stays_while_paused() {
        let mut facts = healthy(3);
        facts.slots.insert(3, slot(3, "a", etcd_operator_shared::api::member::Role::Follower));
        let gone = facts.slots.get_mut(&3).unwrap();
        gone.pod = None;
        let leader = facts.slots.get_mut(&0).unwrap().member.as_mut().unwrap();
        std::sync::Arc::make_mut(leader).status.as_mut().unwrap().membership = Some(list(1, &[0, 1, 2]));
        rests(&decided(&json!({}), &facts));
    }

    #[test]
    fn a_paused_cluster_that_was_never_begun_is_not() {
        let fresh = EtcdCluster::new("demo", cluster(&json!({})).spec);
        let facts = Facts { ground: Some(crate::cluster::facts::ground::Ground::default()), ..Facts::default() };
        let decision = decide(&fresh, &facts, Waited::default());
        assert!(matches!(decision.step, Step::Wait(_)), "{:?}", decision.step);
        assert_eq!(decision.care, None);
    }

    #[test]
    fn a_paused_cluster_that_is_deleted_goes() {
        let mut cluster = cluster(&json!({}));
        cluster.metadata.deletion_timestamp = Some(jiff::Timestamp::UNIX_EPOCH.into());
        assert_eq!(decide(&cluster, &healthy(3), Waited::default()).paused, None);
    }
}
