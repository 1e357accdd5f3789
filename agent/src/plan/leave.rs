//! How a member whose etcd runs leaves the cluster.
//!
//! ```text
//!   MoveLeader ─▶ Remove (by ID, through a member that stays) ─▶ the list of one that stays lacks me ─▶ Halt
//!                                                                (then `start` retires the mark: Left)
//! ```
//! etcd must run until a remaining member's linearizable list lacks it: of two members the other one needs its vote to let it
//! go. Dead ones first, then the highest ordinal; etcd's own refusal keeps the quorum.

use super::{
    list::{Cluster, Entry, with_id},
    start::Identity,
};

/// What leaving depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub me: &'a Identity,
    /// etcd's ID of this member.
    pub own_id: &'a str,
    /// Desired number of members; this one's ordinal is not below it.
    pub size: u32,
    /// Whether this member leads, as its own etcd says.
    pub leads: bool,
    /// What the other members say.
    pub cluster: &'a Cluster,
    /// IDs of members that this one's etcd has no connection to.
    pub away: &'a [String],
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Leave {
    /// The others have not answered.
    Silent,
    /// This member goes first.
    After(String),
    /// Hand leadership to this ID.
    MoveLeader { to: String },
    /// Remove this member, through another one.
    Remove { id: String },
    /// It is out: stop etcd.
    Halt,
}

/// Decides the next step of a member that is to leave.
#[must_use]
pub fn leave(facts: Facts<'_>) -> Leave {
    let Facts { me, own_id, leads, cluster, away, .. } = facts;
    let list = match cluster {
        Cluster::Awaited | Cluster::Silent(_) => return Leave::Silent,
        Cluster::Answers(list) => list,
    };
    let Some(own) = with_id(list, own_id) else { return Leave::Halt };
    if own.learner {
        return Leave::Remove { id: own.id.clone() };
    }
    let others = || list.iter().filter(|entry| entry.id != own_id);
    let is_away = |entry: &&Entry| away.contains(&entry.id);
    let surplus = || others().filter(|entry| entry.is_surplus(facts.size));
    let higher = |entry: &&Entry| entry.ordinal > Some(me.ordinal);
    if let Some(first) = surplus().find(is_away).or_else(|| surplus().find(higher)) {
        return Leave::After(first.member.clone());
    }
    if leads {
        let stays = |entry: &&Entry| entry.ordinal.is_some_and(|ordinal| ordinal < facts.size);
        let heirs = || others().filter(|entry| !entry.learner && !is_away(entry));
        if let Some(heir) = heirs().find(stays).or_else(|| heirs().next()) {
            return Leave::MoveLeader { to: heir.id.clone() };
        }
    }
    Leave::Remove { id: own.id.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(ordinal: u32) -> Identity {
        Identity {
            cluster_uid: "u".into(),
            incarnation: 1,
            member: format!("demo-{ordinal}"),
            ordinal,
            pod_uid: "p".into(),
        }
    }

    fn list(ordinals: &[u32]) -> Cluster {
        let entry = |o: &u32| Entry {
            id: format!("id{o}"),
            member: format!("demo-{o}"),
            ordinal: Some(*o),
            learner: false,
            started: true,
        };
        Cluster::Answers(ordinals.iter().map(entry).collect())
    }

    fn step(own: u32, size: u32, leads: bool, cluster: &Cluster, away: &[&str]) -> Leave {
        let away: Vec<String> = away.iter().map(|id| (*id).into()).collect();
        let own_id = format!("id{own}");
        leave(Facts { me: &me(own), own_id: &own_id, size, leads, cluster, away: &away })
    }

    #[test]
    fn the_highest_goes_first() {
        assert_eq!(step(1, 1, false, &list(&[0, 1, 2]), &[]), Leave::After("demo-2".into()));
        assert_eq!(step(2, 1, false, &list(&[0, 1, 2]), &[]), Leave::Remove { id: "id2".into() });
    }

    #[test]
    fn the_dead_go_before_the_highest() {
        assert_eq!(step(4, 3, false, &list(&[0, 1, 2, 3, 4]), &["id3"]), Leave::After("demo-3".into()));
    }

    #[test]
    fn leadership_goes_to_one_that_stays_and_is_there() {
        assert_eq!(step(2, 1, true, &list(&[0, 1, 2]), &[]), Leave::MoveLeader { to: "id0".into() });
        assert_eq!(step(4, 3, true, &list(&[0, 1, 2, 4]), &["id0"]), Leave::MoveLeader { to: "id1".into() });
    }

    #[test]
    fn silence_stops_nothing_and_absence_stops_etcd() {
        let silent = Cluster::Silent("no answer".into());
        assert_eq!(step(2, 1, false, &silent, &[]), Leave::Silent);
        assert_eq!(step(2, 1, true, &list(&[0, 1]), &[]), Leave::Halt);
    }
}
