//! How a member may start: the part that must be right.
//!
//! A member that comes back under an ID whose disk (votes, log) was lost breaks Raft silently. So an ID may start on an
//! empty disk once in its life, and that must be proven, never guessed. [`start`] returns one step; the caller does it and
//! asks again with fresh facts, so a crash between any two steps is only another beginning:
//!
//! ```text
//! Blank ── Touch ──▶ marked ── Claim ──▶ claim and ID on the mark ── Bootstrap ──▶ etcd
//!                      │                                               │ WAL seen: lived
//!                      └── WAL on a fitting mark ── Resume ──▶ etcd ◀──┘
//! everything else: Wait (it will pass by itself) or Hold (a person must look), with the reason
//! ```
//!
//! The proof that an ID never started on another disk: the EtcdMember says `initial` (the coordinator sets it only on
//! objects made before the StatefulSet existed); its claim is this volume's and was *accepted* by the API server (a read
//! may be stale); no volume claimed it before; the mark is not `lived` and names no ID but the initial one.

use crate::volume::{Mark, Volume, store::Marked};

/// Who this pod is. From the pod's template and etcd's own arithmetic, not from the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub cluster_uid: String,
    /// The incarnation that the pod was made for.
    pub incarnation: i64,
    pub member: String,
}

/// What is known of the member's EtcdMember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The API server was not heard yet; it may answer any moment.
    Awaited,
    /// The API server does not answer.
    Away,
    /// It answered, and there is none.
    Missing,
    Known(Known),
}

/// The parts of an EtcdMember that a start depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub cluster_uid: String,
    pub incarnation: i64,
    pub initial: bool,
    pub initial_members: Vec<String>,
    /// The ID that the member has as an initial member; depends on the token.
    pub initial_id: String,
    pub claim: Option<Claim>,
    pub counter: i64,
    pub stopped: bool,
}

/// A claim as it stands in the EtcdMember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub number: i64,
    pub volume_id: String,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Write the first mark on a blank volume.
    Touch,
    /// Write this claim into the EtcdMember by compare-and-swap, then onto the mark, with the ID that the volume is for.
    Claim { number: i64, member_id: String },
    /// Record that a WAL is here, before anything else.
    SetLived,
    /// Start etcd with `new` and the static list of initial members.
    Bootstrap,
    /// Start etcd on its WAL.
    Resume,
    /// The member needs a new ID: its disk was lost, and the proof of never having started with it.
    Join(Lost),
    /// Something is missing that comes by itself.
    Wait(Wait),
    /// Starting would endanger data.
    Hold(Hold),
}

/// Why a member cannot start under the ID it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The ID ran on this volume, and the data is gone.
    Data,
    /// Another volume has claimed the member.
    Volume,
    /// The EtcdMember was made again, or the member was never an initial one: nothing proves that the ID is unused.
    Proof,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The API server's first answer.
    FirstAnswer,
    /// The API server: an empty volume may not start without it.
    ApiServer,
    /// The coordinator, which makes the EtcdMember.
    Object,
    /// The coordinator's object is of another incarnation than the pod; one of them will be replaced.
    Incarnation,
    /// The cluster is stopped.
    Stopped,
}

/// Why starting would endanger data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    Unreadable(String),
    Unmarked,
    OtherCluster {
        found: String,
    },
    OtherMember {
        found: String,
    },
    /// The volume holds an older life of the data than the pod is for.
    OlderIncarnation {
        found: i64,
    },
    /// The volume holds a newer life of the data than the pod is for.
    NewerIncarnation {
        found: i64,
    },
    /// A higher claim stands in the EtcdMember: another pod or volume speaks for the member.
    Superseded {
        by: String,
    },
    /// The volume is behind what the EtcdMember remembers of it: an older copy was put back.
    OlderCopy {
        volume: i64,
        object: i64,
    },
    /// There is data, but the mark names no ID: it was never meant to start.
    NoIntent,
}

/// Decides the next step. See the module's header for the flow.
#[must_use]
pub fn start(me: &Identity, volume: &Volume, object: &Object) -> Start {
    let marked = match volume {
        Volume::Unreadable(why) => return Start::Hold(Hold::Unreadable(why.clone())),
        Volume::Unmarked => return Start::Hold(Hold::Unmarked),
        Volume::Blank => return Start::Touch,
        Volume::Marked(marked) => marked,
    };
    if let Some(hold) = foreign(me, &marked.mark) {
        return Start::Hold(hold);
    }
    if marked.wal && !marked.lived {
        return Start::SetLived;
    }
    if let Some(step) = unfit(me, marked, object) {
        return step;
    }
    if marked.wal { resume(&marked.mark, object) } else { without_data(me, marked, object) }
}

/// A mark of somebody else's.
fn foreign(me: &Identity, mark: &Mark) -> Option<Hold> {
    let found = || mark.cluster_uid.clone();
    if mark.cluster_uid != me.cluster_uid {
        return Some(Hold::OtherCluster { found: found() });
    }
    if mark.member != me.member {
        return Some(Hold::OtherMember { found: mark.member.clone() });
    }
    if mark.incarnation < me.incarnation {
        return Some(Hold::OlderIncarnation { found: mark.incarnation });
    }
    if mark.incarnation > me.incarnation {
        return Some(Hold::NewerIncarnation { found: mark.incarnation });
    }
    None
}

/// What the EtcdMember has against a start on this volume, whatever is on it.
fn unfit(me: &Identity, marked: &Marked, object: &Object) -> Option<Start> {
    let mark = &marked.mark;
    let known = match object {
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
        // A volume that once held the claim must not speak again; one that never did has no say yet, see `without_data`.
        return (mark.claim > 0 || marked.wal).then(|| Start::Hold(Hold::Superseded { by: claim.volume_id.clone() }));
    }
    let behind = known.counter > mark.counter;
    behind.then_some(Start::Hold(Hold::OlderCopy { volume: mark.counter, object: known.counter }))
}

/// A WAL on a mark that fits.
fn resume(mark: &Mark, object: &Object) -> Start {
    let Some(member_id) = mark.member_id.clone() else { return Start::Hold(Hold::NoIntent) };
    match object {
        Object::Awaited => Start::Wait(Wait::FirstAnswer),
        // Nobody else can have been given the claim while nobody can write it; and a member that was replaced is turned
        // away by its own cluster.
        Object::Away | Object::Missing => Start::Resume,
        Object::Known(known) => match next_claim(mark, known) {
            Some(number) => Start::Claim { number, member_id },
            None => Start::Resume,
        },
    }
}

/// A fitting mark, and no WAL.
fn without_data(me: &Identity, marked: &Marked, object: &Object) -> Start {
    let Marked { mark, lived, wal: _ } = marked;
    if *lived {
        return Start::Join(Lost::Data);
    }
    let known = match object {
        Object::Awaited => return Start::Wait(Wait::FirstAnswer),
        Object::Away => return Start::Wait(Wait::ApiServer),
        Object::Missing => return Start::Wait(Wait::Object),
        Object::Known(known) => known,
    };
    if known.claim.as_ref().is_some_and(|claim| claim.volume_id != mark.volume_id) {
        return Start::Join(Lost::Volume);
    }
    let other_id = mark.member_id.as_ref().is_some_and(|id| *id != known.initial_id);
    if !known.initial || !known.initial_members.contains(&me.member) || other_id {
        return Start::Join(Lost::Proof);
    }
    match next_claim(mark, known) {
        Some(number) => Start::Claim { number, member_id: known.initial_id.clone() },
        None => Start::Bootstrap,
    }
}

/// The number to claim with, or `None` when the accepted claim is already on the mark, and an ID with it. Only the answer to a write goes
/// onto the mark, so a claim that was accepted while the agent crashed is written again, one higher.
fn next_claim(mark: &Mark, known: &Known) -> Option<i64> {
    let standing = known.claim.as_ref().map_or(0, |claim| claim.number);
    let accepted = known.claim.is_some() && mark.claim == standing && mark.member_id.is_some();
    (!accepted).then(|| standing.max(mark.claim) + 1)
}

#[cfg(test)]
mod tests;
