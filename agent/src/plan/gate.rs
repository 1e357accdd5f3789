//! Whether the other members' addresses are known well enough to start etcd.
//!
//! etcd that starts before its peers can be found asks DNS, and a name asked too early stays absent for 30 s. But a member
//! must not wait for ever for one that never comes: two of three form a quorum.

use std::time::Duration;

use etcd_operator_shared::quorum::quorum;

/// How the member starts; a forming cluster has fresh addresses, a resuming one may have old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    First,
    Again,
    /// As a learner. `confirmed` are the members that know this one's address, too: their etcd looks for it when it is added.
    Added,
}

/// A forming cluster with a quorum of addresses goes on after this: pods of one StatefulSet get theirs within a second.
const QUORUM_PATIENCE: Duration = Duration::from_secs(2);
/// A forming cluster without even that goes on after this, on DNS: the coordinator may be away.
const FORMING_PATIENCE: Duration = Duration::from_secs(15);
/// A member that resumes goes on after this: its peers may be down.
const RESUME_PATIENCE: Duration = Duration::from_secs(1);
/// A member that joins goes on after this: some of the others may be down.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// The members that are still waited for; empty when etcd may start. `wanted` are all members but this one.
#[must_use]
pub fn missing(
    start: Start,
    wanted: &[String],
    known: &[String],
    confirmed: &[String],
    waited: Duration,
) -> Vec<String> {
    let lacking =
        |have: &[String]| -> Vec<String> { wanted.iter().filter(|name| !have.contains(name)).cloned().collect() };
    match start {
        Start::First => {
            let lacking = lacking(known);
            let reachable = wanted.len() + 1 - lacking.len();
            let enough = reachable >= quorum(wanted.len() + 1) && waited >= QUORUM_PATIENCE;
            if enough || waited >= FORMING_PATIENCE { vec![] } else { lacking }
        }
        Start::Again if waited >= RESUME_PATIENCE => vec![],
        Start::Added if waited >= JOIN_PATIENCE => vec![],
        Start::Again | Start::Added => lacking(confirmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).into()).collect()
    }

    #[test]
    fn a_single_member_waits_for_nobody() {
        assert!(missing(Start::First, &[], &[], &[], Duration::ZERO).is_empty());
    }

    #[test]
    fn a_late_third_member_does_not_hold_up_two() {
        let (wanted, known) = (names(&["b", "c"]), names(&["b"]));
        assert_eq!(missing(Start::First, &wanted, &known, &[], Duration::ZERO), names(&["c"]));
        assert!(missing(Start::First, &wanted, &known, &[], QUORUM_PATIENCE).is_empty());
    }

    #[test]
    fn a_forming_cluster_does_not_start_alone_at_once() {
        let wanted = names(&["b", "c"]);
        assert_eq!(missing(Start::First, &wanted, &[], &[], QUORUM_PATIENCE), wanted);
        assert!(missing(Start::First, &wanted, &[], &[], FORMING_PATIENCE).is_empty());
    }

    #[test]
    fn a_member_that_resumes_trusts_only_confirmed_addresses_for_a_moment() {
        let wanted = names(&["b"]);
        assert_eq!(missing(Start::Again, &wanted, &wanted, &[], Duration::ZERO), wanted);
        assert!(missing(Start::Again, &wanted, &wanted, &wanted, Duration::ZERO).is_empty());
        assert!(missing(Start::Again, &wanted, &[], &[], RESUME_PATIENCE).is_empty());
    }
}
