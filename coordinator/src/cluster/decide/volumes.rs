//! What becomes of the volume of a member: the one place that decides whether a PersistentVolumeClaim is deleted.
//!
//! ```text
//!   the member has left, its pod is gone, no list names it ──▶ whenScaled:  Delete, or Retain
//!   the incarnation was ended by a stop                    ──▶ whenStopped: Delete (with Retain a stop ends nothing)
//!   the member moves, and all others hold what it holds    ──▶ Delete: one of its name is made in its place ([`super::moving`])
//!   the EtcdCluster is deleted                             ──▶ whenDeleted: Delete is an owner reference on each claim
//!   its data was given up, or anything else                ──▶ kept
//! ```
//! A claim counts as the cluster's by its label with the cluster's UID. Each deletion names the claim's own UID, and is
//! decided on live reads.

use etcd_operator_shared::{api::cluster::Keep, names};

use crate::cluster::facts::{Claim, Facts};

/// What becomes of the volume that a member leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// There is none, or it is going already.
    Gone,
    /// The user keeps it: its name.
    Kept(String),
    Deleted(Change),
}

/// What is to be done about one claim; by UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    pub uid: String,
    pub kind: Kind,
}

/// What exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Deleted, because this member has left.
    DeleteLeft(String),
    /// Deleted, because the cluster was stopped.
    DeleteStopped,
    /// Deleted, because this member moves to another volume.
    DeleteMoved(String),
    /// It goes with the EtcdCluster from now on, and says of which incarnation it is.
    Own { note: String },
    /// It outlives the EtcdCluster from now on, and says of which incarnation it is.
    Disown { note: String },
}

impl Change {
    fn of(claim: &Claim, kind: Kind) -> Self {
        Self { name: claim.name.clone(), uid: claim.uid.clone(), kind }
    }

    /// Whether data is lost by it.
    #[must_use]
    pub fn deletes(&self) -> bool {
        match self.kind {
            Kind::DeleteLeft(_) | Kind::DeleteStopped | Kind::DeleteMoved(_) => true,
            Kind::Own { .. } | Kind::Disown { .. } => false,
        }
    }
}

/// The volume of a member that has left. The caller has proof that it has.
#[must_use]
pub fn left_behind(when_scaled: Keep, ordinal: u32, facts: &Facts) -> Fate {
    let member = names::member(&facts.cluster, ordinal);
    match (when_scaled, facts.claims.get(&ordinal)) {
        (Keep::Retain, _) => Fate::Kept(names::volume_claim(&member)),
        (Keep::Delete, Some(claim)) if !claim.deleting => Fate::Deleted(Change::of(claim, Kind::DeleteLeft(member))),
        (Keep::Delete, Some(_) | None) => Fate::Gone,
    }
}

/// The volume that a member moves from. The caller has proof that the others hold all that it holds, or that there is nothing on it.
#[must_use]
pub fn moved(ordinal: u32, claim: &Claim, facts: &Facts) -> Change {
    Change::of(claim, Kind::DeleteMoved(names::member(&facts.cluster, ordinal)))
}

/// The volumes of an incarnation that a stop has ended.
#[must_use]
pub fn stopped(facts: &Facts) -> Vec<Change> {
    let there = facts.claims.values().filter(|claim| !claim.deleting);
    there.map(|claim| Change::of(claim, Kind::DeleteStopped)).collect()
}

/// Whether the volumes go with the EtcdCluster, and what is noted on them: of which incarnation they are. A write between those of scheduler and provisioner would throw them
/// back by seconds, so a claim that they are at work on is left alone.
#[must_use]
pub fn ownership(when_deleted: Keep, note: String, facts: &Facts) -> Vec<Change> {
    let stands = |claim: &&Claim| claim.owned == (when_deleted == Keep::Delete) && claim.note.as_ref() == Some(&note);
    let others = facts.claims.values().filter(|claim| !claim.binding && !claim.deleting && !stands(claim));
    let others: Vec<&Claim> = others.collect();
    let kind = match when_deleted {
        Keep::Delete => Kind::Own { note },
        Keep::Retain => Kind::Disown { note },
    };
    others.into_iter().map(|claim| Change::of(claim, kind.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::tests::{claim, healthy};

    fn facts() -> Facts {
        let mut facts = healthy(3);
        facts.claims = (0..3).map(|ordinal| (ordinal, claim(ordinal))).collect();
        facts
    }

    fn names(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.name.as_str()).collect()
    }

    #[test]
    fn a_volume_left_behind_is_deleted_by_uid_or_kept_as_the_user_says() {
        let facts = facts();
        let Fate::Deleted(change) = left_behind(Keep::Delete, 2, &facts) else { panic!() };
        assert_eq!((change.name.as_str(), change.uid.as_str(), change.deletes()), ("data-demo-2", "claim-2", true));
        assert_eq!(left_behind(Keep::Retain, 2, &facts), Fate::Kept("data-demo-2".into()));
    }

    #[test]
    fn a_volume_that_goes_already_is_not_deleted_again() {
        let mut facts = facts();
        facts.claims.get_mut(&2).unwrap().deleting = true;
        assert_eq!(left_behind(Keep::Delete, 2, &facts), Fate::Gone);
        assert_eq!(names(&stopped(&facts)), ["data-demo-0", "data-demo-1"]);
    }

    #[test]
    fn a_volume_whose_label_is_not_this_clusters_is_no_volume_of_it() {
        assert_eq!(left_behind(Keep::Delete, 5, &facts()), Fate::Gone);
    }

    #[test]
    fn ownership_follows_the_spec_and_leaves_claims_alone_that_are_being_bound() {
        let mut facts = facts();
        facts.claims.values_mut().for_each(|claim| claim.note = Some("n".into()));
        facts.claims.get_mut(&1).unwrap().owned = true;
        facts.claims.get_mut(&2).unwrap().binding = true;
        let ownership = |keep, note: &str| ownership(keep, note.into(), &facts);
        assert_eq!(names(&ownership(Keep::Delete, "n")), ["data-demo-0"]);
        assert_eq!(names(&ownership(Keep::Retain, "n")), ["data-demo-1"]);
        assert!(!ownership(Keep::Retain, "n")[0].deletes());
        assert_eq!(names(&ownership(Keep::Retain, "next")), ["data-demo-0", "data-demo-1"], "each says of which it is");
    }
}
