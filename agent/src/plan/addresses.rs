//! Whether the other members' addresses are known well enough to add this member or to start etcd.
//!
//! etcd that starts before its peers can be found asks DNS, and a name asked too early stays absent for 30 s. But a member
//! must not wait for ever for one that never comes: two of three form a quorum.

use std::{collections::BTreeSet, time::Duration};

use etcd_operator_shared::quorum::quorum;

/// How etcd comes to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Launch {
    /// It forms the cluster: the addresses are fresh.
    Bootstrap,
    /// It has its membership on its disk: the addresses may be old ones.
    Resume,
    /// It joins as a learner: the others' etcd looks for it as soon as it is added.
    Join,
}

/// What is known of the other members' addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Members whose address was told, or stands on the mark.
    pub told: Vec<String>,
    /// Those of them that etcd will find in its hosts file.
    pub believed: BTreeSet<String>,
    /// Those whose agent has just said who it is.
    pub confirmed: BTreeSet<String>,
    /// Those that believe this member's own address.
    pub acquainted: BTreeSet<String>,
    /// For how long nothing else has stood between etcd and its start.
    pub waited: Duration,
}

/// A forming cluster with a quorum of addresses goes on after this: pods of one StatefulSet get theirs within a second.
const QUORUM_PATIENCE: Duration = Duration::from_secs(2);
/// A forming cluster without even that goes on after this, on DNS: the coordinator may be away.
const FORMING_PATIENCE: Duration = Duration::from_secs(15);
/// A member that resumes goes on after this: its peers may be down.
const RESUME_PATIENCE: Duration = Duration::from_secs(1);
/// A member that joins goes on after this: some of the others may be down.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

impl Addresses {
    /// The members that are still waited for; empty when etcd may start. `wanted` are all members but this one.
    #[must_use]
    pub fn missing(&self, launch: Launch, wanted: &[String]) -> Vec<String> {
        let lacking = |have: &BTreeSet<String>| -> Vec<String> {
            wanted.iter().filter(|name| !have.contains(*name)).cloned().collect()
        };
        match launch {
            Launch::Bootstrap => {
                let lacking = lacking(&self.believed);
                let reachable = wanted.len() + 1 - lacking.len();
                let enough = reachable >= quorum(wanted.len() + 1) && self.waited >= QUORUM_PATIENCE;
                if enough || self.waited >= FORMING_PATIENCE { vec![] } else { lacking }
            }
            Launch::Resume if self.waited >= RESUME_PATIENCE => vec![],
            Launch::Resume => lacking(&self.confirmed),
            Launch::Join if self.waited >= JOIN_PATIENCE => vec![],
            Launch::Join => lacking(&self.acquainted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).into()).collect()
    }

    fn set(list: &[&str]) -> BTreeSet<String> {
        names(list).into_iter().collect()
    }

    #[test]
    fn a_single_member_waits_for_nobody() {
        assert!(Addresses::default().missing(Launch::Bootstrap, &[]).is_empty());
    }

    #[test]
    fn a_late_third_member_does_not_hold_up_two() {
        let wanted = names(&["b", "c"]);
        let known = Addresses { believed: set(&["b"]), ..Addresses::default() };
        assert_eq!(known.missing(Launch::Bootstrap, &wanted), names(&["c"]));
        let later = Addresses { waited: QUORUM_PATIENCE, ..known };
        assert!(later.missing(Launch::Bootstrap, &wanted).is_empty());
    }

    #[test]
    fn a_forming_cluster_does_not_start_alone_at_once() {
        let wanted = names(&["b", "c"]);
        let after = |waited| Addresses { waited, ..Addresses::default() };
        assert_eq!(after(QUORUM_PATIENCE).missing(Launch::Bootstrap, &wanted), wanted);
        assert!(after(FORMING_PATIENCE).missing(Launch::Bootstrap, &wanted).is_empty());
    }

    #[test]
    fn a_member_that_resumes_trusts_only_confirmed_addresses_for_a_moment() {
        let wanted = names(&["b"]);
        let believed = Addresses { believed: set(&["b"]), ..Addresses::default() };
        assert_eq!(believed.missing(Launch::Resume, &wanted), wanted);
        let confirmed = Addresses { confirmed: set(&["b"]), ..believed };
        assert!(confirmed.missing(Launch::Resume, &wanted).is_empty());
        let after = Addresses { waited: RESUME_PATIENCE, ..Addresses::default() };
        assert!(after.missing(Launch::Resume, &wanted).is_empty());
    }

    #[test]
    fn a_member_that_joins_waits_until_the_others_know_it() {
        let wanted = names(&["b"]);
        let confirmed = Addresses { believed: set(&["b"]), confirmed: set(&["b"]), ..Addresses::default() };
        assert_eq!(confirmed.missing(Launch::Join, &wanted), wanted);
        let acquainted = Addresses { acquainted: set(&["b"]), ..confirmed };
        assert!(acquainted.missing(Launch::Join, &wanted).is_empty());
    }
}
