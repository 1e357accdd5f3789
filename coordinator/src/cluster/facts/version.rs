//! Which object it was, and whether its spec has been written since.

use kube::ResourceExt;

/// An object as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    pub uid: Option<String>,
    /// Rises with the spec alone.
    pub generation: Option<i64>,
    /// Changes with the status too, which is busy while pods come and go.
    pub resource: Option<String>,
}

impl Version {
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        Self { uid: object.uid(), generation: object.meta().generation, resource: object.resource_version() }
    }

    /// Whether only the status was written in between.
    #[must_use]
    pub fn is_same_spec(&self, other: &Self) -> bool {
        self.uid == other.uid && self.generation == other.generation
    }
}
