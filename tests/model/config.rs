//! The membership: who votes, what an entry of the log makes of it, and what a quorum is.

use crate::world::{Entry, Id, Ids, Life, Wal, bit, ids, initial_id, seat_of};

/// The members, as sets of IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Config {
    pub voters: Ids,
    pub learners: Ids,
}

impl Config {
    /// The membership that founders begin with.
    #[must_use]
    pub fn of_founders(incarnation: u8, founders: u8) -> Self {
        let voters = (0..usize::from(founders)).fold(0, |set, seat| set | bit(initial_id(incarnation, seat)));
        Self { voters, learners: 0 }
    }

    /// The membership after one more entry.
    #[must_use]
    pub fn after(self, entry: Entry) -> Self {
        let Self { voters, learners } = self;
        match entry {
            Entry::Founded | Entry::Write => self,
            Entry::AddLearner(id) => Self { voters, learners: learners | bit(id) },
            Entry::AddVoter(id) => Self { voters: voters | bit(id), learners },
            Entry::Promote(id) => Self { voters: voters | bit(id), learners: learners & !bit(id) },
            Entry::Remove(id) => Self { voters: voters & !bit(id), learners: learners & !bit(id) },
        }
    }

    #[must_use]
    pub fn all(&self) -> Ids {
        self.voters | self.learners
    }

    #[must_use]
    pub fn has(&self, id: Id) -> bool {
        self.all() & bit(id) != 0
    }

    /// The ordinals that have an entry.
    #[must_use]
    pub fn seats(&self) -> u8 {
        ids(self.all()).fold(0, |seats, id| seats | 1 << seat_of(id))
    }

    #[must_use]
    pub fn quorum(&self) -> u32 {
        self.voters.count_ones() / 2 + 1
    }
}

impl Entry {
    pub fn changes(self) -> bool {
        !matches!(self, Self::Founded | Self::Write)
    }
}

impl Entry {
    /// The ID that it is about.
    #[must_use]
    pub fn id(self) -> Option<Id> {
        match self {
            Self::Founded | Self::Write => None,
            Self::AddLearner(id) | Self::AddVoter(id) | Self::Promote(id) | Self::Remove(id) => Some(id),
        }
    }

    /// The ID that it adds.
    #[must_use]
    pub fn joins(self) -> Option<Id> {
        match self {
            Self::AddLearner(id) | Self::AddVoter(id) => Some(id),
            Self::Founded | Self::Write | Self::Promote(_) | Self::Remove(_) => None,
        }
    }

    /// The same about another ID.
    #[must_use]
    pub fn with(self, renamed: &impl Fn(Id) -> Id) -> Self {
        match self {
            Self::Founded | Self::Write => self,
            Self::AddLearner(id) => Self::AddLearner(renamed(id)),
            Self::AddVoter(id) => Self::AddVoter(renamed(id)),
            Self::Promote(id) => Self::Promote(renamed(id)),
            Self::Remove(id) => Self::Remove(renamed(id)),
        }
    }
}

impl Life {
    /// The membership after the first `len` entries.
    #[must_use]
    pub fn config(&self, len: u8) -> Config {
        self.log[..usize::from(len)].iter().fold(self.base, |config, entry| config.after(*entry))
    }

    /// The membership as one who has this much of the log counts.
    #[must_use]
    pub fn seen_by(&self, wal: Wal) -> Config {
        if wal.is_bare() {
            return Config::of_founders(wal.incarnation, self.founders);
        }
        let known = &self.log[..usize::from(wal.len)];
        let last = known.iter().rposition(|entry| entry.changes()).filter(|_| !wal.knows);
        self.config(last.map_or(wal.len, |at| at as u8))
    }
}

/// The smallest quorums of the voters among those that are there, each with this one if it votes.
#[must_use]
pub fn quorums(config: Config, there: Ids, with: Id) -> Vec<Ids> {
    let needed = config.quorum();
    let must = bit(with) & config.voters;
    let mut found = vec![];
    let mut subset = there;
    loop {
        if subset.count_ones() == needed && subset & must == must {
            found.push(subset);
        }
        if subset == 0 {
            return found;
        }
        subset = (subset - 1) & there;
    }
}
