//! What a start depends on.

use etcd_operator_shared::api::member::ToldRestore;

use crate::{
    plan::{addresses::Addresses, list::Cluster, trust::Neighbours},
    volume::{Mark, Volume, mark::Wish},
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
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
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
    /// The data that the member is to begin with where it would begin empty.
    pub restore: Option<ToldRestore>,
    /// Digest of the data that the life begins with, as its token says it.
    pub begins_with: Option<String>,
    pub claim: Option<Claim>,
    pub counter: i64,
    pub stopped: bool,
    /// What a person wants of the member beside its place.
    pub wish: Wish,
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
    /// What the agents of the others say of their volumes.
    pub neighbours: &'a Neighbours,
    pub addresses: &'a Addresses,
    /// Whether there is all that its traffic is to be encrypted with.
    pub certified: bool,
    pub launcher: Launcher,
}

/// Whether a launcher may run etcd without being heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Launcher {
    /// It says that nothing runs.
    Rests,
    /// It is not heard, and its lock on the volume is free: there is none.
    Gone,
    /// It is not heard.
    Unheard,
}

impl Known {
    /// Whether the member of this ordinal is to leave. A wish that may be old is no wish, and nobody leaves while all
    /// rests.
    #[must_use]
    pub fn is_surplus(&self, ordinal: u32) -> bool {
        self.current && !self.stopped && !self.wish.paused && ordinal >= self.size
    }
}

impl Object {
    /// What a person wants of the member, as last heard: the mark keeps it for an agent that hears nobody.
    #[must_use]
    pub fn wish(&self, mark: Option<&Mark>) -> Wish {
        match self {
            Self::Known(known) => known.wish,
            Self::Awaited | Self::Away | Self::Missing => mark.map(|mark| mark.wish).unwrap_or_default(),
        }
    }

    /// What the mark of this member's own volume does not know yet of it.
    #[must_use]
    pub fn news(&self, me: &Identity, mark: &Mark) -> Option<Wish> {
        let Self::Known(known) = self else { return None };
        let own = (&mark.cluster_uid, &mark.member, mark.incarnation) == (&me.cluster_uid, &me.member, me.incarnation);
        let ours = known.cluster_uid == me.cluster_uid && known.incarnation == me.incarnation;
        (own && ours && known.current && known.wish != mark.wish).then_some(known.wish)
    }
}
