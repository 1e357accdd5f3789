//! Which members are held (`spec.hold`): their etcd is off and their pod stays, so that a person can look at the volume.
//!
//! ```text
//!   named, and held already                                 ─▶ held on, whatever becomes of the others
//!   named, votes, and the others that serve are a quorum    ─▶ held, in the order in which they are named
//!   every voter is named                                    ─▶ all are: that the service is to stop was said
//!   named otherwise                                         ─▶ goes on, and a person is told why
//!   not named any more                                      ─▶ starts again as the same member
//! ```
//! A held member is not replaced, not rolled and not scaled away, and its EtcdMember says that it is held.

use std::collections::BTreeSet;

use etcd_operator_shared::{names, quorum::quorum};

use crate::cluster::{
    decide::{
        membership::Membership,
        step::{Step, Waiting},
    },
    facts::{Facts, Readiness, Slot},
};

/// What comes of `spec.hold`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// Ordinals.
    pub held: BTreeSet<u32>,
    /// What of it is not done.
    pub objection: Option<String>,
}

impl Hold {
    /// `named`: the names in the spec.
    #[must_use]
    pub fn of(named: &[String], membership: &Membership, facts: &Facts) -> Self {
        let ordinal = |name: &String| names::ordinal(&facts.cluster, name).filter(|k| facts.slots.contains_key(k));
        let known: Vec<u32> = named.iter().filter_map(ordinal).collect();
        let voters = membership.electorate(facts);
        let mut held: BTreeSet<u32> = known.iter().copied().filter(|k| facts.slot(*k).is_held()).collect();
        let all = !voters.is_empty() && voters.iter().all(|voter| known.contains(voter));
        let mut objections = vec![];
        for name in named.iter().filter(|name| ordinal(name).is_none()) {
            objections.push(format!("{name} is no member"));
        }
        for candidate in known {
            let name = names::member(&facts.cluster, candidate);
            if held.contains(&candidate) {
                continue;
            }
            let serving = voters.iter().filter(|k| **k != candidate && !held.contains(k) && serves(**k, facts)).count();
            if !voters.contains(&candidate) {
                objections.push(format!("{name} has no vote yet: it is held once it has"));
            } else if all || serving >= quorum(voters.len()) {
                held.insert(candidate);
            } else {
                objections.push(format!(
                    "{name} goes on, because without it {serving} of {} voters would serve, which is no quorum: to stop the \
                     whole service, name every member",
                    voters.len()
                ));
            }
        }
        let objection = (!objections.is_empty()).then(|| objections.join("; "));
        Self { held, objection }
    }

    /// What comes before any other step: a member that is to be held is not rolled in the same breath.
    #[must_use]
    pub fn begins(&self, facts: &Facts) -> Option<Step> {
        self.held.iter().find(|ordinal| !facts.slot(**ordinal).is_held()).map(|ordinal| waits(*ordinal, facts))
    }

    /// What is waited for where there is nothing else to do: an agent that does not know the word gets another one first.
    #[must_use]
    pub fn pending(&self, facts: &Facts) -> Option<Step> {
        self.held.iter().find(|ordinal| serves(**ordinal, facts)).map(|ordinal| waits(*ordinal, facts))
    }
}

fn waits(ordinal: u32, facts: &Facts) -> Step {
    let name = names::member(&facts.cluster, ordinal);
    Step::Wait(Waiting::new("MemberHeld", format!("{name} hands over and stops: spec.hold names it")))
}

/// The size that is told: no member that is named leaves.
#[must_use]
pub fn size(wanted: u32, named: &[String], facts: &Facts) -> u32 {
    let Some(told) = facts.told() else { return wanted };
    let stays = |name: &String| names::ordinal(&facts.cluster, name).is_some_and(|k| (wanted..told).contains(&k));
    if named.iter().any(stays) { told } else { wanted }
}

/// Why the size is not what is wanted.
#[must_use]
pub fn stays(wanted: u32, told: u32) -> Option<Waiting> {
    let message =
        || format!("the size stays {told}, and falls to {wanted} when spec.hold names nobody who would leave");
    (wanted != told).then(|| Waiting::new("MemberHeld", message()))
}

fn serves(ordinal: u32, facts: &Facts) -> bool {
    matches!(facts.slot(ordinal).readiness(), Readiness::Ready(_))
}

/// Whether the pod of an ordinal, with its agent, stays as it is: somebody may be looking at the volume.
#[must_use]
pub fn is_looked_at(slot: &Slot) -> bool {
    slot.is_held() && !matches!(slot.readiness(), Readiness::Ready(_))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use etcd_operator_shared::api::{EtcdCluster, cluster::EtcdClusterStatus};
    use serde_json::json;

    use super::*;
    use crate::cluster::{
        decide::{Decision, Waited, decide, membership::Desired, tests::begun},
        facts::tests::{healthy, list, set},
    };

    fn facts(size: u32) -> Facts {
        let mut facts = healthy(size);
        let leader = facts.slots.get_mut(&0).unwrap().member.as_mut().unwrap();
        let voters: Vec<u32> = (0..size).collect();
        Arc::make_mut(leader).status.as_mut().unwrap().membership = Some(list(1, &voters));
        facts
    }

    fn is_held(facts: &mut Facts, ordinal: u32) {
        let slot = facts.slots.get_mut(&ordinal).unwrap();
        slot.pod.as_mut().unwrap().ready = false;
        let member = Arc::make_mut(slot.member.as_mut().unwrap());
        Arc::make_mut(&mut member.spec).held = true;
        let said = member.status.as_mut().unwrap();
        (said.ready, said.phase) = (false, Some(etcd_operator_shared::api::member::MemberPhase::Held));
    }

    fn hold(named: &[&str], facts: &Facts) -> (Vec<u32>, String) {
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let membership = Membership::of(&begun(3), true, Some(&Desired::default()), facts);
        let Hold { held, objection } = Hold::of(&named, &membership, facts);
        (held.into_iter().collect(), objection.unwrap_or_default())
    }

    #[test]
    fn as_many_are_held_as_leave_a_quorum_in_the_order_in_which_they_are_named() {
        assert_eq!(hold(&["demo-1"], &facts(3)), (vec![1], String::new()));
        let (held, why) = hold(&["demo-2", "demo-1"], &facts(3));
        assert_eq!(held, [2]);
        assert!(why.contains("demo-1 goes on") && why.contains("1 of 3 voters"), "{why}");
        assert_eq!(hold(&["demo-2", "demo-1"], &facts(5)), (vec![1, 2], String::new()));
    }

    #[test]
    fn who_stops_the_whole_service_names_every_member() {
        assert_eq!(hold(&["demo-0", "demo-1", "demo-2"], &facts(3)), (vec![0, 1, 2], String::new()));
        assert_eq!(hold(&["demo-0"], &facts(1)).0, [0]);
    }

    #[test]
    fn whoever_is_held_stays_so_whatever_becomes_of_the_others_and_whoever_is_named_before() {
        let mut facts = facts(3);
        is_held(&mut facts, 1);
        assert_eq!(hold(&["demo-0", "demo-1"], &facts).0, [1]);
        facts.slots.get_mut(&2).unwrap().pod.as_mut().unwrap().ready = false;
        assert_eq!(hold(&["demo-1"], &facts), (vec![1], String::new()));
        assert_eq!(hold(&[], &facts), (vec![], String::new()), "it is released");
    }

    #[test]
    fn nobody_is_held_where_others_are_down_unless_it_is_down_itself() {
        let mut facts = facts(3);
        facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().ready = false;
        assert_eq!(hold(&["demo-2"], &facts).0, Vec::<u32>::new());
        assert_eq!(hold(&["demo-1"], &facts).0, [1]);
    }

    #[test]
    fn a_name_of_nobody_is_said_and_hinders_no_other() {
        let (held, why) = hold(&["demo-9", "other-1", "demo-1"], &facts(3));
        assert_eq!((held.as_slice(), why.as_str()), ([1].as_slice(), "demo-9 is no member; other-1 is no member"));
    }

    fn decided(spec: &serde_json::Value, facts: &Facts) -> Decision {
        let mut whole = json!({"version": "v3.5.21", "hold": ["demo-1"]});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(whole).unwrap());
        cluster.status = Some(EtcdClusterStatus { incarnation: Some(begun(3)), ..EtcdClusterStatus::default() });
        decide(&cluster, facts, Waited::default())
    }

    fn is_told(decision: &Decision) -> Vec<u32> {
        decision.care.as_ref().unwrap().desired.held.iter().copied().collect()
    }

    #[test]
    fn a_member_is_held_before_anything_rolls_and_then_nothing_rolls_that_serves() {
        let mut facts = Facts { set: Some(set(3, "b")), ..facts(3) };
        let begins = decided(&json!({}), &facts);
        assert_eq!((is_told(&begins), begins.is_final(&facts)), (vec![1], true), "it is decided on live reads");
        assert!(matches!(&begins.step, Step::Wait(waiting) if waiting.reason == "MemberHeld"), "{:?}", begins.step);
        is_held(&mut facts, 1);
        let held = decided(&json!({}), &facts);
        assert!(matches!(&held.step, Step::Wait(waiting) if waiting.reason == "RollWaits"), "{:?}", held.step);
        for ordinal in [0, 2] {
            facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap().shape = "b".into();
        }
        assert_eq!(decided(&json!({}), &facts).step, Step::Nothing, "its own pod stays as it is");
        facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().agent.image = "agent:0".into();
        assert_eq!(decided(&json!({}), &facts).step, Step::Nothing, "its agent too");
    }

    #[test]
    fn a_member_that_is_held_keeps_its_place_while_the_size_falls_and_while_all_rests() {
        let mut facts = facts(3);
        is_held(&mut facts, 1);
        let smaller = decided(&json!({"size": 1}), &facts);
        assert_eq!(smaller.care.as_ref().unwrap().desired.size, 3);
        assert!(matches!(&smaller.step, Step::Wait(waiting) if waiting.message.contains("falls to 1")));
        let rests = decided(&json!({"paused": true}), &facts);
        assert_eq!((is_told(&rests), rests.paused.is_some()), (vec![1], true));
        assert_eq!(is_told(&decided(&json!({"hold": []}), &facts)), Vec::<u32>::new(), "it is released");
    }

    #[test]
    fn what_is_not_held_is_said_on_stalled() {
        let refusal = decided(&json!({"hold": ["demo-1", "demo-9", "demo-2"]}), &facts(3)).refusal.unwrap();
        assert_eq!(refusal.reason(), "HoldRefused");
        assert!(refusal.to_string().starts_with("spec.hold: demo-9 is no member; demo-2 goes on"), "{refusal}");
    }

    #[test]
    fn no_member_that_is_named_is_scaled_away() {
        let named = ["demo-2".to_owned()];
        assert_eq!([size(1, &named, &facts(3)), size(5, &named, &facts(3)), size(1, &[], &facts(3))], [3, 5, 1]);
        assert!(stays(1, 3).is_some() && stays(3, 3).is_none());
    }
}
