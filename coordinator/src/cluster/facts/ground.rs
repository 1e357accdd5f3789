//! What lies where a cluster is to be, as the API server itself says: no cache is asked.

use crate::ownership::Stranger;

/// What was looked at before founding, with the API server's own eyes (no cache).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    pub class: Class,
    /// Claims that the StatefulSet would take for its own.
    pub claims: Vec<FoundVolumeClaim>,
    /// A StatefulSet that has our name.
    pub set: Option<FoundSet>,
}

/// Whose StatefulSet it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundSet {
    Ours,
    /// Nobody controls it; UID of the EtcdCluster on its label.
    Orphan {
        uid: String,
        set: Stranger,
    },
    Foreign(Stranger),
}

impl FoundSet {
    /// Whether it goes by itself.
    #[must_use]
    pub fn leaves(&self) -> bool {
        match self {
            Self::Ours => false,
            Self::Orphan { set, .. } => set.leaves,
            Self::Foreign(stranger) => stranger.leaves,
        }
    }
}

/// The StatefulSet's StorageClass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Class {
    #[default]
    Found,
    /// Absent; `None` when no class is the default.
    Missing(Option<String>),
    /// The coordinator may not look: the volumes will show it.
    Unknown,
}

/// A claim that lies where a member's will be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundVolumeClaim {
    pub name: String,
    /// Name and UID of the cluster that it was made for, if any.
    pub cluster: Option<String>,
    pub cluster_uid: Option<String>,
    /// The incarnation that is noted on it.
    pub note: Option<String>,
    pub deleting: bool,
}
