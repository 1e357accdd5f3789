//! The authorities of one cluster through their changes: who signs, who vouches for whom, and what each side believes.
//!
//! ```text
//!            signs   chain of a leaf        members believe   applications believe
//!   rest     own     leaf                   own               own
//!   Issue    new     leaf, new by former    former            former and new
//!   Retire   new     leaf, new by former    new               new
//! ```
//! A leaf with the former's word for the new authority is taken by whoever believes either of the two: so in no phase, and between no two of
//! them, is a member refused that has been answered in Issue, whether or not its peers were started since. Of the former nothing is kept
//! but certificates: its key signs that one word and is forgotten.

use std::time::Duration;

use etcd_operator_shared::api::cluster::AuthorityPhase;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Authority, Leaf, Ledger, PkiError, PublicKey, Serial, authority::Signed};

/// Authorities are changed after this part of their time, though nobody asks.
const RENEWED: (i32, i32) = (2, 3);

/// The authorities of one cluster: of its members, and of its clients.
pub struct Pair {
    pub peer: Authority,
    pub client: Authority,
    pub history: History,
    /// What those of clients have signed and nobody is to accept any more.
    pub revoked: Ledger,
}

/// Which of a pair's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Peer,
    Client,
}

/// How authorities came to be these. A Secret of before there were changes has none of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Rises by one with each change.
    pub generation: i64,
    /// What of the spec they were made for.
    pub asked: i64,
    /// While a change of them is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

/// A change that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub phase: AuthorityPhase,
    /// Since when.
    pub since: Timestamp,
    pub peer: Former,
    pub client: Former,
}

/// What is left of an authority that signs no more, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Former {
    pub certificate: String,
    /// Its word for the new one: the new one's certificate, signed by the former.
    pub word: String,
    pub end: Timestamp,
}

/// A step of a change, of the authorities of this generation: of others it is nobody's to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    pub generation: i64,
    pub step: Move,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Others sign from now on, and the former vouch for them. `asked`: what of the spec is done by that.
    Issue { asked: i64 },
    /// The former are believed no more.
    Retire,
    /// Nothing is left of the former.
    Forget,
}

impl Act {
    /// Whether it takes from somebody whom they believed.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self.step {
            Move::Issue { .. } => false,
            Move::Retire | Move::Forget => true,
        }
    }
}

impl History {
    /// Of authorities that are the first.
    #[must_use]
    pub fn first(asked: i64) -> Self {
        Self { generation: 1, asked, change: None }
    }
}

impl Pair {
    /// New ones for a cluster, by its name and namespace, made for this generation of its spec.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn make(of: (&str, &str), life: Duration, asked: i64, now: Timestamp) -> Result<Self, PkiError> {
        let (peer, client) = (Authority::make("peer", of, life, now)?, Authority::make("client", of, life, now)?);
        Ok(Self { peer, client, history: History::first(asked), revoked: Ledger::default() })
    }

    /// Others in their place, for which these vouch.
    ///
    /// # Errors
    /// When these are not valid any more, or there are no random numbers.
    fn succeeded(&self, of: (&str, &str), life: Duration, asked: i64, now: Timestamp) -> Result<Self, PkiError> {
        let new = Self::make(of, life, asked, now)?;
        let former = |old: &Authority, new: &Authority| {
            let (certificate, word) = (old.certificate().to_owned(), old.vouch(new, now)?);
            Ok::<_, PkiError>(Former { certificate, word, end: old.end() })
        };
        let (peer, client) = (former(&self.peer, &new.peer)?, former(&self.client, &new.client)?);
        let change = Some(Change { phase: AuthorityPhase::Issue, since: now, peer, client });
        let history = History { generation: self.history.generation + 1, asked, change };
        // What the former have signed is let in until nobody believes them any more.
        Ok(Self { history, revoked: self.revoked.clone(), ..new })
    }

    /// The same, a step further. One that was taken already is not taken again.
    ///
    /// # Errors
    /// When these are not valid any more, or there are no random numbers.
    pub fn further(self, step: Move, of: (&str, &str), life: Duration, now: Timestamp) -> Result<Self, PkiError> {
        let phase = self.history.change.as_ref().map(|change| change.phase);
        let history = match (step, phase) {
            (Move::Issue { asked }, None) => return self.succeeded(of, life, asked, now),
            (Move::Retire, Some(AuthorityPhase::Issue)) => {
                let retire = |change| Change { phase: AuthorityPhase::Retire, since: now, ..change };
                History { change: self.history.change.map(retire), ..self.history }
            }
            (Move::Forget, Some(AuthorityPhase::Retire)) => History { change: None, ..self.history },
            (Move::Issue { .. } | Move::Retire | Move::Forget, _) => self.history,
        };
        Ok(Self { history, ..self })
    }

    /// Signs a certificate: its chain is taken by whoever believes these, or the former while a change is under way.
    ///
    /// # Errors
    /// When the authority is not valid any more.
    pub fn sign(
        &self,
        side: Side,
        leaf: Leaf<'_>,
        key: &PublicKey,
        life: Duration,
        now: Timestamp,
    ) -> Result<Signed, PkiError> {
        self.sign_as(side, Serial::draw(), leaf, key, life, now)
    }

    /// The same with a serial number that was drawn, and written down, before.
    ///
    /// # Errors
    /// When the authority is not valid any more.
    pub fn sign_as(
        &self,
        side: Side,
        serial: Serial,
        leaf: Leaf<'_>,
        key: &PublicKey,
        life: Duration,
        now: Timestamp,
    ) -> Result<Signed, PkiError> {
        let Signed { chain, not_after } = self.authority(side).sign_as(serial, leaf, key, life, now)?;
        let word = self.former(side).map_or("", |(_, former)| &former.word);
        Ok(Signed { chain: format!("{chain}{word}"), not_after })
    }

    /// What members are to believe now, PEM.
    #[must_use]
    pub fn trust(&self, side: Side) -> &str {
        match self.former(side) {
            Some((AuthorityPhase::Issue, former)) => &former.certificate,
            Some((AuthorityPhase::Retire, _)) | None => self.authority(side).certificate(),
        }
    }

    /// What applications are to believe now, PEM: members show certificates of either while they are being issued.
    #[must_use]
    pub fn shown(&self) -> String {
        let own = self.client.certificate();
        match self.former(Side::Client) {
            Some((AuthorityPhase::Issue, former)) => format!("{own}{}", former.certificate),
            Some((AuthorityPhase::Retire, _)) | None => own.to_owned(),
        }
    }

    /// When the first of them is over.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.peer.end().min(self.client.end())
    }

    /// When they are to be changed.
    #[must_use]
    pub fn renewal(&self) -> Timestamp {
        let (part, of) = RENEWED;
        let due = |one: &Authority| {
            let life = one.end().duration_since(one.begin()).max(SignedDuration::ZERO);
            one.begin().checked_add(life / of * part).unwrap_or(one.end())
        };
        due(&self.peer).min(due(&self.client))
    }

    fn authority(&self, side: Side) -> &Authority {
        match side {
            Side::Peer => &self.peer,
            Side::Client => &self.client,
        }
    }

    fn former(&self, side: Side) -> Option<(AuthorityPhase, &Former)> {
        let change = self.history.change.as_ref()?;
        let former = match side {
            Side::Peer => &change.peer,
            Side::Client => &change.client,
        };
        Some((change.phase, former))
    }
}
