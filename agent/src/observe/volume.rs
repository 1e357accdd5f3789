//! How the volume is, looked at now and then by a task of its own: a write on a hung disk never returns.

use std::time::{Duration, Instant};

use tokio::{sync::watch, time::sleep};
use tracing::warn;

use crate::volume::{
    Store, Volume,
    room::{Reserve, Room},
    trial::Trial,
};

/// The last look.
#[derive(Debug, Clone, Default)]
pub struct Writable {
    /// What came of the last trial; `None` before the first.
    pub trial: Option<Trial>,
    /// When the trial that is under way began.
    pub trying_since: Option<Instant>,
    /// What was on the volume, and when the look at it began.
    pub found: Option<(Instant, Volume)>,
    /// How the reserve was then; `None` while it could not be looked at.
    pub reserve: Option<Reserve>,
}

/// Whether the volume takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writes {
    /// It has not been tried yet.
    Unknown,
    Fine(Room),
    /// There is little room, or less than there should be is held in reserve against the moment when there is none.
    Scarce(Room),
    /// There is no room: no reason not to serve, since etcd reads, deletes and compacts.
    Full(Room),
    ReadOnly,
    /// To the user of this number.
    Denied(u32),
    Failing(String),
    /// A write has not returned for this long.
    Hung(Duration),
}

/// A trial that takes longer means that the disk hangs: an fsync on a healthy one takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried: a few bytes, so that a volume costs nothing.
const EVERY: Duration = Duration::from_secs(15);

impl Writable {
    /// Whether the volume takes writes now.
    #[must_use]
    pub fn writes(&self, now: Instant) -> Writes {
        let waited = self.trying_since.map(|since| now.duration_since(since));
        if let Some(time) = waited.filter(|time| *time > PATIENCE) {
            return Writes::Hung(time);
        }
        match &self.trial {
            None => Writes::Unknown,
            Some(Trial::Fine(room)) if room.is_scarce() || self.reserve == Some(Reserve::Owed) => Writes::Scarce(*room),
            Some(Trial::Fine(room)) => Writes::Fine(*room),
            Some(Trial::Full(room)) => Writes::Full(*room),
            Some(Trial::ReadOnly) => Writes::ReadOnly,
            Some(Trial::Denied(user)) => Writes::Denied(*user),
            Some(Trial::Failing(why)) => Writes::Failing(why.clone()),
        }
    }
}

impl Writes {
    /// What is free and what there is of it, where that is known.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        match self {
            Self::Fine(room) | Self::Scarce(room) | Self::Full(room) => Some(*room),
            Self::Unknown | Self::ReadOnly | Self::Denied(_) | Self::Failing(_) | Self::Hung(_) => None,
        }
    }

    /// What keeps etcd from serving. A full disk is none: see [`Self::notice`].
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let refused = |why: &str| Some(format!("the volume does not take writes: {why}"));
        match self {
            Self::Unknown | Self::Fine(_) | Self::Scarce(_) | Self::Full(_) => None,
            Self::ReadOnly => refused("its file system is read-only"),
            Self::Denied(user) => refused(&format!("permission denied; it must be writable for user {user}")),
            Self::Failing(why) => refused(why),
            Self::Hung(time) => Some(format!("a write to the volume has not returned for {} s", time.as_secs())),
        }
    }

    /// What a person should know while etcd serves.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let share = |Room { free, total }: &Room| format!("{} of {} MiB are free", free >> 20, total >> 20);
        match self {
            Self::Full(room) => Some(format!("the volume is full: {}", share(room))),
            Self::Scarce(room) => Some(format!("the volume is nearly full: {}", share(room))),
            Self::Unknown | Self::Fine(_) | Self::ReadOnly | Self::Denied(_) | Self::Failing(_) | Self::Hung(_) => None,
        }
    }
}

/// Looks until the receiver is gone.
pub async fn try_now_and_then(store: Store, told: watch::Sender<Writable>) {
    while !told.is_closed() {
        let began = Instant::now();
        told.send_modify(|known| known.trying_since = Some(began));
        let store = store.clone();
        let outcome = tokio::task::spawn_blocking(move || look(&store)).await;
        told.send_modify(|known| {
            known.trying_since = None;
            match outcome {
                Ok((trial, found, reserve)) => {
                    (known.trial, known.found, known.reserve) = (Some(trial), Some((began, found)), reserve);
                }
                Err(error) => known.trial = Some(Trial::Failing(error.to_string())),
            }
        });
        sleep(EVERY).await;
    }
}

fn look(store: &Store) -> (Trial, Volume, Option<Reserve>) {
    let trial = store.try_write();
    let reserve = match (&trial, store.keep_reserve()) {
        (_, Ok(reserve)) => Some(reserve),
        // Why is told by the trial.
        (Trial::Full(_) | Trial::ReadOnly | Trial::Denied(_) | Trial::Failing(_), Err(_)) => None,
        (Trial::Fine(_), Err(error)) => {
            warn!(%error, "cannot hold room in reserve");
            None
        }
    };
    (trial, store.look(), reserve)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { free: 0, total: 1 << 30 };

    fn after(trial: Trial) -> Writes {
        Writable { trial: Some(trial), ..Writable::default() }.writes(Instant::now())
    }

    #[test]
    fn a_full_disk_is_a_notice_and_never_a_reason_not_to_serve() {
        let full = after(Trial::Full(ROOM));
        assert_eq!(full.trouble(), None);
        assert_eq!(full.notice().unwrap(), "the volume is full: 0 of 1024 MiB are free");
    }

    #[test]
    fn little_room_is_told_and_so_is_a_reserve_that_is_used_up() {
        let after = |free: u64, reserve| {
            let room = Room { free: free << 20, total: 512 << 20 };
            Writable { trial: Some(Trial::Fine(room)), reserve, ..Writable::default() }.writes(Instant::now())
        };
        let owed = after(40, Some(Reserve::Owed));
        assert_eq!(owed.trouble(), None);
        assert_eq!(owed.notice().as_deref(), Some("the volume is nearly full: 40 of 512 MiB are free"));
        for reserve in [None, Some(Reserve::Whole), Some(Reserve::Impossible)] {
            assert!(matches!(after(31, reserve), Writes::Scarce(_)), "{reserve:?}: less than the reserve is free");
            assert!(matches!(after(32, reserve), Writes::Fine(_)), "{reserve:?}");
        }
    }

    #[test]
    fn every_other_failure_is_a_trouble_with_its_reason() {
        for trial in [Trial::ReadOnly, Trial::Denied(65_532), Trial::Failing("Input/output error".into())] {
            assert!(after(trial.clone()).trouble().is_some(), "{trial:?}");
        }
        assert!(after(Trial::ReadOnly).trouble().unwrap().contains("read-only"));
    }

    #[test]
    fn a_disk_hangs_once_a_write_has_not_returned_whatever_was_true_before() {
        let began = Instant::now();
        let trying = Writable { trial: Some(Trial::Full(ROOM)), trying_since: Some(began), ..Writable::default() };
        assert_eq!(trying.writes(began + PATIENCE), Writes::Full(ROOM));
        assert_eq!(trying.writes(began + PATIENCE * 2), Writes::Hung(PATIENCE * 2));
    }

    #[test]
    fn what_was_not_tried_is_unknown() {
        assert_eq!(Writable::default().writes(Instant::now()), Writes::Unknown);
    }
}
