//! What to do about a reason that a member gives: the table in manifests/docs/how-to/troubleshoot.md, in the imperative; and about a pod.

use crate::view::pod_trouble::Kind;

/// What a person can do.
#[must_use]
pub fn of_member(reason: &str) -> Option<&'static str> {
    line(reason).map(|(_, _, advice)| *advice)
}

/// Whether it passes by itself; one that this table does not know stays.
#[must_use]
pub fn lasting(reason: &str) -> Lasting {
    line(reason).map_or(Stays, |(lasting, _, _)| *lasting)
}

fn line(reason: &str) -> Option<&'static Line> {
    TABLE.iter().find(|(_, reasons, _)| reasons.contains(&reason))
}

/// What a person can do about a pod that does not come up.
#[must_use]
pub fn of_pod(trouble: Kind) -> &'static str {
    match trouble {
        Kind::Unschedulable => {
            "make room on a node, or add one; or ask for less: spec.pod.resources, nodeSelector, affinity, \
                 tolerations"
        }
        Kind::VolumePending => "see the check of volumes: the pod waits for its PersistentVolumeClaim",
        Kind::ImageNotPulled => {
            "check spec.version, spec.repository and spec.image, and spec.pod.imagePullSecrets; can the nodes \
                 reach the registry?"
        }
        Kind::ContainerFailed => {
            "mend what kubelet names, most often something that spec.pod.template mounts or asks for"
        }
        Kind::OutOfMemory => "raise the memory limit in spec.pod.resources, or lower spec.etcd.quotaBackend",
        Kind::CrashLoop => "see why: kubectl etcd logs NAME",
        Kind::Evicted => "the node ran short of something: see the check of nodes; the pod is made again elsewhere",
    }
}

/// What passes by itself.
const WAIT: &str = "wait: it passes by itself";

/// Whether members give a reason for a while only, as they come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    Passes,
    /// As long as the pod is new: its containers are on their way.
    OfNewPods,
    Stays,
}

use Lasting::{OfNewPods, Passes, Stays};

type Line = (Lasting, &'static [&'static str], &'static str);

const TABLE: &[Line] = &[
    (
        Passes,
        &[
            "Starting",
            "WaitingForPeers",
            "WaitingForAPIServer",
            "WaitingForCoordinator",
            "Stopped",
            "Stopping",
            "WaitingForIncarnation",
            "Learner",
            "Behind",
            "Leaving",
            "Left",
        ],
        WAIT,
    ),
    (
        Passes,
        &["Joining", "WaitingForTurn", "WaitingForCluster"],
        "wait: members join one at a time, and etcd itself says when",
    ),
    (Stays, &["NoQuorum"], "look at the other members: this one runs and finds no majority of them"),
    (OfNewPods, &["NotAnswering"], "look at the node's disk and CPU: etcd's process is there and says nothing"),
    (
        OfNewPods,
        &["LauncherMissing", "NotStarted", "NotHeard"],
        "look at the pod's events: kubectl describe pod MEMBER",
    ),
    (Stays, &["NoPod"], "look at the StatefulSet's events: kubectl describe statefulset NAME"),
    (
        Stays,
        &["Silent"],
        "look at the pod's node, and at its way to the API server: the member may well serve, and nobody hears of it",
    ),
    (
        Stays,
        &["Unreadable"],
        "the EtcdMember holds what the coordinator does not understand: its events name the field",
    ),
    (Stays, &["WaitingForCertificate"], "look at the coordinator, and at the condition CertificatesReady"),
    (Passes, &["WaitingForSnapshot"], "wait; look at the EtcdRestore"),
    (Passes, &["Restoring"], "wait: the message says how far it is"),
    (Stays, &["RestoreFailed"], "mend what the message names; it is tried again"),
    (
        Stays,
        &["WaitingForAnswer", "WaitingForQuorum", "WaitingForConfirmation"],
        "look at the other members: no quorum of them answers whether this one may join",
    ),
    (Stays, &["WrongFlags", "OptionsRefused"], "mend spec.etcd: the message has etcd's words"),
    (
        Stays,
        &["DiskFull"],
        "make room on the volume (kubectl exec MEMBER -c agent -- etcd-agent volume list), or raise spec.storage.size",
    ),
    (
        Stays,
        &["CorruptWAL", "CorruptDatabase"],
        "the data on this volume is damaged: if a quorum of the others serves, delete this member's claim and pod, \
         and it joins anew",
    ),
    (Stays, &["OutOfMemory"], "raise the memory limit in spec.pod.resources"),
    (Stays, &["AddressInUse"], "find what else listens on etcd's ports in the pod: a sidecar, or host networking"),
    (Stays, &["Killed", "Crashed"], "see why: kubectl etcd logs NAME"),
    (
        Passes,
        &["Removed"],
        "wait: the member was removed from the cluster, and joins anew once a quorum of the others confirms it",
    ),
    (
        Stays,
        &["ForeignVolume", "VolumeNotMarked", "OtherIncarnation"],
        "mount the right volume: this one is not this member's, and nothing on it is touched",
    ),
    (Stays, &["OlderVolumeCopy"], "put the newest copy of the volume back"),
    (
        Stays,
        &["DataLost", "VolumeLost", "NoProofOfFirstStart"],
        "bring the other members back: with a quorum of them this one joins by itself; if a majority of disks is gone \
         for good, an EtcdRestore of what the others hold (source.survivors) or of a backup, with replacesIncarnation",
    ),
    (
        Stays,
        &["NotItself"],
        "if the others serve, delete this member's claim and pod: it joins anew; else find out who has forced it",
    ),
    (Stays, &["CutOff"], "look at this member's network: the others serve without it"),
    (Stays, &["OrderRefused"], "do as the message says"),
    (Stays, &["VolumeUnreadable"], "look at the storage: the volume cannot be read, and nothing is touched"),
    (Stays, &["VersionRefused"], "set spec.version to what the message names"),
    (
        Stays,
        &["Superseded"],
        "find out which one is right: another volume, or another member with this address, speaks for this member",
    ),
    (Stays, &["VolumeNotWritable"], "look at the storage: writes to the volume fail or hang"),
    (
        Passes,
        &["VolumeInUse"],
        "wait: a predecessor is just ending; if it does not pass, find the other pod that works on the volume",
    ),
    (
        Stays,
        &["VolumeEmptied"],
        "what etcd holds ends with its process: move leadership, then delete this member's pod and claim",
    ),
    (Stays, &["AuthenticationOn"], "nothing needs to be done: etcd refuses the agent what takes a user"),
    (
        Stays,
        &["SpaceExhausted"],
        "delete keys, raise spec.etcd.quotaBackend, or let it grow by itself (spec.storage.autoGrow): the agents have made all the \
         room that they can",
    ),
    (Passes, &["MemberCorrupt"], "wait: the member is replaced"),
    (Stays, &["KeysDiffer"], "look which members are right before anything is deleted: no majority says so"),
    (
        Stays,
        &["CertificateExpiring"],
        "look at the coordinator: it has not issued other certificates; the message has the reason",
    ),
    (Stays, &["HandshakeFailed"], "look at that member's certificates and clock; it is tried again every minute"),
    (Stays, &["HeldBySpec"], "it is off because spec.hold names it: kubectl etcd release NAME MEMBER"),
    (Stays, &["Paused"], "it waits because the cluster is paused: kubectl etcd resume NAME"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word in backticks in the first column of the tables of reasons and notices of members.
    fn documented() -> Vec<&'static str> {
        let text = include_str!("../../../../manifests/docs/how-to/troubleshoot.md");
        let section = text.split("\n## Members\n").nth(1).unwrap().split("\n## ").next().unwrap();
        let first = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        first.flat_map(|text: &'static str| text.split('`').skip(1).step_by(2)).collect()
    }

    #[test]
    fn every_reason_of_members_that_the_documentation_names_has_advice() {
        let documented = documented();
        assert!(documented.len() > 40, "the table was not found: {documented:?}");
        for reason in documented {
            assert!(of_member(reason).is_some(), "no advice about {reason}");
        }
    }

    #[test]
    fn no_reason_has_two_pieces_of_advice() {
        let mut all: Vec<&str> = TABLE.iter().flat_map(|(_, reasons, _)| reasons.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
