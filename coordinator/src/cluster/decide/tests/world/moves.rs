//! Volumes of other classes, and members that move to them: a member whose volume is another than the one that its data is on has
//! none, until it has joined anew.

use std::collections::BTreeSet;

use super::World;
use crate::cluster::{
    decide::step::Renewal,
    facts::{Claim, ClaimSize, Facts, Source, tests::claim},
};

/// One claim, and the volume behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    pub uid: u64,
    pub class: u8,
    /// It stays until its pod is gone.
    pub deleting: bool,
}

/// Name of a class.
pub fn class(number: u8) -> String {
    format!("class-{number}")
}

impl Volume {
    /// As a cache shows it.
    pub fn seen(self, ordinal: u32) -> Claim {
        Claim { uid: self.uid.to_string(), deleting: self.deleting, ..claim(ordinal) }
    }
}

impl World {
    /// As the API server shows it just now.
    pub fn live(&self) -> Facts {
        let mut facts = Facts { source: Source::Live, ..self.facts() };
        for (ordinal, claim) in &mut facts.claims {
            let (class, requested) = (Some(class(self.claims[ordinal].class)), 8 << 30);
            claim.size = Some(ClaimSize { version: None, class, requested, capacity: Some(requested), said: None });
        }
        facts
    }

    /// Those whose etcd does not run, or has no data.
    pub(super) fn unable(&self) -> BTreeSet<u32> {
        let lost = self.etcd.iter().copied().filter(|ordinal| self.is_lost(*ordinal));
        self.down.iter().copied().chain(lost).collect()
    }

    /// Whether a member's data is on another volume than the one that is there.
    pub fn is_lost(&self, ordinal: u32) -> bool {
        let there = self.claims.get(&ordinal).map(|volume| volume.uid);
        self.disks.get(&ordinal).is_some_and(|disk| Some(*disk) != there)
    }

    /// A claim goes, and its pod where the coordinator gets that far. All others have what this member has.
    pub(super) fn renew(&mut self, renewal: &Renewal, whole: bool) {
        let Some(ordinal) = (0..8).find(|ordinal| claim(*ordinal).name == renewal.volume.name) else { return };
        if self.etcd.contains(&ordinal) {
            assert!(self.etcd.len() > 3, "{ordinal} goes while there are {:?}", self.etcd);
            for other in self.etcd.iter().filter(|other| **other != ordinal) {
                let well = self.pods.contains_key(other) && !self.unable().contains(other);
                assert!(well, "{ordinal} goes while {other} is away or on its way");
            }
        }
        let volume = self.claims.get_mut(&ordinal).filter(|volume| volume.uid.to_string() == renewal.volume.uid);
        let Some(volume) = volume else { return };
        volume.deleting = true;
        if whole {
            self.pods.retain(|_, pod| renewal.pod.as_ref().is_none_or(|gone| gone.uid != pod.uid));
        }
    }
}
