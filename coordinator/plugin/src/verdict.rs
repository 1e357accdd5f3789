//! How a command ended, as scripts are told: its exit code.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// It could not be done.
    Failed,
    /// The command line makes no sense. clap ends with the same code by itself.
    Usage,
    /// What was named is not there.
    NotFound,
    /// It was seen, and is not well.
    Unhealthy,
    /// What was waited for did not come in time; it may come yet.
    TimedOut,
    /// The API server, the operator or a rule of this program said no.
    Refused,
}

impl Verdict {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Unhealthy => 4,
            Self::TimedOut => 5,
            Self::Refused => 6,
        }
    }

    /// Of what was looked at.
    #[must_use]
    pub fn of_health(is_well: bool) -> Self {
        if is_well { Self::Good } else { Self::Unhealthy }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_has_the_code_that_scripts_rely_on() {
        let all = [
            (Verdict::Good, 0),
            (Verdict::Failed, 1),
            (Verdict::Usage, 2),
            (Verdict::NotFound, 3),
            (Verdict::Unhealthy, 4),
            (Verdict::TimedOut, 5),
            (Verdict::Refused, 6),
        ];
        for (verdict, code) in all {
            assert_eq!(verdict.code(), code, "{verdict:?}");
        }
    }
}
