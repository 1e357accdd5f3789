//! To whom leadership is handed before the leader is stopped.
//!
//! raft drops every proposal from when a move begins until it is done or given up, one election timeout later. So a voter that
//! cannot take it over at once is not asked: one without a connection, or behind in its log.

/// A voter that might lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: String,
    pub member: String,
    /// Whether the leader's etcd has a connection to it.
    pub connected: bool,
    /// Its raft index, if it has just answered, and follows this leader.
    pub index: Option<u64>,
}

/// Whom to ask, in this order: the furthest on first. Those that did not answer in time are asked last, since nothing speaks
/// against them but silence; those without a connection never.
#[must_use]
pub fn heirs(candidates: Vec<Candidate>, own_id: &str) -> Vec<Candidate> {
    let mut heirs: Vec<Candidate> =
        candidates.into_iter().filter(|voter| voter.connected && voter.id != own_id).collect();
    heirs.sort_by(|a, b| b.index.cmp(&a.index).then_with(|| a.member.cmp(&b.member)));
    heirs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, connected: bool, index: Option<u64>) -> Candidate {
        Candidate { id: id.into(), member: format!("demo-{id}"), connected, index }
    }

    #[test]
    fn the_furthest_on_is_asked_first_and_the_silent_last() {
        let all = vec![
            candidate("1", true, Some(10)),
            candidate("2", true, None),
            candidate("3", true, Some(12)),
            candidate("4", true, Some(12)),
        ];
        let order: Vec<String> = heirs(all, "0").into_iter().map(|heir| heir.id).collect();
        assert_eq!(order, ["3", "4", "1", "2"]);
    }

    #[test]
    fn one_without_a_connection_is_never_asked_nor_is_the_leader_itself() {
        let all = vec![candidate("0", true, Some(99)), candidate("1", false, Some(99)), candidate("2", true, None)];
        let order: Vec<String> = heirs(all, "0").into_iter().map(|heir| heir.id).collect();
        assert_eq!(order, ["2"]);
    }
}
