//! What to do next, decided from facts alone.
//!
//! Only the desired size and the pod template cause anything here. A pod that went away, a silent agent, an old status: none
//! of them does. What cannot be undone by waiting is decided twice, on the cache and again on live reads.

use etcd_operator_shared::{api::cluster::Incarnation, validate::Wanted};

use crate::{
    facts::Facts,
    refusal::Refusal,
    replace::{self, Victim},
};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The StatefulSet gets this many replicas.
    SetReplicas(u32),
    /// These pods are deleted, so that their successors come up with the newest template.
    Replace(Vec<Victim>),
    /// Something is under way; the sentence says what.
    Wait(String),
    /// Everything is as it should be.
    Nothing,
}

/// Number of members that the cluster has. Changing it comes with scaling; until then the founders are the members.
#[must_use]
pub fn members(life: &Incarnation) -> u32 {
    u32::try_from(life.initial_members.len()).unwrap_or(u32::MAX)
}

/// The next step of a cluster that was founded.
#[must_use]
pub fn decide(wanted: &Wanted, life: &Incarnation, facts: &Facts) -> Step {
    let replicas = if wanted.size == 0 { 0 } else { members(life) };
    match &facts.set {
        Some(set) if set.replicas == replicas => replace::next(set, facts),
        Some(_) | None => Step::SetReplicas(replicas),
    }
}

/// What of the spec is not done although the rest is.
#[must_use]
pub fn objection(wanted: &Wanted, life: &Incarnation, facts: &Facts, storage: &str) -> Option<Refusal> {
    let have = members(life);
    if wanted.size != 0 && wanted.size != have {
        return Some(Refusal::ScalingUnsupported { have, want: wanted.size });
    }
    let made = &facts.set.as_ref()?.storage.size;
    let grown = etcd_operator_shared::quantity::bytes(made).is_ok_and(|bytes| bytes != wanted.storage);
    grown.then(|| Refusal::GrowthUnsupported { have: made.clone(), want: storage.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::healthy;
    use etcd_operator_shared::{api::EtcdCluster, validate};

    fn wanted(size: u32) -> Wanted {
        let spec = serde_json::from_value(serde_json::json!({"version": "v3.5.21", "size": size})).unwrap();
        validate::cluster(&EtcdCluster::new("demo", spec)).unwrap()
    }

    fn life(size: u32) -> Incarnation {
        let initial_members = crate::founding::initial_members("demo", size);
        Incarnation { number: 1, token: "t".into(), initial_members, members_created: true, ended: None }
    }

    #[test]
    fn a_founded_cluster_gets_as_many_pods_as_founders() {
        assert_eq!(decide(&wanted(3), &life(3), &Facts::default()), Step::SetReplicas(3));
    }

    #[test]
    fn size_zero_stops_and_any_other_size_wakes_all_members() {
        let mut facts = healthy(3);
        assert_eq!(decide(&wanted(0), &life(3), &facts), Step::SetReplicas(0));
        facts.set.as_mut().unwrap().replicas = 0;
        assert_eq!(decide(&wanted(0), &life(3), &facts), Step::Nothing);
        assert_eq!(decide(&wanted(5), &life(3), &facts), Step::SetReplicas(3));
    }

    #[test]
    fn a_changed_size_leaves_the_members_alone_and_says_so() {
        assert_eq!(decide(&wanted(5), &life(3), &healthy(3)), Step::Nothing);
        assert_eq!(
            objection(&wanted(5), &life(3), &healthy(3), "8Gi"),
            Some(Refusal::ScalingUnsupported { have: 3, want: 5 })
        );
        assert_eq!(objection(&wanted(3), &life(3), &healthy(3), "8Gi"), None);
    }

    #[test]
    fn replicas_changed_by_hand_are_put_back() {
        let mut facts = healthy(3);
        facts.set.as_mut().unwrap().replicas = 5;
        assert_eq!(decide(&wanted(3), &life(3), &facts), Step::SetReplicas(3));
    }

    #[test]
    fn missing_pods_and_silent_members_change_nothing() {
        let mut facts = healthy(3);
        facts.seats.get_mut(&1).unwrap().pod = None;
        facts.seats.get_mut(&2).unwrap().member = None;
        assert_eq!(decide(&wanted(3), &life(3), &facts), Step::Nothing);
    }
}
