//! May a place get a pod? Not while something lies there that the pod would take for its own.
//!
//! ```text
//!   replicas rise to n ──▶ looked at n's places, live? ──no──▶ Look
//!                            │ yes
//!                            └─▶ up to the first place that is taken
//! ```
//! A claim that somebody else has made would be mounted, and its files given to another group; the volume of a member
//! that is being cleared away would be deleted under its successor.

use etcd_operator_shared::{api::cluster::Incarnation, names};

use crate::cluster::{
    decide::{
        incarnation::founders,
        step::{Look, Step, Waiting},
    },
    facts::{Facts, places::Taken},
};

/// The step to `n` replicas, as far as the places are free.
#[must_use]
pub fn raise(n: u32, incarnation: &Incarnation, facts: &Facts) -> Step {
    let now = facts.replicas();
    if n <= now {
        return Step::SetReplicas(n);
    }
    // Where a cluster is founded, the ground shows the claims of all founders.
    let founds = facts.set.is_none() && facts.ground.is_some() && n <= founders(incarnation);
    if !founds && !facts.places.as_ref().is_some_and(|places| places.cover(now..n)) {
        return Step::Look(Look::Places { from: now, to: n });
    }
    match (now..n).find_map(|ordinal| Some((ordinal, taken(ordinal, facts)?))) {
        None => Step::SetReplicas(n),
        Some((first, _)) if first > now => Step::SetReplicas(first),
        Some((_, taken)) => Step::Wait(waits(&taken)),
    }
}

/// What lies at a place that was looked at, or is known to be cleared away.
#[must_use]
pub fn taken(ordinal: u32, facts: &Facts) -> Option<Taken> {
    let seen = facts.places.as_ref().and_then(|places| places.taken.get(&ordinal).cloned());
    let retiring = facts.slot(ordinal).member.is_some_and(|member| member.spec.retiring);
    seen.or_else(|| retiring.then(|| Taken::Retiring(names::member(&facts.cluster, ordinal))))
}

/// The claim of somebody else that keeps replicas from rising.
#[must_use]
pub fn foreign(facts: &Facts) -> Option<&str> {
    let places = facts.places.as_ref()?;
    places.taken.values().find_map(|taken| match taken {
        Taken::Foreign(claim) => Some(claim.as_str()),
        Taken::Leaving(_) | Taken::Retiring(_) => None,
    })
}

/// What is waited for at a place that is taken.
#[must_use]
pub fn waits(taken: &Taken) -> Waiting {
    match taken {
        Taken::Foreign(claim) => {
            Waiting::new("VolumeForeign", format!("PersistentVolumeClaim {claim} is not this cluster's"))
        }
        Taken::Leaving(claim) => {
            Waiting::new("VolumeLeaving", format!("PersistentVolumeClaim {claim} is being deleted"))
        }
        Taken::Retiring(member) => Waiting::new("MemberLeaving", format!("the former {member} is being cleared away")),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::cluster::decide::tests::begun;
    use crate::cluster::facts::{
        Slot,
        ground::Ground,
        places::Places,
        tests::{healthy, member},
    };

    fn incarnation() -> Incarnation {
        begun(3)
    }

    fn seen(taken: &[(u32, Taken)]) -> Facts {
        let places = Places { from: 3, to: 7, taken: taken.iter().cloned().collect::<BTreeMap<_, _>>() };
        Facts { places: Some(places), ..healthy(3) }
    }

    fn foreign_claim(ordinal: u32) -> (u32, Taken) {
        (ordinal, Taken::Foreign(format!("data-demo-{ordinal}")))
    }

    #[test]
    fn no_place_gets_a_pod_that_was_not_looked_at_live() {
        let raise = |n, facts: &Facts| raise(n, &incarnation(), facts);
        assert_eq!(raise(5, &healthy(3)), Step::Look(Look::Places { from: 3, to: 5 }));
        assert_eq!(raise(5, &seen(&[])), Step::SetReplicas(5));
        assert_eq!(raise(9, &seen(&[])), Step::Look(Look::Places { from: 3, to: 9 }), "further than was looked");
        assert_eq!(raise(1, &healthy(3)), Step::SetReplicas(1), "fewer need no place");
    }

    #[test]
    fn founders_places_were_looked_at_with_the_ground() {
        let facts = Facts { ground: Some(Ground::default()), ..Facts::default() };
        assert_eq!(raise(3, &incarnation(), &facts), Step::SetReplicas(3));
        assert!(matches!(raise(5, &incarnation(), &facts), Step::Look(_)), "no founder");
        let wakes = Facts { set: Some(crate::cluster::facts::tests::set(0, "a")), ..facts };
        assert!(matches!(raise(3, &incarnation(), &wakes), Step::Look(_)), "years may have passed");
    }

    #[test]
    fn replicas_rise_up_to_the_claim_of_somebody_else_and_no_further() {
        let facts = seen(&[foreign_claim(4)]);
        assert_eq!(raise(5, &incarnation(), &facts), Step::SetReplicas(4));
        assert_eq!(foreign(&facts), Some("data-demo-4"));
        assert!(matches!(raise(5, &incarnation(), &seen(&[foreign_claim(3)])), Step::Wait(_)));
    }

    #[test]
    fn a_place_that_is_cleared_away_gets_no_pod_and_asks_nothing_of_a_person() {
        let mut retiring = member(3, None);
        Arc::make_mut(&mut retiring.spec).retiring = true;
        let mut facts = seen(&[]);
        facts.slots.insert(3, Slot { member: Some(Arc::new(retiring)), pod: None });
        assert!(matches!(raise(5, &incarnation(), &facts), Step::Wait(_)));
        assert_eq!(foreign(&facts), None);
        let live = seen(&[(3, Taken::Leaving("data-demo-3".into()))]);
        assert!(matches!(raise(5, &incarnation(), &live), Step::Wait(_)));
    }
}
