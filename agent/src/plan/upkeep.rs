//! What the leader's agent does so that databases stay small, and takes back etcd's alarm when one was full.
//!
//! ```text
//!   NOSPACE ─▶ compact up to now, where what is in use fills the quota ─▶ defragment whoever is too large ─▶ disarm
//!                       └─▶ what is in use still fills it: a person must make room
//!   no alarm, all members well ─▶ defragment who wastes too much: followers first; the leader hands over before
//! ```
//! It goes by what the members say at the time, and by nothing that it did before: an agent that dies, and two that
//! both
//! think that they are the leader's, do at worst the same thing twice. Compaction forgets old revisions and no key;
//! defragmentation writes a file anew, beside the old one; an alarm that was taken back too early is raised again.
//!
//! etcd's quota is held against the file, not against what is used of it. A database that is being defragmented answers
//! nothing: so it is one at a time, and none that a backup is being read of, since etcd would wait for its end.
//! Source: etcd `server/etcdserver/apply/apply.go` (`quotaApplierV3`), `server/storage/backend/backend.go` (`defrag`).

use std::{collections::BTreeSet, time::Duration};

use etcd_operator_shared::validate::{Upkeep, maintenance::Waste};
use jiff::Timestamp;

use super::{
    handover::{Candidate, heirs},
    steward::Seat,
};

/// An alarm that etcd has raised for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    NoSpace,
    Corrupt,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::NoSpace, Self::Corrupt];

    /// As etcd writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        }
    }
}

/// The same, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alarm {
    /// ID of the member, in hexadecimal.
    pub id: String,
    pub kind: Kind,
}

/// A member's database, as the member and its agent say. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub id: String,
    /// Of the file.
    pub size: u64,
    /// Of what is in it.
    pub in_use: u64,
    /// Free on its volume; `None` where nobody says.
    pub room: Option<u64>,
    /// Whether a backup is being read of it.
    pub read: bool,
}

/// What was found out by asking all members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Revision of the store before they were asked.
    pub revision: i64,
    /// Of those who answered.
    pub databases: Vec<Database>,
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

/// What is known of the databases, and what is wanted of them.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub policy: &'a Upkeep,
    /// Bytes at which etcd refuses writes.
    pub quota: u64,
    pub alarms: &'a [Alarm],
    /// The last survey since anything was done, and its age.
    pub survey: Option<(&'a Survey, Duration)>,
    /// Revision up to which this agent has compacted last.
    pub compacted: Option<i64>,
    /// IDs of members that were defragmented since: of the others, what they say is in use may be what was. etcd
    /// counts anew when it
    /// next writes, and takes no writes.
    pub rewritten: &'a BTreeSet<String>,
    /// IDs of members that could not be defragmented, and are left alone for a while.
    pub resting: &'a BTreeSet<String>,
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ask all members.
    Survey,
    /// Forget what was before a revision.
    Compact {
        revision: i64,
    },
    Defragment {
        id: String,
        why: Why,
    },
    /// Leadership goes to this ID, whose agent goes on.
    HandOver {
        to: String,
    },
    /// Take back the alarm NOSPACE of these.
    Disarm {
        ids: Vec<String>,
    },
    /// Only a person can go on.
    Stuck(Stuck),
}

/// Why a member is defragmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It has reached its quota, and etcd takes no writes.
    Full,
    /// It would soon.
    NearlyFull,
    /// It wastes more than is wanted.
    Wasteful,
}

/// Why the members' databases stay full. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stuck {
    /// What is in use fills the quota.
    InUse { in_use: u64, quota: u64 },
    /// Old revisions may do so, and are not to be forgotten.
    MayNotCompact { in_use: u64, quota: u64 },
    /// A volume has no room for a second copy of what is in use.
    NoRoom { room: Option<u64>, in_use: u64 },
}

/// How old a survey may be while no alarm is raised, and while one is.
const CALM: Duration = Duration::from_secs(60);
const URGENT: Duration = Duration::from_secs(5);

/// Percent of the quota: a file that is larger is too large to take the alarm back.
const FULL: u64 = 90;
/// What is in use must be below this for defragmentation to help for a while.
const FILLED: u64 = 85;
/// A file that is larger is defragmented soon, where so little of it is in use.
const NEARLY: u64 = 80;
const WORTH: u64 = 60;

/// The next step, if one is due.
#[must_use]
pub fn next(facts: Facts<'_>) -> Option<Step> {
    let Known { alarms, survey, .. } = facts.known;
    if alarms.iter().any(|alarm| alarm.kind == Kind::Corrupt) {
        // Whatever is done now is done to data that may be wrong.
        return None;
    }
    let full: Vec<String> = alarms.iter().map(|alarm| alarm.id.clone()).collect();
    let patience = if full.is_empty() { CALM } else { URGENT };
    let Some((survey, _)) = survey.filter(|(_, age)| *age < patience) else { return Some(Step::Survey) };
    if full.is_empty() { routine(facts, survey) } else { cure(facts, survey, full) }
}

/// Writes are refused: nothing is lost by a member that answers nothing for a while.
fn cure(facts: Facts<'_>, survey: &Survey, full: Vec<String>) -> Option<Step> {
    let Known { quota, policy, compacted, rewritten, resting, .. } = facts.known;
    let share = |percent: u64| quota / 100 * percent;
    // Unless the leader's own answers, nothing is known.
    survey.databases.iter().find(|one| one.id == facts.own_id)?;
    let compacted = compacted.is_some_and(|revision| revision >= survey.revision);
    let stale = |one: &Database| compacted && !rewritten.contains(&one.id);
    let counted = survey.databases.iter().filter(|one| !stale(one));
    let filled = counted.map(|one| one.in_use).max().filter(|in_use| *in_use >= share(FILLED));
    if filled.is_some() && policy.emergency_compaction && !compacted {
        return Some(Step::Compact { revision: survey.revision });
    }
    let gains = |one: &Database| if compacted { stale(one) } else { one.in_use < share(FILLED) };
    let too_large = || survey.databases.iter().filter(|one| one.size >= share(FULL) && gains(one));
    let possible = too_large().filter(|one| fits(one) && !one.read && !resting.contains(&one.id));
    if let Some(id) = in_order(facts, possible).into_iter().next() {
        return Some(Step::Defragment { id, why: Why::Full });
    }
    match (filled, too_large().find(|one| !fits(one)), too_large().next()) {
        (Some(in_use), ..) if policy.emergency_compaction => Some(Step::Stuck(Stuck::InUse { in_use, quota })),
        (Some(in_use), ..) => Some(Step::Stuck(Stuck::MayNotCompact { in_use, quota })),
        (None, Some(one), _) => Some(Step::Stuck(Stuck::NoRoom { room: one.room, in_use: one.in_use })),
        // A backup is being read of it, or it could not be done: it is tried again.
        (None, None, Some(_)) => None,
        (None, None, None) => Some(Step::Disarm { ids: full }),
    }
}

/// Nobody is in need: all is left alone while anything else is going on.
fn routine(facts: Facts<'_>, survey: &Survey) -> Option<Step> {
    let Facts { seats, own_id, .. } = facts;
    let Known { quota, policy, resting, now, .. } = facts.known;
    let whole = facts.size == u32::try_from(seats.len()).ok() && survey.databases.len() == seats.len();
    let well = |seat: &Seat| !seat.entry.learner && (seat.away.is_none() || seat.entry.id == own_id);
    if !whole || !seats.iter().all(well) || survey.databases.iter().any(|one| one.read) {
        return None;
    }
    let share = |percent: u64| quota / 100 * percent;
    let why = |one: &Database| {
        let nearly = one.size >= share(NEARLY) && one.in_use < share(WORTH);
        let alone = seats.len() == 1;
        let wasteful = policy.defragmentation.as_ref().is_some_and(|waste| is_due(waste, one, alone, now));
        match (nearly, wasteful) {
            (true, _) => Some(Why::NearlyFull),
            (false, true) => Some(Why::Wasteful),
            (false, false) => None,
        }
    };
    let possible = survey.databases.iter().filter(|one| fits(one) && !resting.contains(&one.id));
    let due = possible.filter(|one| why(one).is_some());
    let id = in_order(facts, due).into_iter().next()?;
    if id == own_id && seats.len() > 1 {
        return heir(seats, own_id).map(|to| Step::HandOver { to });
    }
    let why = survey.databases.iter().find(|one| one.id == id).and_then(why)?;
    Some(Step::Defragment { id, why })
}

/// Whether a database wastes too much. The only member of a cluster keeps everybody waiting: it needs a time for that.
fn is_due(Waste { percent, minimum, window }: &Waste, one: &Database, alone: bool, now: Timestamp) -> bool {
    let waste = one.size.saturating_sub(one.in_use);
    let open = window.as_ref().map_or(!alone, |window| window.is_open(now));
    open && waste >= *minimum && waste >= one.size / 100 * u64::from(*percent)
}

fn fits(one: &Database) -> bool {
    has_room(one.room, one.in_use)
}

/// Whether a new file of so much finds room beside the old one. Where nobody knows the room there is none.
#[must_use]
pub fn has_room(room: Option<u64>, in_use: u64) -> bool {
    const SPARE: u64 = 16 << 20;
    room.is_some_and(|room| room >= in_use / 10 * 12 + SPARE)
}

/// IDs of these: followers first, among them who wastes most.
fn in_order<'a>(facts: Facts<'_>, databases: impl Iterator<Item = &'a Database>) -> Vec<String> {
    let mut all: Vec<&Database> = databases.collect();
    let waste = |one: &Database| one.size.saturating_sub(one.in_use);
    all.sort_by_key(|one| (one.id == facts.own_id, std::cmp::Reverse(waste(one)), one.id.clone()));
    all.into_iter().map(|one| one.id.clone()).collect()
}

/// To whom the leader hands over, if anybody can lead.
#[must_use]
pub fn heir(seats: &[Seat], own_id: &str) -> Option<String> {
    let voters = seats.iter().filter(|seat| !seat.entry.learner);
    let candidates = voters.map(|seat| Candidate {
        id: seat.entry.id.clone(),
        member: seat.entry.member.clone(),
        connected: seat.away.is_none(),
        index: None,
    });
    heirs(candidates.collect(), own_id).into_iter().next().map(|heir| heir.id)
}

impl Why {
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Full => "it had reached its quota",
            Self::NearlyFull => "it had nearly reached its quota",
            Self::Wasteful => "much of it was unused",
        }
    }
}

impl Stuck {
    #[must_use]
    pub fn sentence(self) -> String {
        let mebibytes = |bytes: u64| bytes >> 20;
        match self {
            Self::InUse { in_use, quota } => format!(
                "etcd takes no writes: what is kept fills {} of the {} MiB of its quota; delete keys, or raise \
                 spec.etcd.quotaBackend",
                mebibytes(in_use),
                mebibytes(quota)
            ),
            Self::MayNotCompact { in_use, quota } => format!(
                "etcd takes no writes: keys and their old revisions fill {} of the {} MiB of its quota; delete keys and \
                 compact, raise spec.etcd.quotaBackend, or allow spec.maintenance.emergencyCompaction",
                mebibytes(in_use),
                mebibytes(quota)
            ),
            Self::NoRoom { room: Some(room), in_use } => format!(
                "etcd takes no writes, and its volume has no room to defragment: {} MiB are in use, and {} MiB are free; \
                 make spec.storage.size larger",
                mebibytes(in_use),
                mebibytes(room)
            ),
            Self::NoRoom { room: None, in_use: _ } => {
                "etcd takes no writes, and nobody says whether its volume has room to defragment".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests;
