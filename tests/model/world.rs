//! The world, small enough to be visited whole: objects, pods, volumes and etcd's processes of one cluster.
//!
//! ```text
//!   user ── wish ──▶ coordinator ── replicas, EtcdMembers ──▶ API server ── pods ──▶ kubelet
//!                                                                │ views, late        │
//!   volume: mark, lived, WAL (ID, term, log) ◀──────── agent ◀───┘       launcher ◀───┘
//!                             ▲                          └── orders, late ──▶ │
//!                             └────────────── etcd ◀──────────────────────────┘
//! ```
//! Everything is a small number, so that equal situations are equal values: a volume ID, a pod's UID and an ID that etcd
//! gives out are numbered within their seat.

use crate::{budget::Budget, config::Config};

/// Ordinals that the world has room for.
pub const SEATS: usize = if cfg!(feature = "five") { 5 } else { 3 };
/// Where a pod may be: the seats, and the node that was cut off.
pub const PLACES: usize = SEATS + 1;
/// The place of a pod whose node was cut off: it goes on while its successor has its seat.
pub const GHOST: usize = SEATS;

/// etcd's ID of a member. Those below [`GIVEN_OUT`] are of initial members, by incarnation and ordinal; the others are given out.
pub type Id = u8;
/// A set of IDs.
pub type Ids = u32;

/// Entries that a log has room for.
pub const LOG: usize = 20;
/// The first ID that etcd gives out.
pub const GIVEN_OUT: Id = 2 * SEATS as Id;
/// IDs that etcd gives out for one seat: what a set of IDs has room for.
pub const FRESH: u8 = if cfg!(feature = "five") { 4 } else { 8 };

/// ID of an initial member.
#[must_use]
pub fn initial_id(incarnation: u8, seat: usize) -> Id {
    (incarnation - 1) * SEATS as u8 + seat as u8
}

/// The ordinal whose URL an ID has.
#[must_use]
pub fn seat_of(id: Id) -> usize {
    if id < GIVEN_OUT { usize::from(id) % SEATS } else { usize::from((id - GIVEN_OUT) / FRESH) }
}

#[must_use]
pub fn bit(id: Id) -> Ids {
    1 << id
}

/// The IDs of a set.
pub fn ids(set: Ids) -> impl Iterator<Item = Id> {
    (0..32).filter(move |id| set & bit(*id) != 0)
}

/// A whole situation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// Desired number of members; 0 stops the cluster.
    pub wish: u8,
    pub replicas: u8,
    /// A fall of the replicas that was decided and is not written yet.
    pub lowering: Option<u8>,
    pub incarnation: u8,
    /// Whether the user lets all rest.
    pub paused: bool,
    /// Whether a person gave the present incarnation up and its pods are being stopped.
    pub ending: bool,
    /// Whether the coordinator knows that the cluster has formed.
    pub formed: bool,
    pub lives: [Life; 2],
    pub seats: [Seat; SEATS],
    pub ghost: Option<Ghost>,
    /// A request that was given up by its sender and is still on its way.
    pub stray: Option<Stray>,
    /// A copy of a seat's volume that somebody took.
    pub copy: Option<(u8, Volume)>,
    pub api: bool,
    /// Who serves what a life begins with.
    pub server: Server,
    /// IDs that have run on a volume.
    pub ran: Ids,
    /// IDs that have told their cluster that they run.
    pub started: Ids,
    /// IDs whose volume, or proof that they are unused, a fault destroyed.
    pub lost: Ids,
    pub budget: Budget,
}

/// One incarnation's data: what its members have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Life {
    pub founders: u8,
    /// Whether it begins with data, and not empty.
    pub restored: bool,
    /// The membership at the beginning of the log.
    pub base: Config,
    /// What was committed, in order, as far as not everybody has it; the first entry stands for all that everybody has.
    /// Empty until a founder starts.
    pub log: [Entry; LOG],
    pub len: u8,
    /// Whether the first entry stands for more than the founding.
    pub forgot: bool,
}

/// Who serves what a life begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Server {
    Serves,
    /// Nobody, and the members are told so.
    Away,
    /// The members are told of no data at all, as by a coordinator of before.
    Untold,
    /// Somebody has the address who serves other bytes.
    Lies,
}

/// An entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The founders' configuration.
    Founded,
    /// A client's write, acknowledged.
    Write,
    AddLearner(Id),
    /// Only a planted mistake adds a voter.
    AddVoter(Id),
    Promote(Id),
    Remove(Id),
}

/// One ordinal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seat {
    pub object: Option<Object>,
    pub pod: Option<Pod>,
    pub volume: Option<Volume>,
    /// How many of each were made for this seat: what names the next.
    pub objects: u8,
    pub pods: u8,
    /// Volume IDs.
    pub drawn: u8,
    /// IDs that etcd gave out.
    pub added: u8,
}

/// A pod on a node that the API server lost, with the volume that it has there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ghost {
    pub seat: u8,
    pub pod: Pod,
    pub volume: Volume,
}

/// An EtcdMember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    pub notes: Notes,
    /// The pod whose agent wrote last.
    pub spoke: Option<u8>,
    pub told: Option<Told>,
}

/// What an agent reads in its EtcdMember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notes {
    /// Which object of its seat it is.
    pub made: u8,
    pub incarnation: u8,
    pub initial: bool,
    pub size: u8,
    pub stopped: bool,
    pub paused: bool,
    /// In a life that begins with data: whether it is told where that is served.
    pub restore: Option<bool>,
    /// Number and volume ID.
    pub claim: Option<(u8, u8)>,
    pub counter: u8,
    /// The pod whose member has left.
    pub left: Option<u8>,
}

/// The membership as a leader's agent told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Told {
    pub term: u8,
    /// The ordinals on the list.
    pub seats: u8,
    /// Whether it was read after the agent knew the object's present spec.
    pub fresh: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pod {
    pub uid: u8,
    pub incarnation: u8,
    pub agent: Agent,
    /// An order on its way to the launcher.
    pub order: Option<Order>,
    pub process: Process,
    /// The launcher's last order.
    pub ordered: Option<Order>,
    /// Whether etcd ended because it found itself removed.
    pub expelled: bool,
    /// Whether it was reported that its member has left.
    pub has_left: bool,
}

/// What an agent forgets when it dies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Agent {
    pub view: View,
    /// The mark as it remembers it, where the volume has another by now.
    pub memory: Option<Mark>,
    /// The answer that it has and did not write down yet.
    pub answer: Option<Answer>,
    /// Whether its watch hangs without its knowing.
    pub blind: bool,
    /// Whether it does not hear the launcher.
    pub deaf: bool,
    /// Whether the API server does not take what it writes.
    pub mute: bool,
    /// How much of the log the list shows that it heard and did not act on yet; only where answers are late.
    pub heard: Option<u8>,
    /// How far the data is that its cluster begins with.
    pub half: Option<Half>,
}

/// Data on its way; whether it is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    Fetched {
        right: bool,
    },
    /// A data directory, beside its place.
    Made {
        right: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    Unheard,
    Missing,
    Seen(Notes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The claim with this number was accepted for this volume ID; the mark is to name this ID, if any yet.
    Claimed { number: u8, volume_id: u8, id: Option<Id> },
    /// The member was added with this ID.
    Added(Id),
    /// Only a planted mistake: the data is still to be renamed.
    Rename,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    pub how: How,
    pub ident: Ident,
}

/// How etcd is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// With `new`, and the token of this incarnation.
    New(u8),
    OnDisk,
    /// With `existing`.
    Added,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Process {
    Idle,
    /// The launcher starts it again by itself.
    Pausing,
    Running {
        leads: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Volume {
    pub mark: Option<Mark>,
    /// The volume ID under which a WAL was seen.
    pub lived: Option<u8>,
    pub wal: Option<Wal>,
    /// Whether a database lies there without a WAL.
    pub database: bool,
    /// Whether the files are gone and only a running etcd still has them.
    pub unlinked: bool,
    /// Whether it is an older copy put back.
    pub rolled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    pub ident: Ident,
    pub joined: bool,
    pub replacing: bool,
    pub retired: Option<u8>,
    pub counter: u8,
    /// The voters of the last list that was trusted; only where something is forced.
    pub voters: Ids,
    pub suspicion: Option<Suspicion>,
}

/// What was wrong with the etcd that ran on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suspicion {
    OtherId,
    Forced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ident {
    pub incarnation: u8,
    pub volume_id: u8,
    pub claim: u8,
    pub id: Option<Id>,
}

/// etcd's own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wal {
    pub incarnation: u8,
    pub id: Id,
    pub term: u8,
    /// How much of the life's log it has.
    pub len: u8,
    /// Whether it knows that the last change of the membership in it is committed: only then it acts on it.
    pub knows: bool,
    /// Whether it is left behind until it is caught up with.
    pub slow: bool,
    /// Whether it was made the data of a cluster of this member alone.
    pub forced: bool,
    /// Whether it was restored, and no etcd has run on it yet.
    pub fresh: bool,
}

/// A request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stray {
    /// To etcd: this change.
    Act(Entry),
    /// To the API server: the claim, with the volume's counter, over the object as it was read.
    Claim { seat: u8, over: Notes, number: u8, volume_id: u8, counter: u8 },
}
