//! Why a pod does not come up, in the words of those who know: scheduler and kubelet.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use crate::failure::{cut, line};

/// Longer words of others are cut here: what is shown is a sentence, not a log.
const WORDS: usize = 240;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub kind: Kind,
    pub words: String,
}

/// What sort of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unschedulable,
    VolumePending,
    ImageNotPulled,
    ContainerFailed,
    OutOfMemory,
    CrashLoop,
    Evicted,
}

impl Kind {
    /// As the coordinator calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::VolumePending => "VolumePending",
            Self::ImageNotPulled => "ImagePullFailed",
            Self::ContainerFailed => "ContainerFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::CrashLoop => "CrashLoop",
            Self::Evicted => "Evicted",
        }
    }
}

/// The trouble of a pod that does not come up.
#[must_use]
pub fn of(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let found = evicted(status).or_else(|| scheduling(status)).or_else(|| {
        let before = status.init_container_statuses.iter().flatten();
        before.chain(status.container_statuses.iter().flatten()).find_map(waiting)
    });
    found.map(|trouble| Trouble { words: cut(&trouble.words, WORDS), ..trouble })
}

fn evicted(status: &PodStatus) -> Option<Trouble> {
    let failed = status.phase.as_deref() == Some("Failed");
    let words = format!(
        "it has failed: {} {}",
        status.reason.as_deref().unwrap_or_default(),
        line(status.message.as_deref().unwrap_or_default())
    );
    failed.then(|| Trouble { kind: Kind::Evicted, words: words.trim().to_owned() })
}

fn scheduling(status: &PodStatus) -> Option<Trouble> {
    let conditions = status.conditions.iter().flatten();
    let said = conditions.into_iter().find(|one| one.type_ == "PodScheduled" && one.status == "False")?;
    let words = line(said.message.as_deref().unwrap_or_default());
    let is_volume = words.to_ascii_lowercase().contains("persistentvolumeclaim");
    let kind = if is_volume { Kind::VolumePending } else { Kind::Unschedulable };
    Some(Trouble { kind, words: format!("it finds no node: {words}") })
}

fn waiting(container: &ContainerStatus) -> Option<Trouble> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let kubelet = waiting.reason.as_deref()?;
    let words = line(waiting.message.as_deref().unwrap_or(kubelet));
    let ContainerStatus { name, image, restart_count, .. } = container;
    let (kind, words) = match kubelet {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            (Kind::ImageNotPulled, format!("it cannot pull image {image} of container {name}: {words}"))
        }
        "CreateContainerError" | "CreateContainerConfigError" | "RunContainerError" | "PostStartHookError" => {
            (Kind::ContainerFailed, format!("it cannot start container {name}: {words}"))
        }
        "CrashLoopBackOff" if was_killed_for_memory(container).is_some() => (
            Kind::OutOfMemory,
            format!("container {name} ended {restart_count} times, the last time because it reached its memory limit"),
        ),
        "CrashLoopBackOff" => (Kind::CrashLoop, format!("container {name} ends again and again: {words}")),
        _ => return None,
    };
    Some(Trouble { kind, words })
}

/// When a container last ended because it reached its memory limit.
#[must_use]
pub fn was_killed_for_memory(container: &ContainerStatus) -> Option<Option<Timestamp>> {
    let last = container.last_state.as_ref()?.terminated.as_ref()?;
    (last.reason.as_deref() == Some("OOMKilled")).then(|| last.finished_at.as_ref().map(|time| time.0))
}

/// A pod that should be gone by now, and since when it is asked to go.
#[must_use]
pub fn is_stuck(pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    /// Kubelet ends a pod within its grace period and a little more.
    const LATE: SignedDuration = SignedDuration::from_mins(2);
    // Kubernetes writes the end of the grace period here.
    let until = pod.metadata.deletion_timestamp.as_ref()?.0;
    (now.duration_since(until) > LATE).then_some(until)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "demo-1"}, "status": status})).unwrap()
    }

    fn container(state: &Value, last: &Value) -> Pod {
        pod(&json!({"containerStatuses": [{"name": "etcd", "image": "i:v1", "imageID": "", "ready": false,
            "restartCount": 4, "state": state, "lastState": last}]}))
    }

    #[test]
    fn each_trouble_is_told_in_the_words_of_who_knows() {
        let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
        let unscheduled = |message: &str| {
            pod(&json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}))
        };
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let all = [
            (unscheduled("0/3 nodes are available: 3 Insufficient cpu."), Kind::Unschedulable, "3 Insufficient cpu"),
            (unscheduled("pod has unbound immediate PersistentVolumeClaims"), Kind::VolumePending, "unbound"),
            (
                container(&waiting("ErrImagePull", "not\nfound"), &json!({})),
                Kind::ImageNotPulled,
                "image i:v1 of container etcd: not found",
            ),
            (container(&waiting("CrashLoopBackOff", "back-off"), &json!({})), Kind::CrashLoop, "again and again"),
            (container(&waiting("CrashLoopBackOff", "back-off"), &killed), Kind::OutOfMemory, "ended 4 times"),
            (
                container(&waiting("CreateContainerConfigError", "no secret"), &json!({})),
                Kind::ContainerFailed,
                "no secret",
            ),
            (
                pod(&json!({"phase": "Failed", "reason": "Evicted", "message": "low on disk"})),
                Kind::Evicted,
                "Evicted low on disk",
            ),
        ];
        for (pod, kind, words) in all {
            let trouble = of(&pod).unwrap();
            assert_eq!(trouble.kind, kind);
            assert!(trouble.words.contains(words), "{trouble:?}");
        }
        assert_eq!(of(&container(&waiting("ContainerCreating", ""), &json!({}))), None);
    }
}
