//! How a member may start: the part that must be right.
//!
//! A member that comes back under an ID whose disk (votes, log) was lost breaks Raft silently. So an ID may start on an
//! empty disk once in its life, and that must be proven, never guessed. [`start`] returns one step; the caller does it
//! and asks again with fresh facts, so a crash between any two steps is only another beginning:
//!
//! ```text
//! Blank ── Touch ──▶ marked ── Claim ──▶ claim and ID on the mark ─┬─ Bootstrap ──▶ etcd
//!                      │                                           │               │ WAL seen: lived
//!                      │                                           └─ Restore ─────┤ in a cluster that begins with data:
//!                      │                                                           │ a WAL is there by one rename
//!                      ├── WAL on a fitting mark ── Resume ──▶ etcd ◀──────────────┘
//!                      │
//!                      └── everything that needs a new ID, while the others answer (room `join`):
//!                          SetAside ─▶ Renew ─▶ Claim ─▶ Remove (old entries) ─▶ Add, ID on the mark ── Join ──▶ etcd, a learner
//!
//! not wanted any more, while the others answer:  Remove (own entries) ─▶ Retire ─▶ Left, final for this pod
//! while all rests (`spec.paused`): only what brings a member back that is one; the rest waits
//! everything else: Wait (it will pass by itself), Stranded or Hold (a person must look), with the reason
//! ```
//!
//! The proof that an ID never started on another disk: the EtcdMember says `initial` (the coordinator sets it only on
//! objects made before the StatefulSet existed); its claim is this volume's and was *accepted* by the API server (a
//! read may be stale); no volume claimed it before; the mark is not `lived` and names no ID but the initial one. An ID
//! that was added by this member itself needs no such proof: it is fresh, and the mark names it before etcd may start.
//!
//! A cluster may begin with data (`EtcdMember.spec.restore`). Then a founder restores exactly where it would
//! bootstrap, under the same proof, and never bootstraps: all founders begin with the same bytes. From the rename on
//! the data is like any other.

mod facts;
mod join;
mod step;

pub use facts::{Claim, Facts, Identity, Known, Launcher, Object};
pub use step::{Hold, Lost, Snapshot, Start, Wait};

use etcd_operator_shared::api::member::ToldRestore;

use crate::{
    plan::{
        addresses::Launch,
        list::{self, Cluster},
        trust,
    },
    volume::{Mark, Volume, mark::Suspicion, store::Marked},
};

/// Decides the next step. See the module's header for the flow.
#[must_use]
pub fn start(facts: Facts<'_>) -> Start {
    if facts.object.wish(mark_of(facts.volume)).held {
        return Start::Hold(Hold::BySpec);
    }
    let step = step(facts);
    let wait = wait_for_peace(&step, facts).or_else(|| wait_for_addresses(&step, facts));
    match wait.or_else(|| wait_for_certificates(&step, facts)) {
        Some(wait) => Start::Wait(wait),
        None => step,
    }
}

/// What moves data, changes whose it is, or gives the member a place or takes it away, waits while all rests. Also half
/// way: a member that has lost its place is no worse off for it, and what a person wants to look at stays. It waits as
/// well for the word of a launcher that is not heard and may run etcd, or for proof that there is none.
fn wait_for_peace(step: &Start, facts: Facts<'_>) -> Option<Wait> {
    let moves = match step {
        Start::SetAside(_) | Start::Renew { .. } | Start::Retire | Start::Remove { .. } | Start::Add => true,
        Start::Touch
        | Start::Claim { .. }
        | Start::SetLived
        | Start::Trust
        | Start::Bootstrap
        | Start::Restore(_)
        | Start::Resume
        | Start::Join
        | Start::Left
        | Start::Stranded(_)
        | Start::Wait(_)
        | Start::Hold(_) => false,
    };
    match facts.launcher {
        _ if !moves => None,
        _ if facts.object.wish(mark_of(facts.volume)).paused => Some(Wait::Unpaused),
        Launcher::Unheard => Some(Wait::Launcher),
        Launcher::Rests | Launcher::Gone => None,
    }
}

fn mark_of(volume: &Volume) -> Option<&Mark> {
    match volume {
        Volume::Marked(marked) => Some(&marked.mark),
        Volume::Unreadable(_) | Volume::InUse | Volume::Blank | Volume::Unmarked => None,
    }
}

/// The addresses that this step still needs.
fn wait_for_addresses(step: &Start, facts: Facts<'_>) -> Option<Wait> {
    let Facts { me, object, cluster, addresses, .. } = facts;
    let listed = || cluster.list().unwrap_or_default().iter().map(|entry| entry.member.clone()).collect();
    let (launch, wanted): (Launch, Vec<String>) = match (step, object) {
        (Start::Bootstrap | Start::Restore(_), Object::Known(known)) => {
            (Launch::Bootstrap, known.initial_members.clone())
        }
        (Start::Bootstrap | Start::Restore(_), Object::Awaited | Object::Away | Object::Missing) => return None,
        (Start::Resume, _) => (Launch::Resume, addresses.told.clone()),
        (Start::Join | Start::Add, _) => (Launch::Join, listed()),
        (
            Start::Touch
            | Start::Claim { .. }
            | Start::SetLived
            | Start::Trust
            | Start::SetAside(_)
            | Start::Renew { .. }
            | Start::Remove { .. }
            | Start::Retire
            | Start::Left
            | Start::Stranded(_)
            | Start::Wait(_)
            | Start::Hold(_),
            _,
        ) => return None,
    };
    let others: Vec<String> = wanted.into_iter().filter(|name| *name != me.member).collect();
    let missing = addresses.missing(launch, &others);
    match (missing.is_empty(), launch) {
        (true, _) => None,
        (false, Launch::Join) => Some(Wait::Acquaintance(missing)),
        (false, Launch::Bootstrap | Launch::Resume) => Some(Wait::Addresses(missing)),
    }
}

/// Last of all, so that they are awaited together with the addresses.
fn wait_for_certificates(step: &Start, facts: Facts<'_>) -> Option<Wait> {
    match step {
        Start::Bootstrap | Start::Restore(_) | Start::Resume | Start::Join | Start::Add => {
            (!facts.certified).then_some(Wait::Certificates)
        }
        Start::Touch
        | Start::Claim { .. }
        | Start::SetLived
        | Start::Trust
        | Start::SetAside(_)
        | Start::Renew { .. }
        | Start::Remove { .. }
        | Start::Retire
        | Start::Left
        | Start::Stranded(_)
        | Start::Wait(_)
        | Start::Hold(_) => None,
    }
}

fn step(facts: Facts<'_>) -> Start {
    let Facts { me, volume, object, .. } = facts;
    let marked = match volume {
        Volume::Unreadable(why) => return Start::Hold(Hold::Unreadable(why.clone())),
        Volume::InUse => return Start::Wait(Wait::Volume),
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
            Some(if marked.remains { Start::SetAside(Lost::Incarnation) } else { Start::Renew { replacing: false } })
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

/// Whether a volume must be silent because another one has the claim. One that never held a claim has no say yet, and
/// one that joined while the API server was away claims later, unless another ID has the member's URL by now.
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

/// A member that is to leave, and whose etcd does not run: out of the membership at once. While nobody answers it
/// starts like any other, since the others may need its vote to let it go.
fn unwanted(facts: Facts<'_>) -> Option<Start> {
    let Object::Known(known) = facts.object else { return None };
    if !known.is_surplus(facts.me.ordinal) {
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
    if let Some(suspicion) = &mark.suspicion {
        return suspected(facts, marked, &member_id, suspicion);
    }
    match facts.cluster {
        Cluster::Answers(list) if list::with_id(list, &member_id).is_none() => {
            // A member that is alone adds a new entry only after its data is set aside: another volume has its place.
            return match list::of(list, &facts.me.member).next() {
                Some(other) => Start::Hold(Hold::Superseded { by: other.id.clone() }),
                None => join::join(facts, marked, Lost::Removed),
            };
        }
        Cluster::Awaited if facts.expelled => return Start::Wait(Wait::Confirmation),
        // While nobody confirms it etcd's own word is no reason to stay away: one that was forced to be alone takes all
        // others for removed and tells them so, and theirs believe it. With its log intact a member harms nobody by
        // being started, also one that was removed: those that stay tell it again.
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

/// Data on which an etcd ran that was not this member's. A learner that joined takes its ID from the list of whichever
/// member answers first, and that one may lag: what it wrote is nobody's. All other data stays where it is.
fn suspected(facts: Facts<'_>, marked: &Marked, own_id: &str, suspicion: &Suspicion) -> Start {
    let mark = &marked.mark;
    let hold = || Start::Hold(Hold::NotItself(suspicion.clone()));
    match suspicion {
        Suspicion::OtherId { .. } | Suspicion::OtherCluster { .. } if mark.joined && !mark.voted => {
            join::join(facts, marked, Lost::Removed)
        }
        Suspicion::OtherId { .. } | Suspicion::OtherCluster { .. } => hold(),
        Suspicion::Forced { .. } => {
            let Facts { object, neighbours, .. } = facts;
            let missing = trust::missing(trust::Facts { own_id, recorded: &mark.voters, object, neighbours });
            if missing.is_empty() { Start::Trust } else { hold() }
        }
    }
}

/// A fitting mark, and no WAL.
fn without_data(facts: Facts<'_>, marked: &Marked) -> Start {
    let Marked { mark, lived, wal: _, remains } = marked;
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
        // etcd opens a database whether or not there is a WAL, and would take it for its own.
        None if *remains => Start::SetAside(Lost::Leftover),
        None => begin(known),
    }
}

/// An ID begins: empty, or with the data that its cluster begins with; empty only where the token says so too, since a
/// coordinator of before knows of no data. Where nobody serves it, it is waited for, also where others have begun with
/// it and could give it on: who joins gives up the proof that its own ID never ran, and with it a place that nobody
/// else may take from it.
fn begin(known: &Known) -> Start {
    let (told, said) = match (&known.restore, &known.begins_with) {
        (None, None) => return Start::Bootstrap,
        (None, Some(_)) => return Start::Wait(Wait::Snapshot),
        (Some(told), said) => (told, said),
    };
    match told {
        ToldRestore { digest, size, from: Some(from), bump } if said.as_ref().is_none_or(|said| said == digest) => {
            let size = u64::try_from(*size).unwrap_or_default();
            let bump = bump.and_then(|bump| bump.try_into().ok()).unwrap_or_default();
            Start::Restore(Snapshot { digest: digest.clone(), size, from: from.clone(), bump })
        }
        ToldRestore { .. } => Start::Wait(Wait::Snapshot),
    }
}

/// The number to claim with, or `None` when the accepted claim is already on the mark, and an ID with it. Only the
/// answer to a write goes onto the mark, so a claim that was accepted while the agent crashed is written again, one
/// higher.
#[must_use]
pub fn next_claim(mark: &Mark, known: &Known) -> Option<i64> {
    let accepted = holds_claim(mark, known) && mark.member_id.is_some();
    (!accepted).then(|| known.claim.as_ref().map_or(0, |claim| claim.number).max(mark.claim) + 1)
}

/// Whether the claim that stands is this volume's, and the mark knows that it was accepted.
fn holds_claim(mark: &Mark, known: &Known) -> bool {
    known.claim.as_ref().is_some_and(|claim| claim.volume_id == mark.volume_id && claim.number == mark.claim)
}

/// What becomes of data that is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is renamed and kept.
    Kept,
    /// It is deleted: nobody can miss it, or there is no room for a second copy of what the others hold.
    Deleted,
}

/// Decides it. What a learner leaves that never voted is worthless. So is any other data of an incarnation that goes
/// on, since the others have just said that they go on without it: it is kept only where there is room to fetch their
/// copy beside it. What belongs to an incarnation that is given up is nowhere else.
#[must_use]
pub fn fate(lost: Lost, mark: &Mark, bytes: u64, free: u64) -> Fate {
    let goes_on = match lost {
        Lost::Incarnation => false,
        Lost::New | Lost::Data | Lost::Volume | Lost::Proof | Lost::Removed | Lost::Retired => true,
        // It never had a log: nothing was decided on it, and nobody else holds it.
        Lost::Leftover => return Fate::Kept,
    };
    let learner = mark.joined && !mark.voted;
    if goes_on && (learner || free < bytes) { Fate::Deleted } else { Fate::Kept }
}

#[cfg(test)]
mod tests;
