//! What is told as Events: what was done, and what changed from one status to the next.

mod members;
pub mod overdue;

use etcd_operator_shared::api::{
    EtcdCluster, EtcdClusterStatus, Word,
    cluster::{Action, Chore, End, Incarnation, Moving, Phase},
};

use crate::{
    apiserver::recorder::Note,
    cluster::{
        decide::step::{Refresh, Swap, Turn, Update, Why},
        report::status::{REFUSED, certificates, template},
    },
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

    /// The data of a former EtcdCluster, by UID, goes on.
    #[must_use]
    pub fn adopted(incarnation: &Incarnation, former: &str) -> Self {
        let number = incarnation.number;
        let text =
            format!("incarnation {number} of the former EtcdCluster {former} goes on, with its data and members");
        Self::normal("DataAdopted", "Adopt", text)
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
    pub fn volume_grows(claim: &str, from: &str, to: &str) -> Self {
        let text = format!("PersistentVolumeClaim {claim} asks for {to} instead of {from}");
        Self::normal("VolumeGrowing", "Grow", text)
    }

    #[must_use]
    pub fn released(set: &str, size: &str) -> Self {
        let text = format!("deleted StatefulSet {set} to make it again with claims of {size}; its pods run on");
        Self::normal("StatefulSetReleased", "Grow", text)
    }

    #[must_use]
    pub fn replaced(pod: &str, why: Why) -> Self {
        Self::normal("PodReplaced", "Replace", format!("deleted pod {pod}: {}", why.as_str()))
    }

    #[must_use]
    pub fn swapped(swap: &Swap) -> Self {
        let Swap { name, etcd, write, why, .. } = swap;
        let text = format!("etcd of {name} gets {} (image {write}) in its pod: {}", etcd.version, why.as_str());
        Self::normal("EtcdUpdated", "Update", text)
    }

    #[must_use]
    pub fn turned(turn: &Turn) -> Self {
        let text = format!("etcd of {} is started once more with its new options: {}", turn.name, turn.why.as_str());
        Self::normal("EtcdUpdated", "Update", text)
    }

    #[must_use]
    pub fn refreshed(refresh: &Refresh) -> Self {
        let Refresh { name, image, former, why, .. } = refresh;
        match why {
            Update::NotServing | Update::Follower | Update::LeaderLast => {
                Self::normal("AgentUpdated", "Update", format!("the agent of {name} gets image {image}, etcd goes on"))
            }
            Update::PutBack(reason) => Self {
                warns: true,
                reason: "AgentRefused".to_owned(),
                action: "Update",
                text: format!(
                    "the agent of {name} does not work with image {former} ({reason}): it gets {image} again"
                ),
            },
        }
    }

    #[must_use]
    pub fn removed(member: &str) -> Self {
        let text = format!("{member} was silent, and the leader has removed it");
        Self::normal("MemberLeft", "Leave", text)
    }

    /// What changed from one status to the next: members, the phase, and what only a person can change.
    #[must_use]
    pub fn news(cluster: &EtcdCluster, after: &EtcdClusterStatus) -> Vec<Self> {
        let before = cluster.status.as_ref();
        let mut notes = before.map(|before| members::of(cluster, before, after)).unwrap_or_default();
        notes.extend(Self::changes(before, after));
        notes.extend(Self::unused(before, after));
        notes.extend(Self::uncertified(before, after));
        notes.extend(Self::chores(before, after));
        notes.extend(Self::grown(before, after));
        notes.extend(Self::moves(before, after));
        notes
    }

    /// What of the user's pod template is not used: each new sentence once.
    fn unused(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Option<Self> {
        let said = |status: &EtcdClusterStatus| {
            let told = status.conditions.iter().find(|c| c.type_ == template::KIND && c.status == "False");
            told.map(|c| (c.reason.clone(), c.message.clone()))
        };
        let (reason, message) = said(after).filter(|now| before.and_then(said).as_ref() != Some(now))?;
        Some(Self { warns: true, ..Self::normal(&reason, "Reconcile", message) })
    }

    /// What is wrong with certificates: each reason once. That there are none yet is no news, and what Stalled says is told by that.
    fn uncertified(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Option<Self> {
        let said = |status: &EtcdClusterStatus| {
            let told = status.conditions.iter().find(|c| c.type_ == certificates::KIND && c.status == "False");
            told.map(|c| (c.reason.clone(), c.message.clone())).filter(|(reason, _)| reason != certificates::WAITING)
        };
        let stalled = |reason: &str| after.conditions.iter().any(|c| c.type_ == "Stalled" && c.reason == reason);
        let (reason, message) = said(after).filter(|(reason, _)| !stalled(reason))?;
        let news = before.and_then(said).is_none_or(|(told, _)| told != reason);
        news.then(|| Self { warns: true, ..Self::normal(&reason, "Reconcile", message) })
    }

    /// What agents have done for the databases. That old revisions had to be forgotten, or a member
    /// was corrupt, is for a person to think about.
    fn chores(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Vec<Self> {
        let Some(before) = before else { return vec![] };
        let new = after.chores.iter().rev().filter(|chore| !before.chores.contains(chore));
        let note = |chore: &Chore| {
            let (warns, reason) = match &chore.action {
                Word::Known(Action::Compacted) => (true, "DatabasesCompacted"),
                Word::Known(Action::Defragmented) => (false, "DatabaseDefragmented"),
                Word::Known(Action::Disarmed) => (false, "AlarmDisarmed"),
                Word::Known(Action::Removed) => (true, "CorruptMemberRemoved"),
                Word::Unknown(_) => (false, "DatabasesMaintained"),
            };
            Self { warns, ..Self::normal(reason, "Maintain", chore.message.clone()) }
        };
        new.map(note).collect()
    }

    /// That the quota rises by itself.
    fn grown(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Option<Self> {
        let quota = |status: &EtcdClusterStatus| status.grown.as_ref()?.quota_backend.clone();
        let (before, now) = (before?, quota(after)?);
        let from = before.quota_backend.as_deref().unwrap_or("what it was");
        let text = format!("keys fill etcd's quota of {from}: it rises to {now}, one member after the other");
        (quota(before).as_ref() != Some(&now)).then(|| Self::normal("QuotaGrowing", "Grow", text))
    }

    /// That members move to other volumes, how far they are, and that all have.
    fn moves(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Option<Self> {
        let told = |moving: &Moving| {
            let class =
                moving.storage_class_name.as_ref().map(|class| format!(" of class {class}")).unwrap_or_default();
            format!("volumes of {}{class}", moving.size)
        };
        match (&before?.moving, &after.moving) {
            (Some(moving), None) => {
                let text = format!("all members are on {}", told(moving));
                Some(Self::normal("MoveEnded", "Move", text))
            }
            (before, Some(now)) if before.as_ref() != Some(now) => {
                let Moving { moved, members, .. } = now;
                let text = format!("{moved} of {members} members have moved to {}", told(now));
                Some(Self::normal("Moving", "Move", text))
            }
            (None | Some(_), None | Some(_)) => None,
        }
    }

    /// The phase, and what only a person can change.
    fn changes(before: Option<&EtcdClusterStatus>, after: &EtcdClusterStatus) -> Vec<Self> {
        let mut notes = Vec::new();
        let said = |status: &EtcdClusterStatus, kind: &str| {
            let found = status.conditions.iter().find(|c| c.type_ == kind);
            found.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())).unwrap_or_default()
        };
        // What a cluster is Stalled by is told below.
        let phase = after.phase.filter(|phase| before.and_then(|b| b.phase) != Some(*phase));
        if let Some(phase) = phase.filter(|phase| *phase != Phase::Stalled) {
            notes.push(Self::normal(&format!("{phase:?}"), "Reconcile", said(after, "Ready").2));
        }
        let (status, reason, message) = said(after, "Stalled");
        let (_, told, words) = before.map(|before| said(before, "Stalled")).unwrap_or_default();
        // Of what the API server refuses each sentence is news; other sentences change while one thing lasts.
        let news = told != reason || reason == REFUSED && words != message;
        if status == "True" && news {
            notes.push(Self { warns: true, ..Self::normal(&reason, "Reconcile", message) });
        }
        notes
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::cluster::report::status::condition::{ConditionUpdate, Status, upsert};
    use etcd_operator_shared::api::cluster::Grown;

    pub fn status(phase: Phase, ready: bool, reason: &str) -> EtcdClusterStatus {
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

    fn stalled(reason: &str, message: &str) -> EtcdClusterStatus {
        let mut status = status(Phase::Running, true, "AllMembersServe");
        let says =
            ConditionUpdate { kind: "Stalled", status: Status::True, reason: reason.into(), message: message.into() };
        upsert(&mut status.conditions, says, None, jiff::Timestamp::UNIX_EPOCH);
        status
    }

    #[test]
    fn what_only_a_person_can_change_is_a_warning_once() {
        let running = status(Phase::Running, true, "AllMembersServe");
        let refused = stalled("Refused", "one");
        let notes = Note::changes(Some(&running), &refused);
        assert_eq!((notes.len(), notes[0].warns, notes[0].reason.as_str()), (1, true, "Refused"));
        assert!(reasons(Some(&refused), &refused).is_empty());
        assert_eq!(reasons(Some(&refused), &stalled("Refused", "another")), ["Refused"]);
        assert!(reasons(Some(&stalled("QuorumLost", "one")), &stalled("QuorumLost", "another")).is_empty());
    }

    #[test]
    fn a_cluster_that_cannot_be_made_is_told_of_once() {
        let creating = status(Phase::Creating, false, "MembersStarting");
        let refused = EtcdClusterStatus { phase: Some(Phase::Stalled), ..stalled("Refused", "one") };
        assert_eq!(reasons(Some(&creating), &refused), ["Refused"]);
    }

    #[test]
    fn what_is_wrong_with_certificates_is_a_warning_once_and_that_there_are_none_yet_is_none() {
        let says = |reason: &str, message: &str| {
            let mut status = status(Phase::Running, true, "AllMembersServe");
            let (kind, reason, message) = (certificates::KIND, reason.into(), message.into());
            let says = ConditionUpdate { kind, status: Status::False, reason, message };
            upsert(&mut status.conditions, says, None, jiff::Timestamp::UNIX_EPOCH);
            status
        };
        let waits = says(certificates::WAITING, "demo-1");
        assert_eq!(Note::uncertified(None, &waits), None);
        let rejected = says("CertificateRejected", "one");
        let note = Note::uncertified(Some(&waits), &rejected).unwrap();
        assert_eq!((note.warns, note.reason.as_str()), (true, "CertificateRejected"));
        assert_eq!(Note::uncertified(Some(&rejected), &says("CertificateRejected", "another")), None);
    }

    #[test]
    fn what_was_done_for_databases_is_told_once_and_in_its_order() {
        let chore = |action, time: &str| Chore { action, time: time.into(), message: time.into() };
        let (compacted, defragmented) = (Word::Known(Action::Compacted), Word::Known(Action::Defragmented));
        let before = EtcdClusterStatus { chores: vec![chore(defragmented.clone(), "1")], ..Default::default() };
        let chores = vec![chore(defragmented.clone(), "3"), chore(compacted, "2"), chore(defragmented, "1")];
        let after = EtcdClusterStatus { chores, ..Default::default() };
        let told = Note::chores(Some(&before), &after);
        let told: Vec<_> = told.iter().map(|note| (note.reason.as_str(), note.warns)).collect();
        assert_eq!(told, [("DatabasesCompacted", true), ("DatabaseDefragmented", false)]);
        assert!(Note::chores(Some(&after), &after).is_empty() && Note::chores(None, &after).is_empty());
    }

    #[test]
    fn a_quota_that_rises_is_told_once() {
        let had = |quota: Option<&str>| EtcdClusterStatus {
            quota_backend: Some("2Gi".into()),
            grown: quota.map(|quota| Grown { volume_size: None, quota_backend: Some(quota.into()) }),
            ..Default::default()
        };
        let note = Note::grown(Some(&had(None)), &had(Some("3Gi"))).unwrap();
        assert!(!note.warns && note.text.contains("of 2Gi: it rises to 3Gi"), "{note:?}");
        assert!(Note::grown(Some(&had(Some("3Gi"))), &had(Some("3Gi"))).is_none());
        assert!(Note::grown(Some(&had(None)), &had(None)).is_none());
    }

    #[test]
    fn no_change_of_the_phase_is_a_warning() {
        let running = status(Phase::Running, true, "AllMembersServe");
        for phase in [Phase::Creating, Phase::Upgrading, Phase::Scaling, Phase::Degraded, Phase::Unavailable] {
            let notes = Note::changes(Some(&running), &status(phase, false, "NotAnswering"));
            assert_eq!((notes.len(), notes[0].warns), (1, false), "{phase:?}");
        }
    }
}
