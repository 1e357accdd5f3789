//! Why a pod does not come up, in the words of those who know: scheduler and kubelet.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

/// One reason, and the sentence that names the culprit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unschedulable,
    VolumePending,
    ImagePullFailed,
    ContainerFailed,
    /// With cgroup 2 kubelet has the kernel end the whole container, the launcher with etcd, so no agent can tell.
    OutOfMemory,
    CrashLoop,
}

/// Longer words of others are cut here: a condition is a sentence, not a log.
const MAX_WORDS: usize = 240;

impl Reason {
    pub const ALL: [Self; 6] = [
        Self::Unschedulable,
        Self::VolumePending,
        Self::ImagePullFailed,
        Self::ContainerFailed,
        Self::OutOfMemory,
        Self::CrashLoop,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::VolumePending => "VolumePending",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::ContainerFailed => "ContainerFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::CrashLoop => "CrashLoop",
        }
    }
}

/// The trouble of a pod, if it has any that time alone will hardly cure.
#[must_use]
pub fn of(pod: &Pod) -> Option<Trouble> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    scheduling(name, status).or_else(|| {
        let before = status.init_container_statuses.iter().flatten();
        let containers = before.chain(status.container_statuses.iter().flatten());
        containers.filter_map(|container| waiting(name, container)).next()
    })
}

fn scheduling(pod: &str, status: &PodStatus) -> Option<Trouble> {
    let said = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let words = said.message.as_deref().unwrap_or_default();
    let volume = words.to_ascii_lowercase().contains("persistentvolumeclaim");
    let reason = if volume { Reason::VolumePending } else { Reason::Unschedulable };
    Some(Trouble { reason, message: format!("pod {pod} finds no node: {}", shorten(words)) })
}

/// The trouble of one container.
#[must_use]
pub fn waiting(pod: &str, container: &ContainerStatus) -> Option<Trouble> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let kubelet = waiting.reason.as_deref()?;
    let words = shorten(waiting.message.as_deref().unwrap_or(kubelet));
    let ContainerStatus { name, image, .. } = container;
    let (reason, message) = match kubelet {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            (Reason::ImagePullFailed, format!("pod {pod} cannot pull image {image} of container {name}: {words}"))
        }
        "CreateContainerError" | "CreateContainerConfigError" | "RunContainerError" | "PostStartHookError" => {
            (Reason::ContainerFailed, format!("pod {pod} cannot start container {name}: {words}"))
        }
        "CrashLoopBackOff" if ran_out_of_memory(container) => {
            let limit = memory_limit(container).map(|limit| format!(" of {limit}")).unwrap_or_default();
            let ended = format!("container {name} of pod {pod} ended {} times", container.restart_count);
            (
                Reason::OutOfMemory,
                format!("{ended}, the last time because it reached its memory limit{limit}: raise it"),
            )
        }
        "CrashLoopBackOff" => {
            (Reason::CrashLoop, format!("container {name} of pod {pod} ends again and again: {words}"))
        }
        _ => return None,
    };
    Some(Trouble { reason, message })
}

fn ran_out_of_memory(container: &ContainerStatus) -> bool {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    last.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled"))
}

/// As kubelet reports it of a running container, from 1.33 on.
fn memory_limit(container: &ContainerStatus) -> Option<&str> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    limits.get("memory").map(|limit| limit.0.as_str())
}

/// One line of somebody else's words, not too long.
#[must_use]
pub fn shorten(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "demo-1"}, "status": status})).unwrap()
    }

    fn waiting(reason: &str, message: &str) -> Pod {
        pod(&json!({"containerStatuses": [{
            "name": "etcd", "image": "quay.io/coreos/etcd:v3.5.99", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}}}]}))
    }

    #[test]
    fn a_failed_pull_names_pod_image_and_kubelets_words() {
        let trouble = of(&waiting("ErrImagePull", "rpc error:\n  not found")).unwrap();
        assert_eq!(trouble.reason, Reason::ImagePullFailed);
        assert_eq!(
            trouble.message,
            "pod demo-1 cannot pull image quay.io/coreos/etcd:v3.5.99 of container etcd: rpc error: not found"
        );
    }

    #[test]
    fn a_container_that_is_being_created_is_no_trouble() {
        assert_eq!(of(&waiting("ContainerCreating", "")), None);
    }

    #[test]
    fn a_container_that_ends_for_want_of_memory_is_told_from_one_that_crashes() {
        let ended = |reason: &str| {
            of(&pod(&json!({"containerStatuses": [{
                "name": "etcd", "image": "quay.io/coreos/etcd:v3.5.21", "imageID": "", "ready": false, "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": reason}},
                "resources": {"limits": {"memory": "256Mi"}}}]})))
            .unwrap()
        };
        assert_eq!(ended("Error").reason, Reason::CrashLoop);
        let trouble = ended("OOMKilled");
        assert_eq!(trouble.reason, Reason::OutOfMemory);
        assert_eq!(
            trouble.message,
            "container etcd of pod demo-1 ended 4 times, the last time because it reached its memory limit of 256Mi: raise it"
        );
    }

    #[test]
    fn the_scheduler_tells_a_missing_node_from_a_missing_volume() {
        let unscheduled = |message: &str| {
            let said =
                json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
            of(&pod(&json!({"conditions": [said]}))).unwrap().reason
        };
        assert_eq!(unscheduled("0/3 nodes are available: 3 Insufficient cpu."), Reason::Unschedulable);
        assert_eq!(
            unscheduled("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
            Reason::VolumePending
        );
    }

    #[test]
    fn long_words_are_cut() {
        assert!(shorten(&"é".repeat(1000)).chars().count() <= MAX_WORDS + 1);
    }
}
