//! Yes, no, or not known: the status of a condition, and whether a member serves.

use serde::Serialize;

/// Unknown is a value of its own, and means neither.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    True,
    False,
    Unknown,
}

impl Answer {
    /// As conditions say it; any other word is unknown.
    #[must_use]
    pub fn of(status: &str) -> Self {
        match status {
            "True" => Self::True,
            "False" => Self::False,
            _ => Self::Unknown,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}
