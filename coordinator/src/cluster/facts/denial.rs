//! What the API server does not take, in its own words.

use std::fmt;

use super::pod_trouble::shorten;

/// One call that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Such as `apply Service demo-client`.
    pub attempt: String,
    pub words: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the API server refuses to {}: {}", self.attempt, shorten(&self.words))
    }
}
