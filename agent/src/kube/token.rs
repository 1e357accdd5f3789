//! The pod's own tokens: one is sent until the API server refuses it, then the other.
//!
//! ```text
//!   long  ◀──refused── short      long: an hour, taken for a year    short: ten minutes
//!     └─────refused─────▶
//! ```
//! Kubelet renews each at four fifths of its time and never before (`pkg/kubelet/token/token_manager.go`). After a
//! ServiceAccount was deleted and made anew, the API server refuses what kubelet has given before, so the short one brings
//! the agent's voice back within ten minutes. After an outage that it did not survive, the long one is good at once.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use etcd_operator_shared::names::{TOKEN_LONG, TOKEN_SHORT};
use hyper::{StatusCode, header::HeaderValue};
use tracing::warn;

/// Refusals that come together are of the same token.
const TOGETHER: Duration = Duration::from_millis(400);

/// Which of the two is sent now.
#[derive(Debug)]
pub struct Tokens {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    short: bool,
    changed: Option<Instant>,
    /// Whether it was said since a token was last taken.
    said: bool,
}

impl Tokens {
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), state: Mutex::default() }
    }

    /// What to send; nothing where there is no token. Pods of older templates have the long one alone. Read each time, from
    /// memory: kubelet renews it.
    #[must_use]
    pub fn bearer(&self) -> Option<HeaderValue> {
        let short = self.state.lock().unwrap_or_else(PoisonError::into_inner).short;
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).ok();
        let token = if short { read(TOKEN_SHORT).or_else(|| read(TOKEN_LONG)) } else { read(TOKEN_LONG) };
        let mut header = HeaderValue::from_str(&format!("Bearer {}", token?.trim())).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Notes what the API server answered.
    pub fn answered(&self, status: StatusCode, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if status != StatusCode::UNAUTHORIZED {
            state.said = false;
            return;
        }
        if state.changed.is_some_and(|changed| now.duration_since(changed) < TOGETHER) {
            return;
        }
        (state.short, state.changed) = (!state.short, Some(now));
        if !std::mem::replace(&mut state.said, true) {
            warn!(
                "the API server refuses this pod's token (401): kubelet gave it for a ServiceAccount that is there no more, \
                 or it has run out; the other one is tried, and kubelet renews both, the first within some ten minutes"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: StatusCode = StatusCode::UNAUTHORIZED;

    fn sent(tokens: &Tokens) -> Option<String> {
        Some(tokens.bearer()?.to_str().ok()?.trim_start_matches("Bearer ").to_owned())
    }

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(name), format!("{name}\n")).unwrap());
        folder
    }

    #[test]
    fn the_other_token_is_sent_once_one_is_refused() {
        let folder = folder(&[TOKEN_LONG, TOKEN_SHORT]);
        let (tokens, now) = (Tokens::of(folder.path()), Instant::now());
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_LONG));
        tokens.answered(StatusCode::OK, now);
        tokens.answered(StatusCode::FORBIDDEN, now);
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_LONG));
        tokens.answered(REFUSED, now);
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_SHORT));
        tokens.answered(REFUSED, now + TOGETHER / 2);
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_SHORT), "that was of the long one");
        tokens.answered(StatusCode::OK, now + 2 * TOGETHER);
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_SHORT), "one that is taken stays");
        tokens.answered(REFUSED, now + 3 * TOGETHER);
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_LONG));
    }

    #[test]
    fn a_pod_of_an_older_template_has_one_token_only() {
        let folder = folder(&[TOKEN_LONG]);
        let tokens = Tokens::of(folder.path());
        tokens.answered(REFUSED, Instant::now());
        assert_eq!(sent(&tokens).as_deref(), Some(TOKEN_LONG));
        assert_eq!(sent(&Tokens::of(Path::new("/none"))), None);
    }
}
