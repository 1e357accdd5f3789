//! A volume claim of a cluster.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// One PersistentVolumeClaim that was made for the cluster, by its label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub uid: String,
    pub deleting: bool,
    /// Whether it goes with the EtcdCluster.
    pub owned: bool,
    /// Whether scheduler and provisioner are at work on it.
    pub binding: bool,
}

/// A claim that is not bound for longer waits for something else than its provisioner.
const BINDING: SignedDuration = SignedDuration::from_secs(30);

impl Claim {
    /// `cluster`: UID of the EtcdCluster.
    #[must_use]
    pub fn of(claim: &impl ResourceExt, cluster: &str, now: Timestamp) -> Self {
        let bound = claim.annotations().contains_key("pv.kubernetes.io/bind-completed");
        let age = claim.creation_timestamp().map(|made| now.duration_since(made.0));
        Self {
            name: claim.name_any(),
            uid: claim.uid().unwrap_or_default(),
            deleting: claim.meta().deletion_timestamp.is_some(),
            owned: claim.owner_references().iter().any(|owner| owner.uid == cluster),
            binding: !bound && age.is_none_or(|age| age < BINDING),
        }
    }
}
