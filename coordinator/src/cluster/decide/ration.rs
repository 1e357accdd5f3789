//! How many clusters may roll at a time: a change that is bad for one, such as a new release of the operator, must not meet all of
//! them at once.
//!
//! ```text
//!   a step that touches a member that serves ─▶ needs a turn ─┬─ there is one   ─▶ held until all is well
//!                                                            └─ there is none  ─▶ waited for, with the reason
//!   nothing to do, and everybody serves      ─▶ given back
//! ```

use crate::cluster::{
    decide::{
        Decision,
        step::{Deletion, Look, Refresh, Renewal, Step, Swap, Turn, Update, Waiting, Why},
    },
    facts::{Facts, Pod, Readiness},
};

/// So many rolls in a row that did not come to a good end are no coincidence: no more begin.
pub const TOO_MANY: usize = 3;

/// The rolls of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolls {
    /// As many at a time.
    pub most: usize,
    /// Those under way.
    pub now: usize,
    /// Those of them that did not come to a good end in time, with none that did since.
    pub failed: usize,
}

impl Rolls {
    /// Why no other may begin.
    #[must_use]
    pub fn refusal(self) -> Option<Waiting> {
        let Self { most, now, failed } = self;
        let message = match () {
            () if failed >= TOO_MANY => {
                format!(
                    "no more clusters roll: the last {failed} that did are not well again, and a person must look at them"
                )
            }
            () if most == 0 => "no cluster rolls while the coordinator's --max-rolling is 0".to_owned(),
            () if now >= most => format!("waits for its turn among {now} clusters that roll"),
            () => return None,
        };
        Some(Waiting::new(if failed >= TOO_MANY { "RollsHalted" } else { "WaitsForTurn" }, message))
    }
}

/// What a step needs of the ration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// It touches nobody yet, and is of no use without a turn.
    Room,
    Turn,
}

#[must_use]
pub fn need(step: &Step) -> Need {
    let serves = |why: Why| match why {
        Why::DoesNotServe | Why::Follower | Why::LeaderLast | Why::Moves => true,
        Why::CannotServe | Why::WantedAgain => false,
    };
    let changes = |why: Update| match why {
        Update::Follower | Update::LeaderLast => true,
        Update::NotServing | Update::PutBack(_) => false,
    };
    match step {
        Step::Replace(all) if all.iter().any(|Deletion { why, .. }| serves(*why)) => Need::Turn,
        Step::Swap(Swap { why, .. }) | Step::Turn(Turn { why, .. }) if serves(*why) => Need::Turn,
        Step::Refresh(all) if all.iter().any(|Refresh { why, .. }| changes(*why)) => Need::Turn,
        Step::Move(Renewal { pod, volume: _ }) if pod.is_some() => Need::Turn,
        Step::Look(Look::Template) | Step::Try(_) => Need::Room,
        Step::Look(Look::Ground | Look::Places { .. } | Look::Live)
        | Step::Begin(_)
        | Step::MakeMembers
        | Step::SetReplicas(_)
        | Step::Replace(_)
        | Step::Swap(_)
        | Step::Turn(_)
        | Step::Refresh(_)
        | Step::Move(_)
        | Step::End(_)
        | Step::Wait(_)
        | Step::Nothing => Need::Nothing,
    }
}

/// Whether nothing is to be done, and everybody serves who is wanted.
#[must_use]
pub fn is_well(decision: &Decision, facts: &Facts) -> bool {
    let serves = |ordinal| matches!(facts.slot(ordinal).readiness(), Readiness::Ready(_));
    decision.step == Step::Nothing && (0..decision.size).all(serves)
}

/// Whether a roll has begun and is not at its end: what a coordinator that has just begun takes for one of its own.
#[must_use]
pub fn is_under_way(facts: &Facts) -> bool {
    let Some(set) = &facts.set else { return false };
    let new = facts
        .pods()
        .map(|(_, pod)| pod)
        .filter(|pod| set.newest.as_ref() == Some(&pod.shape) && set.agent.as_ref() == Some(&pod.agent.image));
    let (new, all) = (new.count(), facts.pods().count());
    let tried = facts.slots.values().any(|slot| slot.is_changing() || slot.pod.as_ref().is_some_and(on_trial));
    tried || (0 < new && new < all)
}

fn on_trial(pod: &Pod) -> bool {
    !pod.agent.is_proven()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::{
        Etcd,
        tests::{healthy, set},
    };

    fn reason(most: usize, now: usize, failed: usize) -> Option<(&'static str, String)> {
        Rolls { most, now, failed }.refusal().map(|waiting| (waiting.reason, waiting.message))
    }

    #[test]
    fn as_many_roll_at_a_time_as_were_named() {
        assert_eq!(reason(10, 9, 0), None);
        let (why, words) = reason(10, 10, 0).unwrap();
        assert_eq!((why, words.as_str()), ("WaitsForTurn", "waits for its turn among 10 clusters that roll"));
        assert_eq!(reason(0, 0, 0).unwrap().0, "WaitsForTurn");
    }

    #[test]
    fn none_begins_after_three_in_a_row_that_went_wrong() {
        assert_eq!(reason(10, 3, 2), None);
        assert_eq!(reason(10, 3, 3).unwrap().0, "RollsHalted");
    }

    #[test]
    fn only_a_step_that_touches_one_who_serves_needs_a_turn() {
        let replace = |why| need(&Step::Replace(vec![Deletion { name: String::new(), uid: String::new(), why }]));
        assert_eq!([Why::Follower, Why::LeaderLast, Why::DoesNotServe].map(replace), [Need::Turn; 3]);
        assert_eq!([Why::CannotServe, Why::WantedAgain].map(replace), [Need::Nothing; 2]);
        let swap = |why| {
            let (name, uid, write, container) = Default::default();
            let etcd = Etcd { version: "v3.5.35".parse().unwrap(), image: String::new() };
            need(&Step::Swap(Swap { name, uid, etcd, write, container, why }))
        };
        assert_eq!([Why::Follower, Why::LeaderLast].map(swap), [Need::Turn; 2]);
        let turn = |why| {
            let (name, ordinal, uid, options) = Default::default();
            need(&Step::Turn(Turn { name, ordinal, uid, options, why }))
        };
        assert_eq!([Why::Follower, Why::LeaderLast].map(turn), [Need::Turn; 2]);
        let refresh = |why| {
            let (name, uid, image, write, former, written) = Default::default();
            need(&Step::Refresh(vec![Refresh { name, uid, image, write, former, written, container: None, why }]))
        };
        assert_eq!([Update::Follower, Update::LeaderLast].map(refresh), [Need::Turn; 2]);
        assert_eq!([Update::NotServing, Update::PutBack("")].map(refresh), [Need::Nothing; 2]);
        assert_eq!(need(&Step::Look(Look::Template)), Need::Room);
    }

    #[test]
    fn a_roll_is_under_way_between_its_first_pod_and_its_last() {
        let mut facts = healthy(3);
        assert!(!is_under_way(&facts));
        facts.set = Some(set(3, "b"));
        assert!(!is_under_way(&facts), "it has not begun");
        for (ordinal, under_way) in [(2, true), (1, true), (0, false)] {
            facts.slots.get_mut(&ordinal).unwrap().pod.as_mut().unwrap().shape = "b".into();
            assert_eq!(is_under_way(&facts), under_way);
        }
        facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().agent.image = "agent:0".into();
        assert!(is_under_way(&facts), "with agents it is the same");
    }
}
