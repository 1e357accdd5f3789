//! How a member may start: the part that must be right.
//!
//! A member that comes back under an ID whose disk (votes, log) was lost breaks Raft silently. So an ID may start on an
//! empty disk once in its life, and that must be proven, never guessed. [`start`] returns one step; the caller does it and
//! asks again with fresh facts, so a crash between any two steps is only another beginning:
//!
//! ```text
//! Blank ── Touch ──▶ marked ── Claim ──▶ claim and ID on the mark ── Bootstrap ──▶ etcd
//!                      │                                               │ WAL seen: lived
//!                      ├── WAL on a fitting mark ── Resume ──▶ etcd ◀──┘
//!                      │
//!                      └── everything that needs a new ID, while the others answer (room `join`):
//!                          SetAside ─▶ Renew ─▶ Claim ─▶ Remove (old entries) ─▶ Add, ID on the mark ── Join ──▶ etcd, a learner
//!
//! not wanted any more, while the others answer:  Remove (own entries) ─▶ Retire ─▶ Left, final for this pod
//! everything else: Wait (it will pass by itself), Stranded or Hold (a person must look), with the reason
//! ```
//!
//! The proof that an ID never started on another disk: the EtcdMember says `initial` (the coordinator sets it only on
//! objects made before the StatefulSet existed); its claim is this volume's and was *accepted* by the API server (a read
//! may be stale); no volume claimed it before; the mark is not `lived` and names no ID but the initial one. An ID that was
//! added by this member itself needs no such proof: it is fresh, and the mark names it before etcd may start.

mod facts;
mod join;
mod step;

pub use facts::{Claim, Facts, Identity, Known, Object};
pub use step::{Hold, Lost, Start, Wait};

use crate::{
    plan::list::{self, Cluster},
    volume::{Mark, Volume, store::Marked},
};

/// Decides the next step. See the module's header for the flow.
#[must_use]
pub fn start(facts: Facts<'_>) -> Start {
    let Facts { me, volume, object, .. } = facts;
    let marked = match volume {
        Volume::Unreadable(why) => return Start::Hold(Hold::Unreadable(why.clone())),
        Volume::Unmarked => return Start::Hold(Hold::Unmarked),
        Volume::Blank => return Start::Touch,
        Volume::Marked(marked) => marked,
    };
    if let Some(step) = foreign(me, marked, object) {
        return step;
    }
    if has_left(me, &marked.mark, object) {
        return Start::Left;
    }
    if marked.wal && !marked.lived {
        return Start::SetLived;
    }
    if let Some(step) = unfit(facts, marked).or_else(|| unwanted(facts)) {
        return step;
    }
    if marked.mark.retired.is_some() {
        return join::join(facts, marked, Lost::Retired);
    }
    if marked.wal { resume(facts, marked) } else { without_data(facts, marked) }
}

/// A mark of somebody else's, or of another life.
fn foreign(me: &Identity, marked: &Marked, object: &Object) -> Option<Start> {
    let mark = &marked.mark;
    let hold = |hold| Some(Start::Hold(hold));
    if mark.cluster_uid != me.cluster_uid {
        return hold(Hold::OtherCluster { found: mark.cluster_uid.clone() });
    }
    if mark.member != me.member {
        return hold(Hold::OtherMember { found: mark.member.clone() });
    }
    if mark.incarnation > me.incarnation {
        return hold(Hold::NewerIncarnation { found: mark.incarnation });
    }
    if mark.incarnation == me.incarnation {
        return None;
    }
    // Set aside only where pod and object agree on the newer life.
    match object {
        Object::Known(known) if known.cluster_uid == me.cluster_uid && known.incarnation == me.incarnation => {
            Some(if marked.wal { Start::SetAside(Lost::Incarnation) } else { Start::Renew { replacing: false } })
        }
        Object::Awaited => Some(Start::Wait(Wait::FirstAnswer)),
        Object::Away | Object::Missing | Object::Known(_) => hold(Hold::OlderIncarnation { found: mark.incarnation }),
    }
}

/// Left is final for the pod that has: on the mark, and in the EtcdMember should the volume be lost.
fn has_left(me: &Identity, mark: &Mark, object: &Object) -> bool {
    let told = match object {
        Object::Known(known) => known.left.as_ref(),
        Object::Awaited | Object::Away | Object::Missing => None,
    };
    mark.retired.as_ref() == Some(&me.pod_uid) || told == Some(&me.pod_uid)
}

/// What the EtcdMember has against a start on this volume, whatever is on it.
fn unfit(facts: Facts<'_>, marked: &Marked) -> Option<Start> {
    let (me, mark) = (facts.me, &marked.mark);
    let known = match facts.object {
        Object::Awaited => return Some(Start::Wait(Wait::FirstAnswer)),
        Object::Away | Object::Missing => return None,
        Object::Known(known) => known,
    };
    if known.cluster_uid != me.cluster_uid {
        // An object of the same name that another EtcdCluster left behind; the coordinator makes ours.
        return Some(Start::Wait(Wait::Object));
    }
    if known.incarnation != me.incarnation {
        return Some(Start::Wait(Wait::Incarnation));
    }
    if known.stopped {
        return Some(Start::Wait(Wait::Stopped));
    }
    let claim = known.claim.as_ref()?;
    if claim.volume_id != mark.volume_id {
        let hold = || Some(Start::Hold(Hold::Superseded { by: claim.volume_id.clone() }));
        return if speaks_no_more(facts, marked) { hold() } else { None };
    }
    let behind = known.counter > mark.counter;
    behind.then_some(Start::Hold(Hold::OlderCopy { volume: mark.counter, object: known.counter }))
}

/// Whether a volume must be silent because another one has the claim. One that never held a claim has no say yet, and one
/// that joined while the API server was away claims later, unless another ID has the member's URL by now.
fn speaks_no_more(facts: Facts<'_>, marked: &Marked) -> bool {
    let mark = &marked.mark;
    if mark.claim > 0 || !marked.wal {
        return mark.claim > 0;
    }
    let replaced = || {
        let list = facts.cluster.list().unwrap_or_default();
        list::of(list, &facts.me.member).any(|entry| Some(&entry.id) != mark.member_id.as_ref())
    };
    !mark.joined || replaced()
}

/// A member that is to leave, and whose etcd does not run: out of the membership at once. While nobody answers it starts
/// like any other, since the others may need its vote to let it go.
fn unwanted(facts: Facts<'_>) -> Option<Start> {
    let Object::Known(known) = facts.object else { return None };
    if !known.dooms(facts.me.ordinal) {
        return None;
    }
    match facts.cluster {
        Cluster::Awaited => Some(Start::Wait(Wait::Answer)),
        Cluster::Silent(_) => None,
        Cluster::Answers(list) => {
            let entry = list::of(list, &facts.me.member).next();
            Some(entry.map_or(Start::Retire, |entry| Start::Remove { id: entry.id.clone() }))
        }
    }
}

/// A WAL on a mark that fits.
fn resume(facts: Facts<'_>, marked: &Marked) -> Start {
    let mark = &marked.mark;
    let Some(member_id) = mark.member_id.clone() else { return Start::Hold(Hold::NoIntent) };
    if facts.mistaken {
        return join::join(facts, marked, Lost::Removed);
    }
    match facts.cluster {
        Cluster::Answers(list) if list::with_id(list, &member_id).is_none() => {
            // A member that is alone adds a new entry only after its data is set aside: another volume has its place.
            return match list::of(list, &facts.me.member).next() {
                Some(other) => Start::Hold(Hold::Superseded { by: other.id.clone() }),
                None => join::join(facts, marked, Lost::Removed),
            };
        }
        Cluster::Awaited | Cluster::Silent(_) if facts.expelled => return Start::Wait(Wait::Confirmation),
        Cluster::Answers(_) | Cluster::Awaited | Cluster::Silent(_) => {}
    }
    match facts.object {
        Object::Awaited => Start::Wait(Wait::FirstAnswer),
        // Nobody else can have been given the claim while nobody can write it; and a member that was replaced is turned
        // away by its own cluster.
        Object::Away | Object::Missing => Start::Resume,
        Object::Known(known) => match next_claim(mark, known) {
            Some(number) => Start::Claim { number, member_id: Some(member_id) },
            None => Start::Resume,
        },
    }
}

/// A fitting mark, and no WAL.
fn without_data(facts: Facts<'_>, marked: &Marked) -> Start {
    let Marked { mark, lived, wal: _, remains: _ } = marked;
    if *lived {
        return join::join(facts, marked, Lost::Data);
    }
    let known = match facts.object {
        Object::Awaited => return Start::Wait(Wait::FirstAnswer),
        Object::Missing => return Start::Wait(Wait::Object),
        Object::Away => return join::join(facts, marked, Lost::Proof),
        Object::Known(known) => known,
    };
    let founder = known.initial_members.contains(&facts.me.member);
    if known.claim.as_ref().is_some_and(|claim| claim.volume_id != mark.volume_id) {
        return join::join(facts, marked, Lost::Volume);
    }
    let other_id = mark.member_id.as_ref().is_some_and(|id| *id != known.initial_id);
    if !known.initial || !founder || other_id || mark.joined || mark.replacing {
        return join::join(facts, marked, if founder { Lost::Proof } else { Lost::New });
    }
    if facts.cluster.list().is_some_and(|list| list::with_id(list, &known.initial_id).is_none()) {
        return join::join(facts, marked, Lost::Removed);
    }
    match next_claim(mark, known) {
        Some(number) => Start::Claim { number, member_id: Some(known.initial_id.clone()) },
        None => Start::Bootstrap,
    }
}

/// The number to claim with, or `None` when the accepted claim is already on the mark, and an ID with it. Only the answer to a write goes
/// onto the mark, so a claim that was accepted while the agent crashed is written again, one higher.
#[must_use]
pub fn next_claim(mark: &Mark, known: &Known) -> Option<i64> {
    let accepted = holds_claim(mark, known) && mark.member_id.is_some();
    (!accepted).then(|| known.claim.as_ref().map_or(0, |claim| claim.number).max(mark.claim) + 1)
}

/// Whether the claim that stands is this volume's, and the mark knows that it was accepted.
fn holds_claim(mark: &Mark, known: &Known) -> bool {
    known.claim.as_ref().is_some_and(|claim| claim.volume_id == mark.volume_id && claim.number == mark.claim)
}

#[cfg(test)]
mod tests;
