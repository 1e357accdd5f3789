//! The membership as the plans see it.

/// What the other members say of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// The others are being asked. Silence or an answer follows within seconds.
    Awaited,
    /// Nobody gave a linearizable answer, and the sentence says why: nothing is known, and nobody is absent.
    Silent(String),
    /// A linearizable list, asked for after this member's own last act, of the cluster with this incarnation's ID.
    Answers(Vec<Entry>),
}

/// An entry of the membership.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// etcd's member ID, in hexadecimal.
    pub id: String,
    /// Name of the member that the peer URL is of; the URL itself if it is nobody's here.
    pub member: String,
    /// Number of that member within its cluster; `None` if the entry is nobody's here.
    pub ordinal: Option<u32>,
    pub learner: bool,
    /// Whether it has told the cluster that it runs. One that has not may run all the same.
    pub started: bool,
}

impl Cluster {
    /// The list, where there is one.
    #[must_use]
    pub fn list(&self) -> Option<&[Entry]> {
        match self {
            Self::Awaited | Self::Silent(_) => None,
            Self::Answers(list) => Some(list),
        }
    }
}

impl Entry {
    /// Whether the entry is of a member that a cluster of this size has no place for. A stranger's is not.
    #[must_use]
    pub fn is_surplus(&self, size: u32) -> bool {
        self.ordinal.is_some_and(|ordinal| ordinal >= size)
    }
}

/// The entry with this ID.
#[must_use]
pub fn with_id<'a>(list: &'a [Entry], id: &str) -> Option<&'a Entry> {
    list.iter().find(|entry| entry.id == id)
}

/// The entries that have this member's URL.
pub fn of<'a>(list: &'a [Entry], member: &str) -> impl Iterator<Item = &'a Entry> {
    list.iter().filter(move |entry| entry.member == member)
}
