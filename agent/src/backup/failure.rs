//! Why something about a backup failed: each means another exit code, and another thing to do.

use std::io;

use thiserror::Error;

use crate::{etcd::member::EtcdError, volume::room::is_full};

/// Bytes of another program's words that are kept.
const WORDS: usize = 600;

/// Why it failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// It may go well another time.
    #[error("{message}")]
    Failed { reason: &'static str, message: String },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    /// It is not what it should be, and will not be another time.
    #[error("{message}")]
    Integrity { reason: &'static str, message: String },
    /// The store is away, or says no.
    #[error("{message}")]
    Store { reason: &'static str, message: String },
    #[error("{0}")]
    NoRoom(String),
}

impl Failure {
    /// A process that failed so exits with this.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed { .. } => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Integrity { .. } => 5,
            Self::Store { .. } => 6,
            Self::NoRoom(_) => 7,
        }
    }

    /// In a word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Failed { reason, .. } | Self::Integrity { reason, .. } | Self::Store { reason, .. } => reason,
            Self::Usage(_) => "Usage",
            Self::NotFound(_) => "NotFound",
            Self::NoRoom(_) => "NoRoom",
        }
    }

    #[must_use]
    pub fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { reason, message: message.into() }
    }

    #[must_use]
    pub fn integrity(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Integrity { reason, message: message.into() }
    }

    #[must_use]
    pub fn store(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Store { reason, message: message.into() }
    }

    /// A file that cannot be written or read.
    #[must_use]
    pub fn file(what: &str, error: &io::Error) -> Self {
        if is_full(error) {
            Self::NoRoom(format!("no room for {what}: {error}"))
        } else {
            Self::failed("Failed", format!("cannot write {what}: {error}"))
        }
    }
}

impl From<EtcdError> for Failure {
    fn from(error: EtcdError) -> Self {
        Self::failed(if error.is_auth() { "AuthenticationOn" } else { "EtcdFailed" }, error.to_string())
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error;
        let (words, whole) = (words(&error), error.to_string());
        if whole.contains("NoSuchBucket") {
            return Self::store("NoBucket", format!("the store has no such bucket: {words}"));
        }
        // What is refused is not told apart in every answer.
        if whole.contains(": 401 Unauthorized") || whole.contains(": 403 Forbidden") {
            return Self::store("StoreRefuses", format!("the store refuses the credentials: {words}"));
        }
        match error {
            Error::NotFound { .. } => Self::NotFound(format!("the store has no such object: {words}")),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                Self::store("StoreRefuses", format!("the store refuses the credentials: {words}"))
            }
            Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                Self::store("StoreRefuses", format!("the store cannot do what backups need: {words}"))
            }
            // The enumeration is not ours, and grows.
            _ => Self::store("StoreFails", format!("the store does not take or give it: {words}")),
        }
    }
}

/// What a store's client says, without what nobody needs: a store's own code and sentence where it gives them, else the
/// cause of causes. The rest of an answer may hold what was signed.
fn words(error: &object_store::Error) -> String {
    let whole = error.to_string();
    let element = |name: &str| {
        let (_, rest) = whole.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    };
    if let Some(code) = element("Code") {
        return brief(&format!("{code} {}", element("Message").unwrap_or_default()));
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let (whole, cause) = (brief(&whole), brief(&cause.to_string()));
    if whole.contains(&cause) { whole } else { format!("{whole}: {cause}") }
}

/// Words of another program as part of a sentence: one line, and not all of a page.
#[must_use]
pub fn brief(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_told_apart_by_its_exit_code() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::file("a snapshot", &full).code(), 7);
        assert_eq!(Failure::from(EtcdError::TimedOut).code(), 1);
        let missing = object_store::Error::NotFound { path: "a".into(), source: "404".into() };
        assert_eq!(Failure::from(missing).code(), 3);
        let bucket = object_store::Error::NotFound { path: "a".into(), source: "<Code>NoSuchBucket</Code>".into() };
        assert_eq!(Failure::from(bucket).reason(), "NoBucket");
    }

    #[test]
    fn a_store_is_quoted_by_its_code_and_its_sentence_and_never_with_what_was_signed() {
        let answer = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
                      <Message>Check your key.</Message><StringToSign>secret</StringToSign></Error>";
        let refused = Failure::from(object_store::Error::Generic { store: "S3", source: answer.into() });
        assert_eq!(refused.to_string(), "the store refuses the credentials: SignatureDoesNotMatch Check your key.");
        assert_eq!((refused.code(), refused.reason()), (6, "StoreRefuses"));
    }

    #[test]
    fn a_page_of_words_becomes_a_line() {
        assert_eq!(brief("<a>\n  <b/>\n</a>"), "<a> <b/> </a>");
        assert_eq!(brief(&"ä".repeat(1_000)).chars().count(), WORDS + 1);
    }
}
