//! Volumes that grow, because `spec.storage.size` was raised, or keys need room ([`super::space`]).
//!
//! ```text
//!   the StatefulSet's claims are smaller than wanted
//!     ─▶ Ask      each claim for the new size                           nothing restarts: the filesystem grows under etcd
//!     ─▶ Wait     until each volume that is in use has it               provisioner and kubelet
//!     ─▶ Release  the StatefulSet is deleted and its pods are left      a StatefulSet never changes its claims' template
//!     ─▶ (gone)   it is made again with the new size, takes the pods    the template of its pods is the same: nothing rolls
//!                 back, and is the latch: there is nothing more to do
//! ```
//! Decided on live reads, and each write names UID and version, so that a crash anywhere is made good by deciding again.
//! A class that cannot grow refuses the first of these, in its own words, and nothing has been changed by then.

use etcd_operator_shared::{names, quantity, validate::Volume};

use crate::cluster::{
    decide::step::Waiting,
    facts::{Claim, Facts, Source, Version},
};

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Growth {
    /// The volumes are as wanted, as far as a StatefulSet's template tells.
    #[default]
    None,
    /// They are not; what there is must be read live.
    Look,
    /// These claims ask for more.
    Ask(Vec<Request>),
    /// Something is under way.
    Wait(Waiting),
    /// The StatefulSet of this version makes room for one with the new size.
    Release(Version),
}

/// One claim that is to ask for more; by UID and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub name: String,
    pub uid: String,
    pub version: Option<String>,
    /// In bytes.
    pub from: u64,
    /// As it is wanted, such as `8Gi`.
    pub to: String,
}

impl Growth {
    /// What is waited for, where nothing else is.
    #[must_use]
    pub fn waiting(&self, facts: &Facts) -> Option<Waiting> {
        match self {
            Self::None | Self::Look => None,
            Self::Ask(requests) => {
                let names: Vec<&str> = requests.iter().map(|request| request.name.as_str()).collect();
                let to = requests.first().map(|request| request.to.as_str()).unwrap_or_default();
                Some(words(format!("{} are to grow to {to}", names.join(", "))))
            }
            Self::Wait(waiting) => Some(waiting.clone()),
            Self::Release(_) => Some(released(facts)),
        }
    }
}

/// What is due next. `settled`: nothing else is under way.
#[must_use]
pub fn next(wanted: &Volume, settled: bool, facts: &Facts) -> Growth {
    let Volume { bytes, size: text, class: _, limits: _ } = wanted;
    let Some(set) = &facts.set else { return Growth::None };
    if set.deleting || quantity::bytes(&set.storage.size).is_ok_and(|made| made >= *bytes) {
        return Growth::None;
    }
    if facts.source == Source::Cache {
        return Growth::Look;
    }
    let claims = || facts.claims.iter().filter(|(_, claim)| !claim.deleting);
    let mut requests: Vec<Request> = claims().filter_map(|(_, claim)| request(claim, wanted)).collect();
    if !requests.is_empty() {
        // Where none has grown yet one is enough to find out whether they can.
        let first = claims().count() == requests.len();
        requests.truncate(if first { 1 } else { requests.len() });
        return Growth::Ask(requests);
    }
    // One that no pod has mounted gets its size when one does.
    let growing = claims().filter(|(ordinal, _)| facts.slot(**ordinal).pod.is_some());
    let growing: Vec<String> = growing.filter_map(|(_, claim)| growing_still(claim, wanted)).collect();
    match growing.as_slice() {
        [] if settled => Growth::Release(set.version.clone()),
        [] => waiting(format!("volumes have {text}; {} is made again once nothing else is under way", set_name(facts))),
        some => waiting(some.join("; ")),
    }
}

/// What is told while the StatefulSet is away, or on its way out.
#[must_use]
pub fn released(facts: &Facts) -> Waiting {
    words(format!("{} is made again, its pods run on", set_name(facts)))
}

fn request(claim: &Claim, wanted: &Volume) -> Option<Request> {
    let size = claim.size.as_ref().filter(|size| size.requested < wanted.bytes)?;
    let (name, uid) = (claim.name.clone(), claim.uid.clone());
    Some(Request { name, uid, version: size.version.clone(), from: size.requested, to: wanted.size.clone() })
}

/// The sentence of a volume that has not grown yet.
fn growing_still(claim: &Claim, wanted: &Volume) -> Option<String> {
    let size = claim.size.as_ref()?;
    let capacity = size.capacity.filter(|capacity| *capacity < wanted.bytes)?;
    let said = size.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    Some(format!("{} grows from {} to {}{said}", claim.name, quantity::text(capacity), wanted.size))
}

fn waiting(message: String) -> Growth {
    Growth::Wait(words(message))
}

fn words(message: String) -> Waiting {
    Waiting::new("VolumesGrowing", message)
}

fn set_name(facts: &Facts) -> String {
    format!("StatefulSet {}", names::stateful_set(&facts.cluster))
}

#[cfg(test)]
mod tests;
