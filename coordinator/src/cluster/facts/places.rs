//! What lies at places that are to get a pod, as the API server itself says: no cache is asked.

use std::{collections::BTreeMap, ops::Range};

/// The places that were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    pub from: u32,
    /// The first ordinal that was not looked at.
    pub to: u32,
    pub taken: BTreeMap<u32, Taken>,
}

/// Why a place is not free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// This claim was not made for the cluster.
    Foreign(String),
    /// This claim is being deleted.
    Leaving(String),
    /// This former member is being cleared away.
    Retiring(String),
}

impl Places {
    /// Whether all of these were looked at.
    #[must_use]
    pub fn cover(&self, ordinals: Range<u32>) -> bool {
        self.from <= ordinals.start && ordinals.end <= self.to
    }
}
