//! The StatefulSet, as far as it is read.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};

use super::{Etcd, Of, Version, agent, etcd, shape};
use crate::ownership::Marks;

/// What the StatefulSet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub version: Version,
    pub replicas: u32,
    /// Whether it is on its way out: its controller does nothing with it any more.
    pub deleting: bool,
    /// Shape of the template that new pods get, or `None` while the StatefulSet's controller has not seen the template, or
    /// no shape is written on it.
    pub newest: Option<String>,
    /// Frame of that template, where it is known.
    pub frame: Option<String>,
    /// Image of the agents of new pods, where that is known.
    pub agent: Option<String>,
    /// The etcd of new pods and its options, where the template says them.
    pub etcd: Option<Etcd>,
    pub options: Option<String>,
    /// What its claims were made with: a StatefulSet never changes that.
    pub storage: Storage,
}

/// Size and class of a StatefulSet's claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    pub size: String,
    /// `None` for the default class, empty for none.
    pub class: Option<String>,
}

impl Of<Set> {
    /// Of whoever controls it.
    #[must_use]
    pub fn set(set: &StatefulSet) -> Self {
        let marks = Marks::of(set);
        Self { cluster: marks.controller.or(marks.label), known: Set::of(set) }
    }
}

impl Set {
    fn of(set: &StatefulSet) -> Self {
        let spec = set.spec.as_ref();
        let status = set.status.as_ref();
        let seen =
            status.filter(|s| s.observed_generation.is_some() && s.observed_generation == set.metadata.generation);
        Self {
            version: Version::of(set),
            replicas: spec.and_then(|s| s.replicas).map_or(1, i32::unsigned_abs),
            deleting: set.metadata.deletion_timestamp.is_some(),
            agent: seen.and_then(|_| {
                let template = &spec?.template;
                Some(agent::asked(template.metadata.as_ref()?, template.spec.as_ref())?.to_owned())
            }),
            etcd: spec.and_then(|spec| Etcd::of(&spec.template)),
            options: spec.and_then(|spec| Some(etcd::options(spec.template.spec.as_ref()?)?.to_owned())),
            newest: seen.and_then(|_| Some(shape::written(spec?.template.metadata.as_ref()?)?.to_owned())),
            frame: seen.and_then(|_| Some(shape::frame(spec?.template.metadata.as_ref()?)?.to_owned())),
            storage: spec.map(Storage::of).unwrap_or_default(),
        }
    }
}

impl Storage {
    fn of(spec: &StatefulSetSpec) -> Self {
        let claim = spec.volume_claim_templates.iter().flatten().next().and_then(|c| c.spec.as_ref());
        let size = claim.and_then(|c| c.resources.as_ref()?.requests.as_ref()?.get("storage"));
        Self {
            size: size.map(|q| q.0.clone()).unwrap_or_default(),
            class: claim.and_then(|c| c.storage_class_name.clone()),
        }
    }
}
