//! What may come of it: one step, or the reason why there is none.

use crate::{plan::version::Refused, volume::mark::Suspicion};

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Start {
    /// Write the first mark on a blank volume.
    Touch,
    /// Write this claim into the EtcdMember by compare-and-swap, then onto the mark, with the ID that the volume is
    /// for. A member that is about to join has none yet.
    Claim { number: i64, member_id: Option<String> },
    /// Record that a WAL is here, before anything else.
    SetLived,
    /// Forget what was suspected of this volume's etcd, and the voters that are gone: it was cleared up.
    Trust,
    /// Start etcd with `new` and the static list of initial members.
    Bootstrap,
    /// Put the data in place that the cluster begins with, where etcd would otherwise begin empty: fetch it, have a
    /// data directory made of it beside the place, and rename that. Asked for until it is there; whatever was not
    /// finished is begun anew.
    Restore(Snapshot),
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

/// The data that a founder begins with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// SHA-256 of the file, in hexadecimal: no other bytes will do.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// Address and port where it is served.
    pub from: String,
    /// By how much the revision in it is raised, and all before forgotten; 0: not at all.
    pub bump: u64,
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
    /// A first start did not come as far as a log.
    Leftover,
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
    /// All rests (`spec.paused`), and the next step would change the membership or move data.
    Unpaused,
    /// The others, who are being asked.
    Answer,
    /// etcd said that it was removed; the others must confirm it.
    Confirmation,
    /// Another member is being added: one at a time.
    Turn { behind: String },
    /// The agent that has the volume's lock: a predecessor that is just ending, or another pod on the same volume.
    Volume,
    /// The launcher's word, or proof that there is none: it may run etcd on what is to be moved.
    Launcher,
    /// The addresses of these members: etcd would ask DNS for them too early.
    Addresses(Vec<String>),
    /// These members, until they know this one's address: their etcd looks for it as soon as it is added.
    Acquaintance(Vec<String>),
    /// Certificates: etcd ends when it starts without the files that it is told of, and a place in the membership is of
    /// no use before.
    Certificates,
    /// The data that the cluster begins with: nobody serves it now.
    Snapshot,
}

/// Why etcd stays off until a person acts: else starting would endanger data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hold {
    /// A person holds it (`spec.hold`): nothing on the volume is touched.
    BySpec,
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
    /// etcd ran here as another member, or another cluster's.
    NotItself(Suspicion),
    /// This version of etcd cannot go on with what is here.
    Version(Refused),
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
            | Self::Wait(
                Wait::Answer
                | Wait::Confirmation
                | Wait::Turn { .. }
                | Wait::ApiServer
                | Wait::Unpaused
                | Wait::Acquaintance(_)
                | Wait::Snapshot,
            ) => true,
            Self::Touch
            | Self::Claim { .. }
            | Self::SetLived
            | Self::Trust
            | Self::Bootstrap
            | Self::Restore(_)
            | Self::Resume
            | Self::Left
            | Self::Wait(
                Wait::FirstAnswer
                | Wait::Object
                | Wait::Incarnation
                | Wait::Stopped
                | Wait::Launcher
                | Wait::Volume
                | Wait::Addresses(_)
                | Wait::Certificates,
            )
            | Self::Hold(_) => false,
        }
    }
}
