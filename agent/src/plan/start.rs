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
//!                          SetAside ─▶ Renew ─▶ Remove (old entries) ─▶ Add ─▶ ID on the mark ── Join ──▶ etcd, a learner
//!
//! not wanted any more, while the others answer:  Remove (own entries) ─▶ Retire ─▶ Left, final for this pod
//! everything else: Wait (it will pass by itself), Stranded or Hold (a person must look), with the reason
//! ```
//!
//! The proof that an ID never started on another disk: the EtcdMember says `initial` (the coordinator sets it only on
//! objects made before the StatefulSet existed); its claim is this volume's and was *accepted* by the API server (a read
//! may be stale); no volume claimed it before; the mark is not `lived` and names no ID but the initial one. An ID that was
//! added by this member itself needs no such proof: it is fresh, and the mark names it before etcd may start.

mod join;

use crate::{
    plan::list::{self, Cluster},
    volume::{Mark, Volume, store::Marked},
};

/// Who this pod is. From the pod's template and etcd's own arithmetic, not from the API server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    pub cluster_uid: String,
    /// The incarnation that the pod was made for.
    pub incarnation: i64,
    pub member: String,
    /// Number of the member within its cluster.
    pub ordinal: u32,
    /// What tells this pod from its predecessors of the same name.
    pub pod_uid: String,
}

/// What is known of the member's EtcdMember.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// Desired number of members.
    pub size: u32,
    /// The pod whose member has left for good, if one has.
    pub left: Option<String>,
    /// Whether the watch on it works now; otherwise it is what was last seen, and the wish may have changed.
    pub current: bool,
}

/// A claim as it stands in the EtcdMember.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    pub number: i64,
    pub volume_id: String,
}

/// All that a start depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub me: &'a Identity,
    pub volume: &'a Volume,
    pub object: &'a Object,
    /// What the other members say. Asked only where a step needs it, see [`Start::needs_list`].
    pub cluster: &'a Cluster,
    /// Whether etcd's last run ended because it found itself removed.
    pub expelled: bool,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// Rename the data away, fsync: it is not this member's any more, and nothing is deleted.
    SetAside(Lost),
    /// Write a fresh mark with a new volume ID over one whose data is gone or set aside. `replacing` bars it from ever
    /// bootstrapping.
    Renew { replacing: bool },
    /// Remove this entry of the membership, which has this member's URL.
    Remove { id: String },
    /// Add this member as a learner, then write the ID that it was given onto the mark.
    Add,
    /// Start etcd with `existing` and the list of members, as the learner that the mark names.
    Join,
    /// Write onto the mark that this pod's member has left.
    Retire,
    /// This pod's member is out of the cluster for good.
    Left,
    /// The member needs a new ID, and nobody answers who could give it one.
    Stranded(Lost),
    /// Something is missing that comes by itself.
    Wait(Wait),
    /// Starting would endanger data.
    Hold(Hold),
}

/// Why a member cannot start under the ID it had, or never had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lost {
    /// It is new: the cluster grows.
    New,
    /// The ID ran on this volume, and the data is gone.
    Data,
    /// Another volume has claimed the member.
    Volume,
    /// The EtcdMember was made again, or nothing else proves that the ID is unused.
    Proof,
    /// The ID is not in the membership any more.
    Removed,
    /// The member left with a former pod.
    Retired,
    /// The volume holds an older incarnation.
    Incarnation,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// etcd said that it was removed; the others must confirm it.
    Confirmation,
    /// Another member is being added: one at a time.
    Turn { behind: String },
}

/// Why starting would endanger data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

impl Start {
    /// Whether the others' list is what this step lacks, or rests on.
    #[must_use]
    pub fn needs_list(&self) -> bool {
        match self {
            Self::SetAside(_)
            | Self::Renew { .. }
            | Self::Remove { .. }
            | Self::Add
            | Self::Join
            | Self::Retire
            | Self::Stranded(_)
            | Self::Wait(Wait::Confirmation | Wait::Turn { .. } | Wait::ApiServer) => true,
            Self::Touch
            | Self::Claim { .. }
            | Self::SetLived
            | Self::Bootstrap
            | Self::Resume
            | Self::Left
            | Self::Wait(Wait::FirstAnswer | Wait::Object | Wait::Incarnation | Wait::Stopped)
            | Self::Hold(_) => false,
        }
    }
}

impl Known {
    /// Whether the member of this ordinal is to leave. A wish that may be old is no wish.
    #[must_use]
    pub fn dooms(&self, ordinal: u32) -> bool {
        self.current && !self.stopped && ordinal >= self.size
    }
}

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
    let list = facts.cluster.list()?;
    let entry = list::of(list, &facts.me.member).next();
    Some(entry.map_or(Start::Retire, |entry| Start::Remove { id: entry.id.clone() }))
}

/// A WAL on a mark that fits.
fn resume(facts: Facts<'_>, marked: &Marked) -> Start {
    let mark = &marked.mark;
    let Some(member_id) = mark.member_id.clone() else { return Start::Hold(Hold::NoIntent) };
    match facts.cluster {
        Cluster::Answers(list) if list::with_id(list, &member_id).is_none() => {
            return join::join(facts, marked, Lost::Removed);
        }
        Cluster::Silent(_) if facts.expelled => return Start::Wait(Wait::Confirmation),
        Cluster::Answers(_) | Cluster::Silent(_) => {}
    }
    match facts.object {
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
fn without_data(facts: Facts<'_>, marked: &Marked) -> Start {
    let Marked { mark, lived, wal: _ } = marked;
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
        Some(number) => Start::Claim { number, member_id: known.initial_id.clone() },
        None => Start::Bootstrap,
    }
}

/// The number to claim with, or `None` when the accepted claim is already on the mark, and an ID with it. Only the answer to a write goes
/// onto the mark, so a claim that was accepted while the agent crashed is written again, one higher.
#[must_use]
pub fn next_claim(mark: &Mark, known: &Known) -> Option<i64> {
    let standing = known.claim.as_ref().map_or(0, |claim| claim.number);
    let mine = known.claim.as_ref().is_some_and(|claim| claim.volume_id == mark.volume_id);
    let accepted = mine && mark.claim == standing && mark.member_id.is_some();
    (!accepted).then(|| standing.max(mark.claim) + 1)
}

#[cfg(test)]
mod tests;
