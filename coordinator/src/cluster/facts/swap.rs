//! etcd's container of a pod: which image stands in it, and whether a change of that image has come through.
//!
//! ```text
//!   patch: image, and the note with the ID of the container that runs ──▶ kubelet stops it ──▶ another container runs
//!          └────────── due: nothing that is said of the pod speaks of the new image ──────────┘
//! ```

use etcd_operator_shared::{
    names::{ANNOTATION_SWAP, CONTAINER_ETCD},
    version::Version,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

/// etcd's container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// The image that stands in the pod.
    pub image: String,
    /// ID of the container that runs; `None` while none does.
    pub id: Option<String>,
    /// What it was changed to; `None`: it has the image that its pod was made with.
    pub swapped: Option<Swapped>,
}

/// What is written on a pod whose etcd got another image, with the change itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Swapped {
    /// Version of etcd that the image is to hold.
    pub version: String,
    /// The image as it was asked for.
    pub image: String,
    /// ID of the container that ran before.
    pub container: String,
    pub at: Timestamp,
}

impl Container {
    pub(super) fn of(pod: &Pod) -> Self {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let status = statuses.into_iter().find(|one| one.name == CONTAINER_ETCD);
        let runs = status.filter(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()));
        let noted = pod.annotations().get(ANNOTATION_SWAP);
        Self {
            image: pod.spec.as_ref().and_then(image).unwrap_or_default().to_owned(),
            id: runs.and_then(|one| one.container_id.clone()),
            swapped: noted.and_then(|noted| serde_json::from_str(noted).ok()),
        }
    }

    /// Whether it was changed, and what runs is not what it was changed to: kubelet has not come so far, or the image
    /// holds another version. `version`: of the etcd that serves there, as its agent says.
    #[must_use]
    pub fn is_due(&self, version: Option<&str>) -> bool {
        let Some(Swapped { version: wanted, container, .. }) = &self.swapped else { return false };
        let parsed = |text: &str| text.parse::<Version>().ok();
        let other = version.is_some_and(|version| parsed(version) != parsed(wanted));
        self.id.as_ref() == Some(container) || (self.id.is_some() && other)
    }
}

/// The image that stands in etcd's container.
#[must_use]
pub fn image(spec: &PodSpec) -> Option<&str> {
    spec.containers.iter().find(|one| one.name == CONTAINER_ETCD)?.image.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: Option<&str>, swapped: bool) -> Container {
        let swapped = swapped.then(|| Swapped {
            version: "v3.5.35".into(),
            image: "etcd:2".into(),
            container: "old".into(),
            at: Timestamp::UNIX_EPOCH,
        });
        Container { image: "etcd:2".into(), id: id.map(Into::into), swapped }
    }

    #[test]
    fn a_swap_is_due_until_another_container_runs_the_version_that_was_meant() {
        let due = |id, version| container(id, true).is_due(version);
        assert!(due(Some("old"), Some("v3.5.35")), "kubelet has not come so far, whatever was said before");
        assert!(due(Some("new"), Some("v3.5.21")), "the image holds another");
        assert!(!due(Some("new"), Some("v3.5.35")) && !due(Some("new"), None));
        assert!(!due(None, Some("v3.5.21")), "none runs: kubelet says why");
        assert!(!container(Some("old"), false).is_due(Some("v3.5.21")), "it was never swapped");
    }

    #[test]
    fn what_was_written_on_a_pod_is_read_back() {
        let noted = serde_json::json!(container(None, true).swapped).to_string();
        let pod = serde_json::json!({
            "metadata": {"name": "demo-0", "annotations": {ANNOTATION_SWAP: noted}},
            "spec": {"containers": [{"name": "agent", "image": "a"}, {"name": "etcd", "image": "etcd:2"}]},
            "status": {"containerStatuses": [
                {"name": "etcd", "image": "i", "imageID": "", "ready": true, "restartCount": 1, "containerID": "new",
                    "state": {"running": {}}}]},
        });
        assert_eq!(Container::of(&serde_json::from_value(pod).unwrap()), container(Some("new"), true));
    }
}
