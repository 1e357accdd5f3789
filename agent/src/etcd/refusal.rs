//! What etcd means by a refusal.
//!
//! etcd tells its errors apart by their sentences alone: several share a gRPC code, and its own client compares the text, too.
//! So the text is read here, once, and nowhere else.
//! Source: etcd `api/v3rpc/rpctypes/error.go`, the same in 3.4 to 3.7.

/// A refusal, by what it means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Authentication is on, and whoever asked is nobody, or has no right to this.
    Auth,
    /// Authentication is off.
    AuthOff,
    /// A user, a role or a permission is there already, or gone already.
    SoAlready,
    /// Not all voters have been connected for 5 s.
    Unhealthy,
    /// Too few members would run after the change.
    TooFewStarted,
    TooManyLearners,
    /// The learner is not in sync with the leader.
    LearnerNotReady,
    MemberNotFound,
    NoLeader,
    /// etcd's own bound has passed, or the leader changed meanwhile: a majority may be missing.
    TimedOut,
    /// etcd is on its way up or down: it does not serve.
    NotServing,
    Other,
}

impl Refusal {
    /// Reads etcd's sentence.
    #[must_use]
    pub fn of(words: &str) -> Self {
        match words.strip_prefix("etcdserver: ").unwrap_or(words) {
            "user name is empty"
            | "permission denied"
            | "invalid auth token"
            | "revision of auth store is old"
            | "authentication failed, invalid user ID or password" => Self::Auth,
            "authentication is not enabled" => Self::AuthOff,
            "user name already exists"
            | "user name not found"
            | "role name already exists"
            | "role name not found"
            | "role is not granted to the user"
            | "permission is not granted to the role" => Self::SoAlready,
            "unhealthy cluster" => Self::Unhealthy,
            "re-configuration failed due to not enough started members" => Self::TooFewStarted,
            "too many learner members in cluster" => Self::TooManyLearners,
            "can only promote a learner member which is in sync with leader" => Self::LearnerNotReady,
            "member not found" => Self::MemberNotFound,
            "no leader" | "leader changed" | "not leader" => Self::NoLeader,
            timed_out if timed_out.starts_with("request timed out") => Self::TimedOut,
            "not capable" | "server stopped" => Self::NotServing,
            _ => Self::Other,
        }
    }

    /// What a change of the membership that was refused so waits for.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Auth => Some(AUTH),
            Self::Unhealthy => Some("etcd lets nobody join before all voters have been connected for 5 s"),
            Self::TooFewStarted => Some("etcd changes nothing while too few members run"),
            Self::TooManyLearners => Some("another member joins first"),
            Self::LearnerNotReady => Some("the learner catches up first"),
            Self::MemberNotFound => Some("a member with the same address was removed within this second"),
            Self::AuthOff | Self::SoAlready | Self::NoLeader | Self::TimedOut | Self::NotServing | Self::Other => None,
        }
    }
}

/// What a person is told while authentication is on.
pub const AUTH: &str =
    "etcd's authentication is on and this agent has no user: it cannot look into etcd, change the membership or repair";

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn etcds_sentences_are_told_apart() {
        let of = |words: &str| Refusal::of(&format!("etcdserver: {words}"));
        assert_eq!(of("user name is empty"), Refusal::Auth);
        assert_eq!(of("permission denied"), Refusal::Auth);
        assert_eq!(of("unhealthy cluster"), Refusal::Unhealthy);
        assert_eq!(of("request timed out, possibly due to connection lost"), Refusal::TimedOut);
        assert_eq!(of("can only promote a learner member"), Refusal::Other, "it is a voter: no learner that is late");
        assert_eq!(of("can only promote a learner member which is in sync with leader"), Refusal::LearnerNotReady);
        assert_eq!(of("mvcc: database space exceeded"), Refusal::Other);
    }

    #[test]
    fn words_of_a_user_are_not_read_as_etcds() {
        assert_eq!(Refusal::of("etcdserver: no such key: member not found"), Refusal::Other);
    }
}
