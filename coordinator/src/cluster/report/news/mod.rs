//! What is told as Events: what was done, and what changed from one status to the next.

mod members;

use etcd_operator_shared::api::{
    EtcdCluster, EtcdClusterStatus,
    cluster::{End, Incarnation, Phase},
};

use crate::{
    apiserver::recorder::Note,
    cluster::{decide::step::Why, report::status::problems},
};

impl Note {
    /// An incarnation begins; `ended`: why the one before is over.
    #[must_use]
    pub fn founded(incarnation: &Incarnation, ended: Option<End>) -> Self {
        let because = match ended {
            None => "",
            Some(End::Stopped) => ", empty: the cluster was stopped and its volumes were deleted",
            Some(End::Abandoned) => ", empty: the data of the one before was given up",
        };
        let members = incarnation.initial_members.join(", ");
        let text = format!("incarnation {} begins with {members}{because}", incarnation.number);
        Self::normal("IncarnationWritten", "Found", text)
    }

    #[must_use]
    pub fn scaled(from: u32, to: u32) -> Self {
        let reason = match (from, to) {
            (_, 0) => "Stopping",
            (0, _) => "Waking",
            _ => "ReplicasSet",
        };
        Self::normal(reason, "Scale", format!("replicas set from {from} to {to}"))
    }

    #[must_use]
    pub fn volume_deleted(claim: &str, because: &str) -> Self {
        Self::normal("VolumeDeleted", "Retire", format!("deleted PersistentVolumeClaim {claim}: {because}"))
    }

    #[must_use]
    pub fn volume_kept(claim: &str) -> Self {
        let text = format!("kept PersistentVolumeClaim {claim}, as spec.storage.retention.whenScaled says");
        Self::normal("VolumeKept", "Retire", text)
    }

    #[must_use]
    pub fn replaced(pod: &str, why: Why) -> Self {
        Self::normal("PodReplaced", "Replace", format!("deleted pod {pod}: {}", why.as_str()))
    }

    #[must_use]
    pub fn removed(member: &str) -> Self {
        let text = format!("{member} was silent, and the leader has removed it");
        Self::normal("MemberLeft", "Leave", text)
    }

    /// What changed from one status to the next: members, the phase, and each new reason not to be Ready.
    #[must_use]
    pub fn news(cluster: &EtcdCluster, after: &EtcdClusterStatus) -> Vec<Self> {
        let before = cluster.status.as_ref();
        let mut notes = before.map(|before| members::of(cluster, before, after)).unwrap_or_default();
        notes.extend(Self::changes(before, after));
        notes
    }

    /// The phase, and each new reason not to be Ready.
    fn changes(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Vec<Self> {
        let mut notes = Vec::new();
        let said = |status: &EtcdClusterStatus, kind: &str| {
            let found = status.conditions.iter().find(|c| c.type_ == kind);
            found.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())).unwrap_or_default()
        };
        let (_, _, sentence) = said(after, "Ready");
        if let Some(phase) = after.phase.filter(|phase| before.and_then(|b| b.phase) != Some(*phase)) {
            let note = Self::normal(&format!("{phase:?}"), "Reconcile", sentence);
            let warns = matches!(phase, Phase::Degraded | Phase::Unavailable | Phase::Stalled);
            notes.push(Self { warns, ..note });
        }
        for (kind, bad) in [("Ready", "False"), ("Stalled", "True")] {
            let (status, reason, message) = said(after, kind);
            let news = before.is_none_or(|b| said(b, kind).1 != reason);
            // What a member goes through when it joins or leaves is told as its story.
            let moves = said(after, "Reconciling").1.starts_with("Member") && !problems::lasts(&reason);
            let told = notes.iter().any(|n: &Self| n.reason == reason);
            if status == bad && news && !told && !(moves || is_passing(after.phase, &reason)) {
                notes.push(Self { warns: true, ..Self::normal(&reason, "Reconcile", message) });
            }
        }
        notes
    }
}

/// Reasons that the phase tells already.
const QUIET: [&str; 4] = ["MembersStarting", "RollingUpdate", "MembersMissing", "Stopped"];

/// Whether a reason is only what members go through when a cluster comes up or changes.
fn is_passing(phase: Option<Phase>, reason: &str) -> bool {
    let moving = matches!(phase, Some(Phase::Creating | Phase::Upgrading | Phase::Scaling));
    QUIET.contains(&reason) || moving && !problems::lasts(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::report::status::condition::{ConditionUpdate, Status, upsert};

    fn status(phase: Phase, ready: bool, reason: &str) -> EtcdClusterStatus {
        let mut status = EtcdClusterStatus { phase: Some(phase), ..EtcdClusterStatus::default() };
        let says =
            ConditionUpdate { kind: "Ready", status: Status::from(ready), reason: reason.into(), message: "m".into() };
        upsert(&mut status.conditions, says, None, jiff::Timestamp::UNIX_EPOCH);
        status
    }

    fn reasons(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Vec<String> {
        Note::changes(before, after).into_iter().map(|n| n.reason).collect()
    }

    #[test]
    fn a_phase_is_told_once() {
        let running = status(Phase::Running, true, "AllMembersServe");
        assert_eq!(reasons(None, &running), ["Running"]);
        assert!(reasons(Some(&running), &running).is_empty());
    }

    #[test]
    fn each_new_reason_not_to_be_ready_is_told() {
        let creating = status(Phase::Creating, false, "MembersStarting");
        let pulling = status(Phase::Creating, false, "ImagePullFailed");
        assert_eq!(reasons(None, &creating), ["Creating"]);
        assert_eq!(reasons(Some(&creating), &pulling), ["ImagePullFailed"]);
    }

    #[test]
    fn what_members_go_through_when_a_cluster_comes_up_is_not_told() {
        let creating = status(Phase::Creating, false, "MembersStarting");
        let waiting = status(Phase::Creating, false, "WaitingForPeers");
        assert!(reasons(Some(&creating), &waiting).is_empty());
        let degraded = status(Phase::Degraded, false, "WaitingForPeers");
        assert_eq!(reasons(Some(&degraded), &status(Phase::Degraded, false, "DiskFull")), ["DiskFull"]);
    }
}
