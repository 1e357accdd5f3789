//! The address book: which address stands for which member, and whether it was seen to be true.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::whoami::is_address;
use crate::plan::trust::Neighbours;

/// An address that is never confirmed, or no longer, is believed this long: an agent that is restarted is back sooner.
pub const BELIEF: Duration = Duration::from_secs(15);

/// What stands behind an address when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The member itself.
    Itself {
        /// Whether it believes this member's own address.
        knows_me: bool,
        /// etcd's ID that its volume is for, if any, and if it says so.
        holds: Option<Option<String>>,
    },
    SomebodyElse,
    Silence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    address: String,
    /// When the address was first offered or last confirmed.
    since: Duration,
    confirmed: bool,
    knows_me: bool,
    holds: Option<Option<String>>,
    dropped: bool,
}

/// Times are on any clock that only rises.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressBook {
    entries: BTreeMap<String, Entry>,
}

impl AddressBook {
    /// Takes the addresses that are offered now. Only a change counts as news: the same address offered again does not
    /// revive an entry that was dropped. What is no address is not taken.
    pub fn offer(&mut self, offered: impl IntoIterator<Item = (String, String)>, now: Duration) {
        let offered: BTreeMap<String, String> =
            offered.into_iter().filter(|(_, address)| is_address(address)).collect();
        self.entries.retain(|name, _| offered.contains_key(name));
        for (name, address) in offered {
            let fresh = Entry {
                address: address.clone(),
                since: now,
                confirmed: false,
                knows_me: false,
                holds: None,
                dropped: false,
            };
            let entry = self.entries.entry(name).or_insert_with(|| fresh.clone());
            if entry.address != address {
                *entry = fresh;
            }
        }
    }

    /// Takes what an address answered.
    pub fn heard(&mut self, name: &str, address: &str, answer: Answer, now: Duration) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.address == address) else { return };
        match answer {
            Answer::Itself { knows_me, holds } => {
                *entry =
                    Entry { since: now, confirmed: true, knows_me, holds, dropped: false, address: address.into() };
            }
            Answer::SomebodyElse => entry.dropped = true,
            Answer::Silence => {
                (entry.confirmed, entry.knows_me) = (false, false);
                entry.dropped |= now.saturating_sub(entry.since) > BELIEF;
            }
        }
    }

    /// Everything that was offered, to be asked.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, String)> {
        self.entries.iter().map(|(name, entry)| (name.clone(), entry.address.clone())).collect()
    }

    /// What is believed, for the hosts file.
    #[must_use]
    pub fn believed(&self) -> Vec<(String, String)> {
        let believed = self.entries.iter().filter(|(_, entry)| !entry.dropped);
        believed.map(|(name, entry)| (name.clone(), entry.address.clone())).collect()
    }

    /// Members whose address was confirmed when it was last asked.
    #[must_use]
    pub fn confirmed(&self) -> BTreeSet<String> {
        self.entries.iter().filter(|(_, entry)| entry.confirmed).map(|(name, _)| name.clone()).collect()
    }

    /// What the agents that have just answered say of their volumes.
    #[must_use]
    pub fn neighbours(&self) -> Neighbours {
        let answered = self.entries.iter().filter(|(_, entry)| entry.confirmed);
        answered.filter_map(|(name, entry)| Some((name.clone(), entry.holds.clone()?))).collect()
    }

    /// Members that believed this member's own address when they were last asked: their etcd finds it.
    #[must_use]
    pub fn acquainted(&self) -> BTreeSet<String> {
        self.entries.iter().filter(|(_, entry)| entry.knows_me).map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(address: &str) -> Vec<(String, String)> {
        vec![("demo-1".into(), address.into())]
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_new_address_is_believed_before_it_answers_but_not_for_ever() {
        let mut book = AddressBook::default();
        book.offer(offered("10.0.0.1"), at(0));
        assert_eq!(book.believed(), offered("10.0.0.1"));
        book.heard("demo-1", "10.0.0.1", Answer::Silence, at(14));
        assert_eq!(book.believed(), offered("10.0.0.1"));
        book.heard("demo-1", "10.0.0.1", Answer::Silence, at(16));
        assert!(book.believed().is_empty());
        book.offer(offered("10.0.0.1"), at(17));
        assert!(book.believed().is_empty(), "the same offer is no news");
        book.heard("demo-1", "10.0.0.1", Answer::Itself { knows_me: true, holds: None }, at(18));
        assert_eq!(book.believed(), offered("10.0.0.1"));
    }

    #[test]
    fn only_an_address_gets_into_the_hosts_file() {
        let mut book = AddressBook::default();
        book.offer([("demo-1", "10.0.0.1 other\n10.0.0.9"), ("demo-2", "")].map(|(n, a)| (n.into(), a.into())), at(0));
        assert!(book.believed().is_empty());
        book.offer(offered("fd00::1"), at(0));
        assert_eq!(book.believed(), offered("fd00::1"));
    }

    #[test]
    fn only_an_agent_that_has_just_answered_says_what_its_volume_is_for() {
        let mut book = AddressBook::default();
        book.offer(offered("10.0.0.1"), at(0));
        assert!(book.neighbours().is_empty());
        let holds = Some(Some("a".to_owned()));
        book.heard("demo-1", "10.0.0.1", Answer::Itself { knows_me: true, holds }, at(1));
        assert_eq!(book.neighbours()["demo-1"].as_deref(), Some("a"));
        book.heard("demo-1", "10.0.0.1", Answer::Silence, at(2));
        assert!(book.neighbours().is_empty());
        book.heard("demo-1", "10.0.0.1", Answer::Itself { knows_me: true, holds: None }, at(3));
        assert!(book.neighbours().is_empty(), "an older agent does not say");
    }

    #[test]
    fn an_address_that_is_somebody_elses_is_dropped_at_once() {
        let mut book = AddressBook::default();
        book.offer(offered("10.0.0.1"), at(0));
        book.heard("demo-1", "10.0.0.1", Answer::SomebodyElse, at(1));
        assert!(book.believed().is_empty());
    }

    #[test]
    fn a_late_answer_of_an_old_address_says_nothing_of_the_new_one() {
        let mut book = AddressBook::default();
        book.offer(offered("10.0.0.1"), at(0));
        book.offer(offered("10.0.0.2"), at(1));
        book.heard("demo-1", "10.0.0.1", Answer::Itself { knows_me: true, holds: None }, at(2));
        assert!(book.confirmed().is_empty());
        assert_eq!(book.believed(), offered("10.0.0.2"));
    }
}
