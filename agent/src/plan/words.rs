//! What a person is told when etcd is not started: a CamelCase reason and a sentence for each step that is no start.

use etcd_operator_shared::api::member::MemberPhase;

use super::start::{Hold, Lost, Wait};
use crate::volume::mark::Suspicion;

impl Wait {
    #[must_use]
    pub fn phase(&self) -> MemberPhase {
        match self {
            Self::Turn { .. } => MemberPhase::Joining,
            Self::FirstAnswer
            | Self::ApiServer
            | Self::Object
            | Self::Incarnation
            | Self::Stopped
            | Self::Unpaused
            | Self::Answer
            | Self::Confirmation
            | Self::Launcher
            | Self::Volume
            | Self::Addresses(_)
            | Self::Certificates
            | Self::Snapshot => MemberPhase::Waiting,
            Self::Acquaintance(_) => MemberPhase::Joining,
        }
    }

    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::FirstAnswer | Self::ApiServer => "WaitingForAPIServer",
            Self::Object => "WaitingForCoordinator",
            Self::Incarnation => "WaitingForIncarnation",
            Self::Stopped => "Stopped",
            Self::Unpaused => "Paused",
            Self::Answer => "WaitingForAnswer",
            Self::Confirmation => "WaitingForConfirmation",
            Self::Turn { .. } => "WaitingForTurn",
            Self::Launcher => "LauncherMissing",
            Self::Volume => "VolumeInUse",
            Self::Addresses(_) | Self::Acquaintance(_) => "WaitingForPeers",
            Self::Certificates => "WaitingForCertificate",
            Self::Snapshot => "WaitingForSnapshot",
        }
    }

    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::FirstAnswer => "the API server has not answered yet".into(),
            Self::ApiServer => {
                "the volume holds no data of this member, and without the API server nothing says that it may join"
                    .into()
            }
            Self::Object => "the coordinator has not made this member's EtcdMember yet".into(),
            Self::Incarnation => {
                "this pod belongs to another incarnation of the cluster's data than its EtcdMember".into()
            }
            Self::Stopped => "the cluster is stopped (size 0)".into(),
            Self::Unpaused => {
                "spec.paused is true: this member could go on only under a new ID, or has left, and nothing is touched"
                    .into()
            }
            Self::Answer => "the other members are being asked who is a member".into(),
            Self::Confirmation => {
                "etcd says that it was removed from the cluster; the other members must confirm it".into()
            }
            Self::Turn { behind } => format!("{behind} joins first: members are added one at a time"),
            Self::Volume => "another agent works on the volume; this one goes on when that has ended".into(),
            Self::Launcher => {
                "the etcd container does not say whether etcd runs; nothing is moved before it does".into()
            }
            Self::Addresses(names) => format!("the addresses of {} are not known yet", names.join(", ")),
            Self::Acquaintance(names) => {
                format!("{} must learn this member's address before it is added", names.join(", "))
            }
            Self::Certificates => "the coordinator has not issued this member's certificates yet".into(),
            Self::Snapshot => "nobody serves the data that the cluster begins with; the coordinator sees to it".into(),
        }
    }
}

impl Lost {
    /// A new member only waits; one that lost something may need a person, should nobody ever answer.
    #[must_use]
    pub fn phase(self) -> MemberPhase {
        match self {
            Self::New | Self::Retired | Self::Removed | Self::Leftover => MemberPhase::Joining,
            Self::Data | Self::Volume | Self::Proof | Self::Incarnation => MemberPhase::Held,
        }
    }

    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::New | Self::Retired => "WaitingForQuorum",
            Self::Removed => "Removed",
            Self::Data => "DataLost",
            Self::Volume => "VolumeLost",
            Self::Proof => "NoProofOfFirstStart",
            Self::Incarnation => "OtherIncarnation",
            Self::Leftover => "Starting",
        }
    }

    #[must_use]
    pub fn sentence(self) -> String {
        let what = match self {
            Self::New | Self::Retired => "this member is to join",
            Self::Removed => "this member was removed from the cluster and may join only under a new ID",
            Self::Data => "this member ran on this volume and its data is gone; its old ID may never start again",
            Self::Volume => {
                "this member was claimed by another volume, which is gone; its old ID may never start again"
            }
            Self::Proof => "nothing proves that this member never ran before, so it may not start on an empty volume",
            Self::Incarnation => "this volume holds an older incarnation of the cluster's data",
            Self::Leftover => "this volume holds what a first start left that did not come as far as a log",
        };
        format!("{what}; it joins when a quorum of the other members answers")
    }
}

impl Hold {
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BySpec => "HeldBySpec",
            Self::Unreadable(_) => "VolumeUnreadable",
            Self::Unmarked => "VolumeNotMarked",
            Self::OtherCluster { .. } | Self::OtherMember { .. } => "ForeignVolume",
            Self::OlderIncarnation { .. } | Self::NewerIncarnation { .. } => "OtherIncarnation",
            Self::Superseded { .. } => "Superseded",
            Self::OlderCopy { .. } => "OlderVolumeCopy",
            Self::NoIntent => "VolumeNotMarked",
            Self::NotItself(_) => "NotItself",
            Self::Version(_) => "VersionRefused",
        }
    }

    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::BySpec => "spec.hold names it: etcd is off, and nothing on the volume is touched".into(),
            Self::Unreadable(why) => format!("the volume cannot be read: {why}"),
            Self::Unmarked => "the volume holds etcd's data that no agent put there; nothing is touched".into(),
            Self::OtherCluster { found } => {
                format!("the volume belongs to the EtcdCluster with UID {found}; nothing is touched")
            }
            Self::OtherMember { found } => format!("the volume belongs to member {found}; nothing is touched"),
            Self::OlderIncarnation { found } => {
                format!("the volume holds the older incarnation {found}; nothing is touched")
            }
            Self::NewerIncarnation { found } => {
                format!("the volume holds the newer incarnation {found}; nothing is touched")
            }
            Self::Superseded { by } => {
                format!("another volume or member ID ({by}) speaks for this member now; nothing is touched")
            }
            Self::OlderCopy { volume, object } => {
                format!(
                    "the volume is an older copy of itself (counter {volume}, last seen {object}); nothing is touched"
                )
            }
            Self::NoIntent => "the volume holds data, but its mark names no member ID; nothing is touched".into(),
            Self::NotItself(suspicion) => suspicion.sentence(),
            Self::Version(refused) => refused.sentence(),
        }
    }
}

impl Suspicion {
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::OtherId { found } => {
                format!(
                    "etcd ran on this volume under another member ID ({found}); it was stopped, and nothing is touched"
                )
            }
            Self::OtherCluster { found } => {
                format!("etcd ran on this volume in another cluster ({found}); it was stopped, and nothing is touched")
            }
            Self::Forced { lost } => {
                let lost: Vec<&str> = lost.iter().map(|voter| voter.member.as_str()).collect();
                format!(
                    "etcd on this volume calls itself the only member, as after --force-new-cluster, though nobody \
                     removed {}; it was stopped, and nothing is touched",
                    lost.join(", ")
                )
            }
        }
    }
}
