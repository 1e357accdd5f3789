//! What a volume has lost under a running etcd.
//!
//! etcd keeps its files open and goes on without a word when they are deleted; then the next start finds nothing. So the
//! volume is looked at while all is well, and compared with the mark that the agent remembers.

use super::{Mark, Volume};

/// What is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// Mark and data.
    Everything,
    /// The mark: the data is nobody's.
    Mark,
    /// The WAL, under the same mark.
    Data,
    /// The volume itself: this one has another volume ID.
    Volume { found: String },
}

/// Compares what is `found` on the volume with the mark that etcd runs under. A volume that cannot be read is unknown, not
/// empty; one on which no WAL was seen yet is in its first start.
#[must_use]
pub fn loss(known: &Mark, found: &Volume) -> Option<Loss> {
    match found {
        Volume::Unreadable(_) | Volume::InUse => None,
        Volume::Blank => Some(Loss::Everything),
        Volume::Unmarked => Some(Loss::Mark),
        Volume::Marked(found) if found.mark.volume_id != known.volume_id => {
            Some(Loss::Volume { found: found.mark.volume_id.clone() })
        }
        Volume::Marked(found) => (found.lived && !found.wal).then_some(Loss::Data),
    }
}

impl Loss {
    /// What it means for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = match self {
            Self::Everything => "the volume was emptied".to_owned(),
            Self::Mark => "the mark on the volume is gone".to_owned(),
            Self::Data => "etcd's data on the volume is gone".to_owned(),
            Self::Volume { found } => format!("the volume was exchanged for another ({found})"),
        };
        format!("{what} while etcd runs on it: what it holds in memory and open files ends with its process")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{mark::Identity, store::Marked};

    fn mark(volume_id: &str) -> Mark {
        let identity = Identity {
            cluster_uid: "u".into(),
            incarnation: 1,
            member: "demo-0".into(),
            volume_id: volume_id.into(),
            claim: 1,
            member_id: Some("a".into()),
        };
        Mark::new(identity)
    }

    fn found(mark: Mark, lived: bool, wal: bool) -> Volume {
        Volume::Marked(Marked { mark, lived, wal, remains: wal })
    }

    #[test]
    fn each_loss_under_a_running_etcd_is_told_from_the_others() {
        let seen = |volume| loss(&mark("v"), &volume);
        assert_eq!(seen(Volume::Blank), Some(Loss::Everything));
        assert_eq!(seen(Volume::Unmarked), Some(Loss::Mark));
        assert_eq!(seen(found(mark("v"), true, false)), Some(Loss::Data));
        assert_eq!(seen(found(mark("w"), true, true)), Some(Loss::Volume { found: "w".into() }));
    }

    #[test]
    fn what_changes_by_itself_or_cannot_be_read_is_no_loss() {
        let seen = |volume| loss(&mark("v"), &volume);
        let newer = Mark { counter: 9, voted: true, ..mark("v") };
        assert_eq!(seen(found(newer, true, true)), None, "the agent wrote it since");
        assert_eq!(seen(found(mark("v"), false, false)), None, "a first start has no WAL yet");
        assert_eq!(seen(found(mark("v"), false, true)), None);
        assert_eq!(seen(Volume::Unreadable("input/output error".into())), None);
    }
}
