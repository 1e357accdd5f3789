//! What became of a call that failed, as far as it makes a difference.

use std::time::Duration;

use thiserror::Error;

use crate::ownership::Stranger;

/// No answer for so long is a failure. The API server itself gives up after 60 s, but a slow one should not hold a
/// place.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What was attempted, and why it failed.
#[derive(Debug, Error)]
#[error("cannot {attempt}: {cause}")]
pub struct Failed {
    pub attempt: String,
    pub cause: Cause,
}

impl Failed {
    /// Whose object was met in place of ours.
    #[must_use]
    pub fn stranger(&self) -> Option<&Stranger> {
        match &self.cause {
            Cause::Foreign(stranger) => Some(stranger),
            Cause::Conflict
            | Cause::Exists
            | Cause::Missing
            | Cause::Timeout
            | Cause::Refused(_)
            | Cause::Unavailable(_)
            | Cause::Unreadable(_)
            | Cause::Dropped
            | Cause::Broken(_) => None,
        }
    }
}

/// Why a call failed, as far as it makes a difference.
#[derive(Debug, Error)]
pub enum Cause {
    #[error("it was changed meanwhile")]
    Conflict,
    #[error("it exists")]
    Exists,
    #[error("{0} exists and is not this cluster's")]
    Foreign(Stranger),
    #[error("it does not exist")]
    Missing,
    #[error("no answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
    /// The API server does not take this, in its own words: the same will be refused again until a person has changed
    /// something.
    #[error("{0}")]
    Refused(String),
    /// It is overloaded, or cannot say: the same may be taken a moment later.
    #[error("{0}")]
    Unavailable(String),
    #[error("the API server's kinds are older, and dropped a part of it")]
    Dropped,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Broken(kube::Error),
}

impl From<kube::Error> for Cause {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match (status.code, status.reason.as_str()) {
                (409, "AlreadyExists") => Self::Exists,
                (409, _) => Self::Conflict,
                (404, _) => Self::Missing,
                // Our own credentials are out of date, or too many calls: nothing that the object could be blamed for.
                (401 | 429, _) => Self::Unavailable(status.message.clone()),
                (400..=499, _) => Self::Refused(status.message.clone()),
                _ => Self::Unavailable(status.message.clone()),
            },
            error => Self::Broken(error),
        }
    }
}

/// A deletion by UID: an object that is gone, or another one by now, is as good as deleted.
pub fn gone(deleted: Result<(), Failed>) -> Result<(), Failed> {
    match deleted {
        Err(Failed { cause: Cause::Missing | Cause::Conflict, .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn cause(code: u16, reason: &str) -> Cause {
        Cause::from(kube::Error::Api(Box::new(Status::failure("words", reason).with_code(code))))
    }

    #[test]
    fn only_what_will_be_refused_again_is_a_refusal() {
        for code in [400, 403, 413, 422] {
            assert!(matches!(cause(code, "Invalid"), Cause::Refused(words) if words == "words"), "{code}");
        }
        for code in [401, 429, 500, 503, 504] {
            assert!(matches!(cause(code, "TooManyRequests"), Cause::Unavailable(_)), "{code}");
        }
        assert!(matches!(cause(409, "AlreadyExists"), Cause::Exists));
        assert!(matches!(cause(409, "Conflict"), Cause::Conflict));
        assert!(matches!(cause(404, "NotFound"), Cause::Missing));
    }
}
