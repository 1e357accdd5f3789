//! Whose an object is. What is not ours is never written to.
//!
//! ```text
//!   it has a controller            ─▶ the controller's
//!   none, and our label with a UID ─▶ that life's: somebody took the owner reference away
//!   neither                        ─▶ nobody's that we know
//! ```
//! A life of data has the UID of the EtcdCluster with which it began. One that has adopted its data controls objects by
//! its own UID, and labels them with that of the life.

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

/// What an object says of whose it is: UIDs of its controller and on its label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    pub controller: Option<String>,
    pub label: Option<String>,
}

/// An EtcdCluster, as its objects name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub uid: String,
    /// UID on labels.
    pub life: String,
}

impl Marks {
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        Self {
            controller: controller(object).map(|owner| owner.uid.clone()),
            label: object.labels().get(LABEL_CLUSTER_UID).cloned(),
        }
    }

    #[must_use]
    pub fn are_of(&self, Owner { uid, life }: &Owner) -> bool {
        match &self.controller {
            Some(controller) => controller == uid,
            None => self.label.as_ref() == Some(life),
        }
    }

    /// The life whose object it is, where nobody controls it.
    #[must_use]
    pub fn orphan(self) -> Option<String> {
        self.label.filter(|_| self.controller.is_none())
    }
}

impl Owner {
    #[must_use]
    pub fn of(cluster: &EtcdCluster) -> Self {
        let uid = cluster.uid().unwrap_or_default();
        let incarnation = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
        let life = incarnation.and_then(|incarnation| incarnation.data_uid.clone());
        Self { life: life.unwrap_or_else(|| uid.clone()), uid }
    }

    /// Whether an object is this cluster's.
    #[must_use]
    pub fn owns(&self, object: &impl ResourceExt) -> bool {
        Marks::of(object).are_of(self)
    }
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

    fn owns(uid: &str, map: &ConfigMap) -> bool {
        Owner { uid: uid.into(), life: uid.into() }.owns(map)
    }

    #[test]
    fn who_has_adopted_a_life_owns_its_orphans_and_not_what_its_former_controls() {
        let heir = Owner { uid: "new".into(), life: "former".into() };
        assert!(heir.owns(&map(None, Some("former"))) && heir.owns(&map(Some("new"), Some("former"))));
        assert!(!heir.owns(&map(Some("former"), Some("former"))), "it goes");
        assert!(!heir.owns(&map(None, Some("new"))));
        assert_eq!(Marks::of(&map(None, Some("former"))).orphan().as_deref(), Some("former"));
        assert_eq!(Marks::of(&map(Some("former"), Some("former"))).orphan(), None);
    }

    #[test]
    fn a_controller_owns_and_without_one_the_label_tells() {
        assert!(owns("a", &map(Some("a"), Some("u"))) && !owns("u", &map(Some("a"), Some("u"))));
        assert!(owns("u", &map(None, Some("u"))));
        assert!(!owns("u", &map(None, None)));
    }

    #[test]
    fn an_owner_that_does_not_control_owns_nothing() {
        let mut map = map(Some("a"), None);
        map.metadata.owner_references.as_mut().unwrap()[0].controller = None;
        assert!(!owns("a", &map));
    }

    #[test]
    fn what_a_former_cluster_of_the_same_name_left_goes_by_itself() {
        assert!(stranger("ConfigMap", "demo", &map(Some("former"), None)).leaves);
        assert!(!stranger("ConfigMap", "other", &map(Some("former"), None)).leaves);
        assert!(!stranger("ConfigMap", "demo", &map(None, Some("former"))).leaves, "orphans stay");
    }
}
