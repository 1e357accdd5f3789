//! Whether all members hold the same keys, and what becomes of one that does not.
//!
//! ```text
//!   equal ─────────────────────────────────────────▶ nothing; an alarm CORRUPT that is still raised is taken back
//!   a majority holds the same, one member others ──▶ asked again ──▶ it is removed, sets its data aside and joins anew
//!           └─ it leads ─▶ it hands over at once, and its successor's agent finds out for itself
//!   no majority holds the same ────────────────────▶ nothing: a person must find out what is right
//! ```
//! The leader's agent asks, one member after the other, for a hash of all keys as of one revision. Only hashes over
//! equally
//! compacted histories say anything. While it reckons its hash a member applies nothing (0.6 s for 500 MB): so the
//! leader
//! is left out while the others agree, and nobody is asked while any member is away.
//! Source: etcd `server/storage/mvcc/kvstore.go` (`HashStorage`), `server/etcdserver/corrupt.go`.
//!
//! Removing a voter is the one thing here that can cost something: it takes a majority of *all* voters against it,
//! twice,
//! all others connected, and it is done once an hour at most. It goes by its ID, so two agents do no more than one.

use std::{collections::BTreeMap, time::Duration};

use etcd_operator_shared::{quorum::quorum, version::Version};

use super::{
    steward::Seat,
    upkeep::{Alarm, Kind, heir},
};

/// What a member says of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash {
    pub id: String,
    pub hash: u32,
    /// Revision up to which its history is compacted.
    pub compacted: i64,
    /// Which etcd reckoned it.
    pub version: Version,
}

/// What members said of their keys as of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub revision: i64,
    pub hashes: Vec<Hash>,
}

/// All that the step depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// ID of the leader, this agent's own member.
    pub own_id: &'a str,
    /// Desired number of members; `None` while it is not known for sure.
    pub size: Option<u32>,
    pub seats: &'a [Seat],
    pub known: Known<'a>,
}

/// What was found out before.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// How often members are compared that are equal.
    pub every: Duration,
    /// For how long this member has led: leaders that follow one another quickly have better things to do.
    pub led: Duration,
    pub alarms: &'a [Alarm],
    /// The last comparison, and its age.
    pub last: Option<(&'a Comparison, Duration)>,
    /// Who was found to differ in the one before as well.
    pub suspect: Option<&'a str>,
    /// Bytes of the leader's own database.
    pub size: u64,
    /// Since this agent had one removed.
    pub removed: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ask all members, the leader only if it says so.
    Compare { leader: bool },
    /// This member goes; `member` is its name.
    Remove { id: String, member: String },
    /// This one leads and is the one that differs.
    HandOver { to: String },
    /// Take back the alarm CORRUPT of these.
    Disarm { ids: Vec<String> },
    /// Nothing is done, and this is to be known.
    Known(Finding),
}

/// What is to be known of members that differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Finding {
    /// One holds other keys than a majority; it is about to be replaced.
    Differs { member: String, revision: i64 },
    /// The same, again within an hour: something is wrong with what it runs on.
    DiffersAgain { member: String, revision: i64 },
    /// No majority holds the same keys.
    NoMajority { revision: i64 },
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    /// These hold other keys than a majority of all voters.
    Differ(Vec<String>),
    NoMajority,
    /// Nobody can say: histories are compacted differently, or not all were asked that must be.
    Unclear,
}

/// How long a leader waits at most before it compares for the first time.
const FIRST: Duration = Duration::from_secs(60);
/// How long until members are asked again that were not found equal.
pub const AGAIN: Duration = Duration::from_secs(10);
/// The leader's hash costs little up to this size: 64 MB take a tenth of a second.
const LITTLE: u64 = 64 << 20;
/// How often a member is removed at most.
const RARELY: Duration = Duration::from_secs(3600);
/// Before it etcd may forget a deletion in one member and not in another, which is no corruption.
/// Source: etcd `CHANGELOG-3.5.md`, v3.5.16, #18475.
const COMPARABLE: &str = "v3.5.16";

/// The next step, if one is due.
#[must_use]
pub fn next(facts: Facts<'_>) -> Option<Step> {
    let Facts { own_id, size, seats, known } = facts;
    let well = |seat: &Seat| !seat.entry.learner && (seat.away.is_none() || seat.entry.id == own_id);
    let whole = size == u32::try_from(seats.len()).ok() && seats.len() > 1;
    if !whole || !seats.iter().all(well) {
        return None;
    }
    let corrupt: Vec<&Alarm> = known.alarms.iter().filter(|alarm| alarm.kind == Kind::Corrupt).collect();
    let is_member = |hash: &Hash| seats.iter().any(|seat| seat.entry.id == hash.id);
    let last = known.last.filter(|(last, _)| last.hashes.iter().all(is_member));
    let verdict = last.map(|(last, _)| judge(last, seats.len()));
    let patience = if corrupt.is_empty() && verdict == Some(Verdict::Equal) { known.every } else { AGAIN };
    if last.is_none() && corrupt.is_empty() && known.led < FIRST.min(known.every) {
        return None;
    }
    let Some((last, _)) = last.filter(|(_, age)| *age < patience) else {
        let leader = known.size <= LITTLE || verdict.is_some_and(|verdict| verdict != Verdict::Equal);
        return Some(Step::Compare { leader });
    };
    match verdict? {
        Verdict::Equal if corrupt.is_empty() => None,
        Verdict::Equal => Some(Step::Disarm { ids: corrupt.iter().map(|alarm| alarm.id.clone()).collect() }),
        Verdict::Unclear => None,
        Verdict::NoMajority => Some(Step::Known(Finding::NoMajority { revision: last.revision })),
        Verdict::Differ(ids) => Some(replaced(facts, ids.first()?, last.revision, &corrupt)),
    }
}

/// What becomes of a member that differs.
fn replaced(facts: Facts<'_>, id: &str, revision: i64, corrupt: &[&Alarm]) -> Step {
    let Facts { own_id, seats, known, .. } = facts;
    let entry = seats.iter().map(|seat| &seat.entry).find(|entry| entry.id == id);
    let member = entry.map_or_else(|| id.to_owned(), |entry| entry.member.clone());
    // etcd itself has found it before.
    let certain = known.suspect == Some(id) || corrupt.iter().any(|alarm| alarm.id == id);
    if id == own_id {
        // That costs little, and takes what may be wrong out of the way of most.
        let known = Step::Known(Finding::Differs { member, revision });
        return heir(seats, own_id).map_or(known, |to| Step::HandOver { to });
    }
    match (certain, known.removed.is_some_and(|ago| ago < RARELY)) {
        (false, _) => Step::Known(Finding::Differs { member, revision }),
        (true, true) => Step::Known(Finding::DiffersAgain { member, revision }),
        (true, false) => Step::Remove { id: id.to_owned(), member },
    }
}

/// What a comparison among so many voters comes to.
#[must_use]
pub fn judge(comparison: &Comparison, voters: usize) -> Verdict {
    let hashes = &comparison.hashes;
    let comparable: Option<Version> = COMPARABLE.parse().ok();
    if hashes.iter().any(|hash| Some(hash.version) < comparable) {
        return Verdict::Unclear;
    }
    let mut agreeing: BTreeMap<(i64, u32), usize> = BTreeMap::new();
    for hash in hashes {
        *agreeing.entry((hash.compacted, hash.hash)).or_default() += 1;
    }
    let majority = agreeing.iter().find(|(_, count)| **count >= quorum(voters)).map(|(same, _)| *same);
    let one_history = hashes.iter().all(|hash| hash.compacted == hashes[0].compacted);
    match majority {
        Some((compacted, right)) => {
            let wrong = hashes.iter().filter(|hash| hash.compacted == compacted && hash.hash != right);
            let wrong: Vec<String> = wrong.map(|hash| hash.id.clone()).collect();
            match (wrong.is_empty(), one_history) {
                (true, true) => Verdict::Equal,
                (true, false) => Verdict::Unclear,
                (false, _) => Verdict::Differ(wrong),
            }
        }
        None if one_history && hashes.len() == voters => Verdict::NoMajority,
        None => Verdict::Unclear,
    }
}

impl Finding {
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Differs { member, revision } => format!(
                "{member} holds other keys than a majority of members at revision {revision}: it is replaced, and joins anew \
                 with theirs"
            ),
            Self::DiffersAgain { member, revision } => format!(
                "{member} holds other keys than a majority of members at revision {revision}, for the second time within an \
                 hour: look at its node's disk and memory, and delete its claim and pod"
            ),
            Self::NoMajority { revision } => format!(
                "members hold different keys at revision {revision}, and no majority holds the same: compare them with a \
                 backup, and hold those that are wrong"
            ),
        }
    }

    /// Whether only a person can go on.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Differs { .. } => false,
            Self::DiffersAgain { .. } | Self::NoMajority { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests;
