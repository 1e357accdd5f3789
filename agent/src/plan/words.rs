//! What a person is told when etcd is not started: a CamelCase reason and a sentence for each step that is no start.

use super::start::{Hold, Lost, Wait};

impl Wait {
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::FirstAnswer | Self::ApiServer => "WaitingForAPIServer",
            Self::Object => "WaitingForCoordinator",
            Self::Incarnation => "WaitingForIncarnation",
            Self::Stopped => "Stopped",
        }
    }

    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::FirstAnswer => "the API server has not answered yet",
            Self::ApiServer => {
                "the volume is empty, and without the API server nothing proves that this member never ran"
            }
            Self::Object => "the coordinator has not made this member's EtcdMember yet",
            Self::Incarnation => "this pod belongs to another incarnation of the cluster's data than its EtcdMember",
            Self::Stopped => "the cluster is stopped (size 0)",
        }
    }
}

impl Lost {
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Data => "DataLost",
            Self::Volume => "VolumeLost",
            Self::Proof => "NoProofOfFirstStart",
        }
    }

    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Data => "this member ran on this volume and its data is gone; its old ID may never start again",
            Self::Volume => {
                "this member was claimed by another volume, which is gone; its old ID may never start again"
            }
            Self::Proof => "nothing proves that this member never ran before, so it may not start on an empty volume",
        }
    }
}

impl Hold {
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "VolumeUnreadable",
            Self::Unmarked => "VolumeNotMarked",
            Self::OtherCluster { .. } | Self::OtherMember { .. } => "ForeignVolume",
            Self::OlderIncarnation { .. } | Self::NewerIncarnation { .. } => "OtherIncarnation",
            Self::Superseded { .. } => "Superseded",
            Self::OlderCopy { .. } => "OlderVolumeCopy",
            Self::NoIntent => "VolumeNotMarked",
        }
    }

    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
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
            Self::Superseded { by } => format!("another volume ({by}) speaks for this member now; nothing is touched"),
            Self::OlderCopy { volume, object } => {
                format!(
                    "the volume is an older copy of itself (counter {volume}, last seen {object}); nothing is touched"
                )
            }
            Self::NoIntent => "the volume holds data, but its mark names no member ID; nothing is touched".into(),
        }
    }
}
