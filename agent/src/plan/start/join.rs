//! Joining under a new ID: for a member that grows the cluster, and for one whose disk, data or place was lost.
//!
//! ```text
//!   data that is nobody's any more ─▶ SetAside ─▶ Renew ─▶ Claim ─▶ Remove every entry with my URL ─▶ Add ─▶ Join
//! ```
//! The claim is not for the ID, which is fresh: it silences a twin, a pod of the same name on a node that was cut off, before
//! its place is taken. With the API server away it follows later.
//!
//! Guarantees: nothing is touched before the others have answered linearizably and the member is wanted; an entry is taken
//! over only if this volume's mark names its ID and no WAL was ever written under it. A list never proves that a member did
//! not start, so every other entry with this member's URL goes.

use super::{Facts, Lost, Marked, Object, Start, Wait, holds_claim};
use crate::plan::list::{self, Cluster, Entry};

pub(super) fn join(facts: Facts<'_>, marked: &Marked, lost: Lost) -> Start {
    let mark = &marked.mark;
    let list = match (facts.cluster, facts.object) {
        (_, Object::Awaited) => return Start::Wait(Wait::FirstAnswer),
        (_, Object::Missing) => return Start::Wait(Wait::Object),
        (Cluster::Awaited, Object::Away | Object::Known(_)) => return Start::Wait(Wait::Answer),
        (Cluster::Silent(_), Object::Away) if lost == Lost::Proof => return Start::Wait(Wait::ApiServer),
        (Cluster::Silent(_), Object::Away | Object::Known(_)) => return Start::Stranded(lost),
        (Cluster::Answers(list), Object::Away | Object::Known(_)) => list,
    };
    if !is_wanted(facts, mark.replacing, list) {
        return Start::Wait(Wait::ApiServer);
    }
    if marked.remains {
        return Start::SetAside(lost);
    }
    let fresh = !marked.lived && mark.retired.is_none() && (mark.replacing || mark.joined);
    if !fresh {
        return Start::Renew { replacing: true };
    }
    if let Some(number) = claim_first(facts, marked) {
        return Start::Claim { number, member_id: mark.member_id.clone() };
    }
    if mark.joined && mark.member_id.as_ref().is_some_and(|id| list::with_id(list, id).is_some()) {
        return Start::Join;
    }
    if let Some(old) = list::of(list, &facts.me.member).next() {
        return Start::Remove { id: old.id.clone() };
    }
    match list.iter().find(|entry| is_on_its_way(entry)) {
        Some(other) => Start::Wait(Wait::Turn { behind: other.member.clone() }),
        None => Start::Add,
    }
}

/// The number to claim with, when the API server is there to take it.
fn claim_first(facts: Facts<'_>, marked: &Marked) -> Option<i64> {
    let Object::Known(known) = facts.object else { return None };
    let standing = known.claim.as_ref().map_or(0, |claim| claim.number);
    (known.current && !holds_claim(&marked.mark, known)).then(|| standing.max(marked.mark.claim) + 1)
}

/// Whether the member shall be one. With the API server away the membership itself says so: the member's URL is in it, or it
/// was until this volume removed it.
fn is_wanted(facts: Facts<'_>, replacing: bool, list: &[Entry]) -> bool {
    match facts.object {
        Object::Known(known) if known.current => !known.is_surplus(facts.me.ordinal),
        Object::Known(_) | Object::Away => replacing || list::of(list, &facts.me.member).next().is_some(),
        Object::Awaited | Object::Missing => false,
    }
}

/// A learner, or a member that was added and has not said that it runs. etcd refuses a second one; this only says it sooner.
fn is_on_its_way(entry: &Entry) -> bool {
    entry.learner
}
