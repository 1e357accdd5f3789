//! What to do about a reason that a member gives: the table in agent/README.md, in the imperative.

/// What a person can do.
#[must_use]
pub fn of_member(reason: &str) -> Option<&'static str> {
    TABLE.iter().find(|(reasons, _)| reasons.contains(&reason)).map(|(_, advice)| *advice)
}

/// What passes by itself.
const WAIT: &str = "wait: it passes by itself";

type Line = (&'static [&'static str], &'static str);

const TABLE: &[Line] = &[
    (
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
        &["Joining", "WaitingForTurn", "WaitingForCluster"],
        "wait: members join one at a time, and etcd itself says when",
    ),
    (&["NoQuorum"], "look at the other members: this one runs and finds no majority of them"),
    (&["NotAnswering"], "look at the node's disk and CPU: etcd's process is there and says nothing"),
    (&["LauncherMissing", "NotStarted", "NotHeard"], "look at the pod's events: kubectl describe pod MEMBER"),
    (&["NoPod"], "look at the StatefulSet's events: kubectl describe statefulset NAME"),
    (
        &["Silent"],
        "look at the pod's node, and at its way to the API server: the member may well serve, and nobody hears of it",
    ),
    (&["Unreadable"], "the EtcdMember holds what the coordinator does not understand: its events name the field"),
    (&["WaitingForCertificate"], "look at the coordinator, and at the condition CertificatesReady"),
    (&["WaitingForSnapshot"], "wait; look at the EtcdRestore"),
    (&["Restoring"], "wait: the message says how far it is"),
    (&["RestoreFailed"], "mend what the message names; it is tried again"),
    (
        &["WaitingForAnswer", "WaitingForQuorum", "WaitingForConfirmation"],
        "look at the other members: no quorum of them answers whether this one may join",
    ),
    (&["WrongFlags", "OptionsRefused"], "mend spec.etcd: the message has etcd's words"),
    (
        &["DiskFull"],
        "make room on the volume (etcd-agent volume list, in the agent's container), or raise spec.storage.size",
    ),
    (
        &["CorruptWAL", "CorruptDatabase"],
        "the data on this volume is damaged: if a quorum of the others serves, delete this member's claim and pod, \
         and it joins anew",
    ),
    (&["OutOfMemory"], "raise the memory limit in spec.pod.resources"),
    (&["AddressInUse"], "find what else listens on etcd's ports in the pod: a sidecar, or host networking"),
    (&["Killed", "Crashed"], "see why: kubectl etcd logs NAME"),
    (
        &["Removed"],
        "wait: the member was removed from the cluster, and joins anew once a quorum of the others confirms it",
    ),
    (
        &["ForeignVolume", "VolumeNotMarked", "OtherIncarnation"],
        "mount the right volume: this one is not this member's, and nothing on it is touched",
    ),
    (&["OlderVolumeCopy"], "put the newest copy of the volume back"),
    (
        &["DataLost", "VolumeLost", "NoProofOfFirstStart"],
        "bring the other members back: with a quorum of them this one joins by itself; if a majority of disks is gone \
         for good, spec.recovery.abandonIncarnation",
    ),
    (
        &["NotItself"],
        "if the others serve, delete this member's claim and pod: it joins anew; else find out who has forced it",
    ),
    (&["CutOff"], "look at this member's network: the others serve without it"),
    (&["OrderRefused"], "do as the message says"),
    (&["VolumeUnreadable"], "look at the storage: the volume cannot be read, and nothing is touched"),
    (&["VersionRefused"], "set spec.version to what the message names"),
    (
        &["Superseded"],
        "find out which one is right: another volume, or another member with this address, speaks for this member",
    ),
    (&["VolumeNotWritable"], "look at the storage: writes to the volume fail or hang"),
    (
        &["VolumeInUse"],
        "wait: a predecessor is just ending; if it does not pass, find the other pod that works on the volume",
    ),
    (
        &["VolumeEmptied"],
        "what etcd holds ends with its process: move leadership, then delete this member's pod and claim",
    ),
    (&["AuthenticationOn"], "nothing needs to be done: etcd refuses the agent what takes a user"),
    (
        &["CertificateExpiring"],
        "look at the coordinator: it has not issued other certificates; the message has the reason",
    ),
    (&["HandshakeFailed"], "look at that member's certificates and clock; it is tried again every minute"),
    (&["HeldBySpec"], "it is off because spec.hold names it: kubectl etcd release NAME MEMBER"),
    (&["Paused"], "it waits because the cluster is paused: kubectl etcd resume NAME"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word in backticks in the first column of the table of reasons, and each notice below it.
    fn documented() -> Vec<&'static str> {
        let text = include_str!("../../../../agent/README.md");
        let section = text.split("## Reasons a member gives").nth(1).unwrap().split("\n## ").next().unwrap();
        let (table, notices) = section.split_once("Notices,").unwrap();
        let first = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let words = |text: &'static str| text.split('`').skip(1).step_by(2);
        let is_reason = |word: &&str| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric);
        first.flat_map(words).chain(words(notices)).filter(is_reason).collect()
    }

    #[test]
    fn every_reason_that_the_agents_readme_names_has_advice() {
        let documented = documented();
        assert!(documented.len() > 40, "the table was not found: {documented:?}");
        for reason in documented {
            assert!(of_member(reason).is_some(), "no advice about {reason}");
        }
    }

    #[test]
    fn no_reason_has_two_pieces_of_advice() {
        let mut all: Vec<&str> = TABLE.iter().flat_map(|(reasons, _)| reasons.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
