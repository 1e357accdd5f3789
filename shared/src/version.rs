//! Versions of etcd.

use std::{fmt, str::FromStr};
use thiserror::Error;

/// A released version of etcd 3, written `v3.5.21`; read without its `v` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub minor: Minor,
    pub patch: u8,
}

/// The minor versions whose flags and behaviour this operator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Minor {
    V3_5,
    V3_6,
    V3_7,
}

/// What agents are told of etcd's downgrades: written `3.5`, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Downgrade {
    /// The leader's agent lets the cluster go down to this, while all members that are wanted are there.
    To(Minor),
    /// It takes back what it has allowed.
    None,
}

/// Why a text names no version that can be run.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0:?} is not a supported version of etcd: write v3.5.x, v3.6.x or v3.7.x, such as v3.5.21")]
pub struct VersionError(String);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let wrong = || VersionError(text.to_owned());
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let minor = match (parts.next(), parts.next()) {
            (Some("3"), Some("5")) => Minor::V3_5,
            (Some("3"), Some("6")) => Minor::V3_6,
            (Some("3"), Some("7")) => Minor::V3_7,
            _ => return Err(wrong()),
        };
        let patch = parts.next().ok_or_else(wrong)?;
        let number: u8 = patch.parse().map_err(|_| wrong())?;
        if parts.next().is_some() || number > 99 || number.to_string() != patch {
            return Err(wrong());
        }
        Ok(Self { minor, patch: number })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v3.{}.{}", self.minor.number(), self.patch)
    }
}

impl Minor {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::V3_5, Self::V3_6, Self::V3_7];

    /// The number after `3.`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::V3_5 => 5,
            Self::V3_6 => 6,
            Self::V3_7 => 7,
        }
    }

    /// The next one up.
    #[must_use]
    pub fn above(self) -> Option<Self> {
        Self::ALL.into_iter().find(|minor| minor.number() == self.number() + 1)
    }

    /// The next one down.
    #[must_use]
    pub fn below(self) -> Option<Self> {
        Self::ALL.into_iter().find(|minor| minor.above() == Some(self))
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.number())
    }
}

impl fmt::Display for Downgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(minor) => minor.fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Downgrade {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::To) }
    }
}

/// Reads `3.6`, and what etcd writes of a cluster or of its storage: `3.6.0`.
impl FromStr for Minor {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let is = |minor: &Self| text == minor.to_string() || text == format!("{minor}.0");
        Self::ALL.into_iter().find(is).ok_or_else(|| VersionError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_back() {
        for text in ["v3.5.21", "v3.6.16", "v3.7.0"] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_letter_may_be_left_out() {
        assert_eq!("3.5.21".parse::<Version>().unwrap().to_string(), "v3.5.21");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "vv3.5.21",
            "v3.5",
            "v3.5.021",
            "v3.5.21-rc.1",
            "v2.3.8",
            "v3.8.0",
            "latest",
            "v3.5.21.1",
            "v3.5.+1",
            "v3.5.100",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_minor_version_is_read_as_etcd_and_as_we_write_it() {
        assert_eq!(["3.5.0", "3.6", "3.7.0"].map(|text| text.parse::<Minor>().unwrap()), Minor::ALL);
        for text in ["3.4.0", "3.8.0", "3.6.1", "v3.6", "", "not_decided"] {
            assert!(text.parse::<Minor>().is_err(), "{text}");
        }
        assert_eq!((Minor::V3_5.above(), Minor::V3_7.above()), (Some(Minor::V3_6), None));
        assert_eq!((Minor::V3_5.below(), Minor::V3_7.below()), (None, Some(Minor::V3_6)));
    }

    #[test]
    fn versions_order_by_minor_then_patch() {
        let v = |text: &str| text.parse::<Version>().unwrap();
        assert!(v("v3.5.35") < v("v3.6.0"));
        assert!(v("v3.6.9") < v("v3.6.16"));
    }
}
