//! What the leader's agent does so that the cluster can go one minor version down, through etcd's own downgrade.
//!
//! ```text
//!   the coordinator wants it, all members that are wanted are there ─▶ Allow: the cluster's version falls, databases follow
//!   somebody is to join, or it is not wanted any more               ─▶ TakeBack
//! ```
//! While it is allowed etcd lets nobody join, whatever the joiner's version (`allowedVersionRange`, 3.5 to 3.7). A member that is only
//! away needs no leave to come back. Judged is what etcd says, not how it answered: so it may be asked twice, late, or by two.
//! etcd takes the leave back by itself when the last member has come down.

use etcd_operator_shared::version::{Downgrade, Minor};

use super::{steward::Seat, version::Ran};

/// What the leader's agent knows.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What the coordinator says; `None`: etcd's downgrades are left alone.
    pub told: Option<Downgrade>,
    /// ID of the leader, this agent's own member: it has no connection to itself.
    pub own_id: &'a str,
    /// Desired number of members.
    pub size: u32,
    /// The linearizable list.
    pub seats: &'a [Seat],
    pub ran: Ran,
    /// To where the cluster may go down now. 3.5 does not say.
    pub allowed: Option<Minor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Allow(Minor),
    TakeBack,
}

/// The next step, if one is due.
#[must_use]
pub fn next(facts: Facts<'_>) -> Option<Step> {
    let Facts { told, own_id, size, seats, ran, allowed } = facts;
    let there = seats.iter().filter(|seat| !seat.entry.learner && seat.entry.started).count();
    let whole = there == size as usize && there == seats.len();
    let connected = seats.iter().all(|seat| seat.away.is_none() || seat.entry.id == own_id);
    match told? {
        // It may be allowed without saying so.
        Downgrade::To(minor) if !whole => {
            let silent = ran.version.minor == Minor::V3_5 && minor == Minor::V3_5;
            (allowed.is_some() || silent).then_some(Step::TakeBack)
        }
        Downgrade::To(minor) => {
            let due = ran.cluster.and_then(Minor::below) == Some(minor) && ran.cluster == Some(ran.version.minor);
            (due && connected && allowed.is_none()).then_some(Step::Allow(minor))
        }
        Downgrade::None => allowed.map(|_| Step::TakeBack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::list::Entry;

    const DOWN: Option<Downgrade> = Some(Downgrade::To(Minor::V3_6));

    fn seats(n: u32) -> Vec<Seat> {
        let entry = |ordinal: u32| Entry {
            id: format!("id{ordinal}"),
            member: format!("demo-{ordinal}"),
            ordinal: Some(ordinal),
            learner: false,
            started: true,
        };
        let away = |ordinal| (ordinal == 0).then_some(std::time::Duration::from_secs(99));
        (0..n).map(|ordinal| Seat { entry: entry(ordinal), away: away(ordinal), mute: None }).collect()
    }

    fn step(told: Option<Downgrade>, seats: &[Seat], (version, cluster): (&str, Minor), allowed: bool) -> Option<Step> {
        let ran = Ran { version: version.parse().unwrap(), cluster: Some(cluster) };
        let allowed = allowed.then(|| cluster.below()).flatten().or(allowed.then_some(cluster));
        next(Facts { told, own_id: "id0", size: 3, seats, ran, allowed })
    }

    #[test]
    fn it_is_allowed_once_while_all_are_there_and_only_where_the_coordinator_says_so() {
        let risen = ("v3.7.3", Minor::V3_7);
        assert_eq!(step(DOWN, &seats(3), risen, false), Some(Step::Allow(Minor::V3_6)));
        assert_eq!(step(DOWN, &seats(3), risen, true), None);
        assert_eq!(step(DOWN, &seats(3), ("v3.7.3", Minor::V3_6), true), None, "the cluster has fallen");
        assert_eq!(step(DOWN, &seats(3), ("v3.7.3", Minor::V3_6), false), None, "or was never above");
        assert_eq!(step(None, &seats(3), risen, false), None);
        let mut away = seats(3);
        away[1].away = Some(std::time::Duration::ZERO);
        assert_eq!(step(DOWN, &away, risen, false), None);
        assert_eq!(step(DOWN, &away, risen, true), None, "one that is away comes back as it is");
    }

    #[test]
    fn it_is_taken_back_for_whoever_is_to_join_and_when_it_is_not_wanted_any_more() {
        let falls = ("v3.7.3", Minor::V3_6);
        assert_eq!(step(DOWN, &seats(2), falls, true), Some(Step::TakeBack), "a disk was lost, or the size rises");
        let mut learns = seats(3);
        learns[2].entry.learner = true;
        assert_eq!(step(DOWN, &learns, falls, true), Some(Step::TakeBack));
        assert_eq!(step(DOWN, &learns, falls, false), None, "nor is it allowed again before");
        assert_eq!(step(Some(Downgrade::None), &seats(3), falls, true), Some(Step::TakeBack));
        assert_eq!(step(Some(Downgrade::None), &seats(3), falls, false), None);
        assert_eq!(step(None, &seats(2), falls, true), None, "what a person has allowed is left alone");
    }

    #[test]
    fn a_leader_that_cannot_say_whether_it_is_allowed_takes_it_back_all_the_same() {
        let to_3_5 = Some(Downgrade::To(Minor::V3_5));
        assert_eq!(step(to_3_5, &seats(2), ("v3.5.35", Minor::V3_5), false), Some(Step::TakeBack));
        assert_eq!(step(to_3_5, &seats(3), ("v3.5.35", Minor::V3_5), false), None);
    }
}
