//! The agent's container of a pod: which image it is to have, whether it runs, and what was changed of it last.

use etcd_operator_shared::names::{ANNOTATION_AGENT, ANNOTATION_AGENT_IMAGE, CONTAINER_AGENT};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::pod_trouble::{self, Trouble};

/// One agent's container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// The image that was asked for; kubelet may not have come so far.
    pub image: String,
    /// The image that stands in the pod: the same, unless an admission webhook writes another name.
    pub written: String,
    /// ID of the container that runs; `None` while none does.
    pub container: Option<String>,
    /// Since when it runs, by its node's clock; and for how long, by this machine's.
    pub since: Option<Timestamp>,
    pub runs_for: SignedDuration,
    /// Why it does not run.
    pub trouble: Option<Trouble>,
    /// What was changed last; `None`: it has the image that its pod was made with.
    pub change: Option<Change>,
    /// Whether that was so lately that what goes wrong is put down to it.
    pub on_trial: bool,
}

/// What is written on a pod whose agent's image was changed, with the change itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The image before, as it was asked for and as it stood in the pod; that of now where it was put back.
    pub former: String,
    pub written: String,
    pub at: Timestamp,
    /// ID of the container that ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// An image that did not work here, so that the one before was put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// An image that did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub image: String,
    /// CamelCase.
    pub reason: String,
    /// Until then it is not tried again.
    pub until: Timestamp,
}

/// A new agent that has run for so long, in a pod that is Ready, works: kubelet takes a pod for not ready after three probes of
/// 2 s each that its agent does not answer.
const PROOF: SignedDuration = SignedDuration::from_secs(10);
/// One that has run for so long and is silent does not work.
const SILENCE: SignedDuration = SignedDuration::from_secs(60);
/// An agent that fails later than this after its change is not given the former image: that may be a release of long ago.
const TRIAL: SignedDuration = SignedDuration::from_mins(10);

impl Agent {
    pub(super) fn of(pod: &Pod) -> Self {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let status = statuses.into_iter().find(|one| one.name == CONTAINER_AGENT);
        let since = status.and_then(|one| one.state.as_ref()?.running.as_ref()?.started_at.as_ref());
        let runs = status.filter(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()));
        let said = pod.annotations().get(ANNOTATION_AGENT);
        Self {
            image: asked(&pod.metadata, pod.spec.as_ref()).unwrap_or_default().to_owned(),
            written: pod.spec.as_ref().and_then(image).unwrap_or_default().to_owned(),
            container: runs.and_then(|one| one.container_id.clone()),
            since: since.map(|since| since.0),
            trouble: status.and_then(|one: &ContainerStatus| pod_trouble::waiting(&pod.name_any(), one)),
            change: said.and_then(|said| serde_json::from_str::<Change>(said).ok()),
            ..Self::default()
        }
    }

    /// The same agent, now.
    #[must_use]
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        if let Some(change) = &mut self.change {
            change.refused = change.refused.take().filter(|refused| refused.until > now);
        }
        let on_trial = self.change.as_ref().is_some_and(|change| now.duration_since(change.at) < TRIAL);
        let runs_for = self.since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        Self { runs_for, on_trial, ..self }
    }

    /// Whether its last change came through: a new container runs, and has for long enough.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        match &self.change {
            Some(_) if self.on_trial => self.is_changed() && self.runs_for >= PROOF,
            Some(_) | None => true,
        }
    }

    /// Whether another container runs than before the last change.
    fn is_changed(&self) -> bool {
        self.container.is_some() && self.change.as_ref().is_some_and(|change| change.container != self.container)
    }

    /// Why the image that it was changed to does not work, in one word. `silent`: its pod is not ready, and it does not say why.
    #[must_use]
    pub fn failure(&self, silent: bool) -> Option<&'static str> {
        match &self.trouble {
            _ if !self.on_trial => None,
            Some(trouble) => Some(trouble.reason.as_str()),
            None if silent && self.is_changed() && self.runs_for >= SILENCE => Some("AgentSilent"),
            None => None,
        }
    }

    /// The image that did not work here, and is not to be tried now.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        self.change.as_ref()?.refused.as_ref()
    }
}

/// The image of the agent that was asked for, of a pod or a template of pods.
#[must_use]
pub fn asked<'a>(meta: &'a ObjectMeta, spec: Option<&'a PodSpec>) -> Option<&'a str> {
    let noted = meta.annotations.as_ref().and_then(|notes| notes.get(ANNOTATION_AGENT_IMAGE));
    noted.map(String::as_str).or_else(|| image(spec?))
}

/// The image that stands in the agent's container.
#[must_use]
pub fn image(spec: &PodSpec) -> Option<&str> {
    spec.containers.iter().find(|one| one.name == CONTAINER_AGENT)?.image.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::constant(1_000_000, 0);

    /// `status`: of the agent's container, without its names.
    fn agent(mut status: Value, change: Option<&Change>) -> Agent {
        for (name, value) in [
            ("name", json!("agent")),
            ("image", json!("i")),
            ("imageID", json!("")),
            ("ready", json!(true)),
            ("restartCount", json!(1)),
        ] {
            status[name] = value;
        }
        let notes = change.map(|change| json!({ANNOTATION_AGENT: json!(change).to_string()}));
        let pod = json!({"metadata": {"name": "demo-0", "annotations": notes},
            "spec": {"containers": [{"name": "etcd", "image": "e"}, {"name": "agent", "image": "agent:2"}]},
            "status": {"containerStatuses": [status]}});
        Agent::of(&serde_json::from_value(pod).unwrap()).at(NOW)
    }

    fn runs(container: &str, seconds: i64) -> Value {
        let since = NOW - SignedDuration::from_secs(seconds);
        json!({"containerID": container, "state": {"running": {"startedAt": since.to_string()}}})
    }

    fn change() -> Change {
        Change {
            former: "agent:1".into(),
            written: "agent:1".into(),
            at: NOW,
            container: Some("old".into()),
            refused: None,
        }
    }

    #[test]
    fn a_changed_agent_works_when_a_new_container_has_run_for_a_while() {
        let proven = |status: Value| agent(status, Some(&change())).is_proven();
        assert!(!proven(runs("old", 1000)), "kubelet has not come so far");
        assert!(!proven(runs("new", 9)) && proven(runs("new", 10)));
        assert!(!proven(json!({"containerID": "new", "state": {"terminated": {"exitCode": 1}}})));
        assert!(agent(runs("any", 0), None).is_proven(), "one that was never changed");
        assert_eq!(agent(runs("any", 0), None).image, "agent:2");
    }

    #[test]
    fn an_image_that_does_not_start_or_stays_silent_does_not_work() {
        let waits = |reason: &str| json!({"state": {"waiting": {"reason": reason, "message": "no such image"}}});
        let why = |status: Value, change: Option<&Change>, silent| agent(status, change).failure(silent);
        assert_eq!(why(waits("ErrImagePull"), Some(&change()), false), Some("ImagePullFailed"));
        assert_eq!(why(waits("ContainerCreating"), Some(&change()), true), None);
        assert_eq!(why(waits("ErrImagePull"), None, true), None, "its pod was made with it: there is none to put back");
        assert_eq!(
            (why(runs("new", 59), Some(&change()), true), why(runs("new", 60), Some(&change()), false)),
            (None, None)
        );
        assert_eq!(why(runs("new", 60), Some(&change()), true), Some("AgentSilent"));
        assert_eq!(why(runs("old", 60), Some(&change()), true), None, "it is the former that is silent");
        let long_ago = Change { at: NOW - TRIAL, ..change() };
        assert_eq!(why(waits("CrashLoopBackOff"), Some(&long_ago), true), None, "that is another matter");
    }

    #[test]
    fn what_did_not_work_is_tried_again_later() {
        let refused = |until: Timestamp| Refused { image: "agent:2".into(), reason: "CrashLoop".into(), until };
        let kept = |until: Timestamp| {
            let change = Change { refused: Some(refused(until)), ..change() };
            agent(runs("new", 20), Some(&change)).refused().cloned()
        };
        let (later, past) = (NOW + SignedDuration::from_secs(1), NOW - SignedDuration::from_secs(1));
        assert_eq!((kept(later), kept(past)), (Some(refused(later)), None));
    }
}
