//! A trial: a throw-away pod in which the wanted etcd starts with the wanted flags, before a pod that serves is given up for one.
//! What came of it is read from the pod itself, so nothing need be remembered.

use etcd_operator_shared::names;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod, PodStatus};
use kube::ResourceExt;

use super::{
    Pod as Known,
    pod_trouble::{self, Reason, shorten},
};

/// Names the EtcdCluster for whose sake a trial is made, by UID. Its pods carry another label: no Service, no budget and no
/// StatefulSet selects a trial.
pub const LABEL: &str = "etcd.etcd.io/trial-for";

/// A pod goes within seconds of its deletion, unless its node is lost.
const GOES: SignedDuration = SignedDuration::from_secs(60);

/// Where a trial is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Wherever a new pod would find room.
    Anywhere,
    /// On the node of the pod of this ordinal, whose etcd is to be changed there: the image is on it then.
    Beside(u32),
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    pub name: String,
    pub uid: String,
    /// Shape of the template that is tried.
    pub shape: String,
    pub place: Place,
    /// etcd's image as it stands in it: what admission has made of the template's.
    pub image: String,
    pub outcome: Outcome,
    pub deleting: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    UnderWay,
    Passed,
    /// A member of this template could not work, for this reason.
    Failed(String),
    /// Nothing can be said of the template, for this reason: nothing is held back by it.
    Unclear(String),
    /// It was cut short, and is to be made again.
    Lost,
    /// It is to be gone by then.
    Going(Timestamp),
}

impl Trial {
    /// `None` of a pod that is no trial. One that is on its way out is made again; where it does not go, no other can be made.
    #[must_use]
    pub fn of(pod: &Known, now: Timestamp) -> Option<Self> {
        let Known { name, uid, shape, deleting, trial, etcd, .. } = pod;
        let place = names::trial_beside(name, shape).map_or(Place::Anywhere, Place::Beside);
        let image = etcd.image.clone();
        let outcome = match trial.as_deref()? {
            Outcome::Going(by) if now > *by + GOES => Outcome::Unclear(format!("pod {name} does not go")),
            Outcome::Going(_) => Outcome::Lost,
            outcome => outcome.clone(),
        };
        let (name, uid, shape) = (name.clone(), uid.clone(), shape.clone());
        Some(Self { name, uid, shape, place, image, outcome, deleting: *deleting })
    }
}

impl Outcome {
    /// Reads it; `None` of a pod that is no trial.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        pod.labels().get(LABEL)?;
        if let Some(by) = &pod.metadata.deletion_timestamp {
            return Some(Self::Going(by.0));
        }
        Some(pod.status.as_ref().map_or(Self::UnderWay, |status| Self::read(pod, status)))
    }

    fn read(pod: &Pod, status: &PodStatus) -> Self {
        let phase = status.phase.as_deref().unwrap_or_default();
        // Evicted, its node gone, or out of time: not by what is tried.
        let cut_short = status.reason.as_ref().is_some_and(|reason| !reason.is_empty());
        match (phase, failed(status)) {
            ("Succeeded", _) => Self::Passed,
            ("Failed", _) if cut_short => Self::Lost,
            (_, Some(ended)) => meaning(ended),
            ("Failed", None) => Self::Lost,
            (_, None) => pod_trouble::of(pod).map_or(Self::UnderWay, |trouble| match trouble.reason {
                // There may be room when the pod goes for which another comes.
                Reason::Unschedulable | Reason::VolumePending => Self::Unclear(trouble.message),
                Reason::ImagePullFailed | Reason::ContainerFailed | Reason::OutOfMemory | Reason::CrashLoop => {
                    Self::Failed(trouble.message)
                }
            }),
        }
    }
}

fn failed(status: &PodStatus) -> Option<&ContainerStateTerminated> {
    let before = status.init_container_statuses.iter().flatten();
    let containers = before.chain(status.container_statuses.iter().flatten());
    containers.filter_map(|container| container.state.as_ref()?.terminated.as_ref()).find(|ended| ended.exit_code != 0)
}

/// The rehearsal leaves a sentence. An agent that is too old to know how to rehearse leaves none.
fn meaning(ended: &ContainerStateTerminated) -> Outcome {
    let words = shorten(ended.message.as_deref().unwrap_or_default());
    match ended.reason.as_deref() {
        Some("OOMKilled") => Outcome::Failed("etcd reaches its memory limit at once: raise it".into()),
        Some("Error") | None if words.is_empty() => Outcome::Unclear(format!("exit code {}", ended.exit_code)),
        Some(_) | None => Outcome::Failed(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn outcome(status: &Value) -> Outcome {
        let pod = json!({"metadata": {"name": "demo-rehearsal-1", "labels": {LABEL: "u"}}, "status": status});
        Outcome::of(&serde_json::from_value(pod).unwrap()).unwrap()
    }

    fn terminated(code: i32, reason: &str, message: &str) -> Outcome {
        outcome(&json!({"phase": "Failed", "containerStatuses": [{
            "name": "etcd", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}]}))
    }

    #[test]
    fn a_pod_without_the_label_is_no_trial() {
        assert_eq!(Outcome::of(&Pod::default()), None);
    }

    #[test]
    fn one_that_is_deleted_is_made_again_unless_it_does_not_go() {
        let by = Timestamp::from_second(1_000).unwrap();
        let mut pod = crate::cluster::facts::tests::pod(0, "b");
        (pod.deleting, pod.trial) = (true, Some(Box::new(Outcome::Going(by))));
        let outcome = |now| Trial::of(&pod, now).unwrap().outcome;
        assert_eq!(outcome(by + GOES), Outcome::Lost);
        assert!(matches!(outcome(by + GOES + SignedDuration::from_secs(1)), Outcome::Unclear(_)), "its node is lost");
    }

    #[test]
    fn a_failure_is_told_in_the_words_that_the_rehearsal_left() {
        assert_eq!(
            terminated(1, "Error", "etcd refuses its flags: x"),
            Outcome::Failed("etcd refuses its flags: x".into())
        );
        assert!(matches!(terminated(137, "OOMKilled", ""), Outcome::Failed(words) if words.contains("memory limit")));
        assert!(matches!(terminated(128, "StartError", "exec format error"), Outcome::Failed(_)));
    }

    #[test]
    fn an_agent_that_cannot_rehearse_says_nothing_of_the_template() {
        assert!(matches!(terminated(2, "Error", ""), Outcome::Unclear(_)));
    }

    #[test]
    fn one_that_was_cut_short_is_made_again_and_one_without_a_node_holds_nothing_back() {
        for reason in ["Evicted", "DeadlineExceeded", "NodeLost"] {
            assert_eq!(outcome(&json!({"phase": "Failed", "reason": reason})), Outcome::Lost);
        }
        let waits = json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]});
        assert!(matches!(outcome(&waits), Outcome::Unclear(_)));
        assert_eq!(outcome(&json!({"phase": "Pending"})), Outcome::UnderWay);
        assert_eq!(outcome(&json!({"phase": "Succeeded"})), Outcome::Passed);
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_a_failure_in_kubelets_words() {
        let waits = json!({"phase": "Pending", "containerStatuses": [{
            "name": "etcd", "image": "r/etcd:v3.5.99", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]});
        assert!(matches!(outcome(&waits), Outcome::Failed(words) if words.contains("r/etcd:v3.5.99")));
    }
}
