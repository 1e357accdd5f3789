//! Whose an object is. What is not ours is never written to.
//!
//! ```text
//!   it has a controller            ─▶ the controller's
//!   none, and our label with a UID ─▶ that EtcdCluster's: somebody took the owner reference away
//!   neither                        ─▶ nobody's that we know
//! ```

use std::fmt;

use etcd_operator_shared::{api::EtcdCluster, names::LABEL_CLUSTER_UID};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

/// An object that has a name of ours and is somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    pub kind: String,
    pub name: String,
    /// Whether it goes by itself: it is being deleted, or belongs to a former EtcdCluster of the same name.
    pub leaves: bool,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// UID of the owner of an object.
#[must_use]
pub fn owner(object: &impl ResourceExt) -> Option<String> {
    let controller = controller(object).map(|owner| owner.uid.clone());
    controller.or_else(|| object.labels().get(LABEL_CLUSTER_UID).cloned())
}

/// Says whose an object is that is not ours.
#[must_use]
pub fn stranger(kind: &str, cluster: &str, object: &impl ResourceExt) -> Stranger {
    let former = controller(object).is_some_and(|owner| owner.kind == EtcdCluster::kind(&()) && owner.name == cluster);
    Stranger {
        kind: kind.to_owned(),
        name: object.name_any(),
        leaves: former || object.meta().deletion_timestamp.is_some(),
    }
}

fn controller(object: &impl ResourceExt) -> Option<&OwnerReference> {
    object.owner_references().iter().find(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn map(controller: Option<&str>, label: Option<&str>) -> ConfigMap {
        let mut map = ConfigMap::default();
        let owner = |uid: &str| OwnerReference {
            kind: "EtcdCluster".into(),
            name: "demo".into(),
            uid: uid.into(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        map.metadata.owner_references = controller.map(|uid| vec![owner(uid)]);
        map.metadata.labels = label.map(|uid| [(LABEL_CLUSTER_UID.to_owned(), uid.to_owned())].into());
        map
    }

    #[test]
    fn a_controller_owns_and_without_one_the_label_tells() {
        assert_eq!(owner(&map(Some("a"), Some("u"))).as_deref(), Some("a"));
        assert_eq!(owner(&map(None, Some("u"))).as_deref(), Some("u"));
        assert_eq!(owner(&map(None, None)), None);
    }

    #[test]
    fn an_owner_that_does_not_control_owns_nothing() {
        let mut map = map(Some("a"), None);
        map.metadata.owner_references.as_mut().unwrap()[0].controller = None;
        assert_eq!(owner(&map), None);
    }

    #[test]
    fn what_a_former_cluster_of_the_same_name_left_goes_by_itself() {
        assert!(stranger("ConfigMap", "demo", &map(Some("former"), None)).leaves);
        assert!(!stranger("ConfigMap", "other", &map(Some("former"), None)).leaves);
        assert!(!stranger("ConfigMap", "demo", &map(None, Some("former"))).leaves, "orphans stay");
    }
}
