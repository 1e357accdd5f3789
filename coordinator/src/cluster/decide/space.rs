//! Room that grows by itself when keys fill the databases (`spec.storage.autoGrow`).
//!
//! ```text
//!   what is in use fills 80 % of the quota that every member runs with,          everybody serves and nothing else is
//!   and where etcd takes no writes its agents have made all the room they can    under way
//!     ─▶ Volumes   first the volumes, where they are too small for the next quota     as when spec.storage.size is raised
//!     ─▶ Quota     then the quota, half as much more: into the status, and from       as when an option is changed
//!                  there into the options of each member
//!     ─▶ Exhausted where a limit is reached: a person is told
//! ```
//! It goes by nothing that was done before: the quota that members say they run with is the proof that the last step has come into
//! force, and what they hold is judged by that one. The same keys fill less of a larger quota, so that no cause makes it grow twice.
//! Volumes that cannot grow refuse the first of them, in the API server's words, and then nothing has been changed.

use std::fmt;

use etcd_operator_shared::{
    api::{EtcdMemberStatus, cluster::Grown, member::Notice},
    quantity, quota,
    validate::{Limits, Volume, Wanted},
};

use crate::cluster::{
    decide::{refusal::Refusal, step::Waiting},
    facts::{Facts, Readiness},
};

/// etcd's alarm of a database that has reached its quota.
const NO_SPACE: &str = "NOSPACE";

/// What is due so that keys find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// There is enough, or nothing is to be done about it now.
    #[default]
    Enough,
    /// The volumes are to have this size, in bytes.
    Volumes(u64),
    /// The quota is to be this, in bytes.
    Quota(u64),
    /// Only a person can go on.
    Exhausted(Exhausted),
}

/// What has reached its limit. In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    pub in_use: u64,
    pub quota: u64,
    pub limits: Limits,
    /// Whether etcd takes no writes any more.
    pub full: bool,
}

/// What is known of the room. In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub limits: Limits,
    /// What every member runs with.
    pub quota: u64,
    /// What the volumes were made with, or have come to.
    pub volume: u64,
    /// Of the member that holds most.
    pub in_use: u64,
    /// Whether etcd takes no writes any more.
    pub full: bool,
}

impl View {
    /// `size`: how many members there are, all of them well. `None` while not all of them say the same, or may still make room
    /// themselves.
    #[must_use]
    pub fn of(wanted: &Wanted, size: u32, facts: &Facts) -> Option<Self> {
        let limits = wanted.storage.limits?;
        let quota = wanted.etcd.quota_backend;
        let slots: Vec<_> = (0..size).map(|ordinal| facts.slot(ordinal)).collect();
        let said = slots.iter().map(|slot| match slot.readiness() {
            Readiness::Ready(said) => Some(said),
            Readiness::Absent | Readiness::Down | Readiness::Unknown | Readiness::NotReady(_) => None,
        });
        let said: Vec<&EtcdMemberStatus> = said.collect::<Option<_>>()?;
        let run_with_it = |said: &&EtcdMemberStatus| said.db_quota.map(i64::unsigned_abs) == Some(quota);
        let mut alarms = said.iter().flat_map(|said| &said.alarms).map(String::as_str);
        let full = alarms.clone().any(|alarm| alarm == NO_SPACE);
        let stuck = || said.iter().flat_map(|said| &said.notices).any(|one| one.reason == Notice::SPACE_EXHAUSTED);
        if !said.iter().all(run_with_it) || alarms.any(|alarm| alarm != NO_SPACE) || (full && !stuck()) {
            return None;
        }
        let in_use = said.iter().filter_map(|said| said.db_size_in_use).max()?.unsigned_abs();
        let volume = quantity::bytes(&facts.set.as_ref()?.storage.size).ok()?;
        Some(Self { limits, quota, volume, in_use, full })
    }
}

/// What is due next.
#[must_use]
pub fn next(view: View) -> Room {
    let View { limits, quota, volume, in_use, full } = view;
    if in_use < quota / 100 * EtcdMemberStatus::FILLED.unsigned_abs() {
        return Room::Enough;
    }
    let largest = limits.volume.max(volume);
    let target = quota::next(quota).min(limits.quota).min(quota::most(largest));
    if target <= quota {
        Room::Exhausted(Exhausted { in_use, quota, limits, full })
    } else if volume >= quota::needs(target) {
        Room::Quota(target)
    } else {
        Room::Volumes(round(quota::needs(target)).min(largest))
    }
}

/// As volumes are sold: in whole gibibytes, unless they are small.
fn round(volume: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    if volume < 4 * GIB { volume } else { volume.div_ceil(GIB) * GIB }
}

impl Room {
    /// The volumes as they are wanted now.
    #[must_use]
    pub fn volume(self, wanted: &Volume) -> Option<Volume> {
        match self {
            Self::Volumes(bytes) => Some(Volume { size: quantity::text(bytes), bytes, ..wanted.clone() }),
            Self::Enough | Self::Quota(_) | Self::Exhausted(_) => None,
        }
    }

    /// What is waited for, where volumes do not say it.
    #[must_use]
    pub fn waiting(self) -> Option<Waiting> {
        match self {
            Self::Quota(bytes) => {
                let message = format!("keys fill etcd's quota, which rises to {}", quantity::text(bytes));
                Some(Waiting::new("QuotaGrowing", message))
            }
            Self::Enough | Self::Volumes(_) | Self::Exhausted(_) => None,
        }
    }

    #[must_use]
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Exhausted(exhausted) => Some(Refusal::SpaceExhausted(exhausted)),
            Self::Enough | Self::Volumes(_) | Self::Quota(_) => None,
        }
    }

    /// What has grown, as the status tells it. `asked`: the largest that volumes have, or have been asked to have.
    #[must_use]
    pub fn grown(self, wanted: &Wanted, named: &str, asked: Option<&str>, before: Option<Grown>) -> Option<Grown> {
        let before = before.unwrap_or_default();
        let larger = |one: &&str| quota::is_more(one, before.volume_size.as_deref().unwrap_or(named));
        let asked = asked.filter(|_| wanted.storage.limits.is_some()).filter(larger);
        let quota = match self {
            Self::Quota(bytes) => Some(quantity::text(bytes)),
            Self::Enough | Self::Volumes(_) | Self::Exhausted(_) => None,
        };
        let grown = Grown {
            volume_size: asked.map(ToOwned::to_owned).or(before.volume_size),
            quota_backend: quota.or(before.quota_backend),
        };
        (grown != Grown::default()).then_some(grown)
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_use, quota, limits, full } = self;
        let (in_use, quota) = (in_use >> 20, quota >> 20);
        let full = if *full { "etcd takes no writes: " } else { "" };
        let limit = if limits.quota <= quota::most(limits.volume) {
            format!("maxQuota of {}", quantity::text(limits.quota))
        } else {
            format!("maxSize of {}", quantity::text(limits.volume))
        };
        write!(
            f,
            "{full}what is kept fills {in_use} of the {quota} MiB of its quota, which may not grow beyond \
             spec.storage.autoGrow.{limit}: raise that, or delete keys"
        )
    }
}

#[cfg(test)]
mod tests;
