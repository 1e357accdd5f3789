//! Why a command could not do what it was asked: one sentence, and the verdict that goes with it.

use kube::core::Status;
use thiserror::Error;

use crate::verdict::Verdict;

/// Why a command ended before its time.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Failure {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    /// The reader has no right to it. Of what is secondary this is a line, and no end.
    #[error("{0}")]
    NotAllowed(String),
    /// The API server does not know the kind.
    #[error("{0}")]
    NotServed(String),
    #[error("{0}")]
    TimedOut(String),
    #[error("{0}")]
    Refused(String),
    /// Somebody else was faster: what was read is not the newest.
    #[error("{0}")]
    Conflict(String),
}

impl Failure {
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Failed(_) | Self::NotAllowed(_) | Self::NotServed(_) | Self::Conflict(_) => Verdict::Failed,
            Self::Usage(_) => Verdict::Usage,
            Self::NotFound(_) => Verdict::NotFound,
            Self::TimedOut(_) => Verdict::TimedOut,
            Self::Refused(_) => Verdict::Refused,
        }
    }

    /// Of a read. `what` completes "cannot read …".
    #[must_use]
    pub fn reading(what: &str, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::unreached(&format!("read {what}"), error) };
        match status.code {
            401 => Self::Failed(format!("the API server does not know you: {}", line(&status.message))),
            403 => Self::NotAllowed(format!("not allowed to read {what}")),
            404 if is_of_the_kind(status) => Self::NotServed(format!(
                "the API server does not serve {what}: is the operator installed? (manifests/install.yaml)"
            )),
            404 => Self::NotFound(format!("there is no {what}")),
            _ => Self::Failed(format!("cannot read {what}: {}", line(&status.message))),
        }
    }

    /// Of a write. `what` completes "cannot …".
    #[must_use]
    pub fn writing(what: &str, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::unreached(what, error) };
        match status.code {
            401 => Self::Failed(format!("the API server does not know you: {}", line(&status.message))),
            404 => Self::NotFound(format!("cannot {what}: {}", line(&status.message))),
            409 => Self::Conflict(format!("cannot {what}: {}", line(&status.message))),
            // The API server's own words: a rule of the kind, an admission webhook or policy, or a right that is
            // missing.
            400 | 403 | 422 => Self::Refused(format!("refused: {}", refusal(status))),
            _ => Self::Failed(format!("cannot {what}: {}", line(&status.message))),
        }
    }

    fn unreached(what: &str, error: &kube::Error) -> Self {
        let why = match error {
            // Layers of the client stand around the one word that says something.
            kube::Error::Service(cause) => format!("the API server cannot be reached: {}", innermost(&**cause)),
            _ => chain(error),
        };
        Self::Failed(format!("cannot {what}: {why}"))
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    line(&cause.to_string())
}

/// A kind that is not there is told from an object that is not: only the latter is named.
fn is_of_the_kind(status: &Status) -> bool {
    let named = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    !named
}

/// What the API server refuses in one sentence: of an invalid object the rules that it breaks, without the object's
/// name before them.
fn refusal(status: &Status) -> String {
    let words = line(&status.message);
    match words.split_once(" is invalid: ") {
        Some((_, rules)) => rules.to_owned(),
        None => words,
    }
}

/// An error with its causes, each once: outer ones often repeat inner ones.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = line(&error.to_string());
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_words = line(&inner.to_string());
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}

/// Somebody else's words on one line.
#[must_use]
pub fn line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So many letters of it at most.
#[must_use]
pub fn cut(words: &str, most: usize) -> String {
    match words.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(code: u16, message: &str, name: &str) -> kube::Error {
        let status = json!({"status": "Failure", "code": code, "message": message, "details": {"name": name}});
        kube::Error::Api(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn an_object_that_is_not_there_is_told_from_a_kind_that_is_not() {
        let of = |name: &str| Failure::reading("EtcdCluster demo in ns", &said(404, "not found", name));
        assert_eq!(of("demo").verdict(), Verdict::NotFound);
        assert!(matches!(of(""), Failure::NotServed(words) if words.contains("is the operator installed?")));
    }

    #[test]
    fn what_the_api_server_refuses_is_one_sentence_without_the_objects_name() {
        let words = "EtcdCluster.etcd.etcd.io \"demo\" is invalid: spec.version:\n Invalid value: \"v9\": version \
             must be v3.5.x";
        let failure = Failure::writing("change EtcdCluster demo", &said(422, words, "demo"));
        assert_eq!(failure.to_string(), "refused: spec.version: Invalid value: \"v9\": version must be v3.5.x");
        assert_eq!(failure.verdict(), Verdict::Refused);
    }

    #[test]
    fn long_words_are_cut_between_letters() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn a_right_that_is_missing_ends_a_read_as_failed_and_a_write_as_refused() {
        assert_eq!(Failure::reading("pods", &said(403, "no", "")).to_string(), "not allowed to read pods");
        assert_eq!(Failure::writing("change it", &said(403, "no", "")).verdict(), Verdict::Refused);
    }
}
