//! Quorum arithmetic.

/// How many of `voters` must agree: a strict majority.
#[must_use]
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// How many of `voters` may be away while the rest still commits.
#[must_use]
pub fn tolerance(voters: usize) -> usize {
    voters.saturating_sub(quorum(voters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_majorities_always_share_a_member() {
        for n in 1..=9 {
            assert!(2 * quorum(n) > n);
            assert_eq!(quorum(n) + tolerance(n), n);
        }
    }
}
