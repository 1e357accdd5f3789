//! A volume claim of a cluster.

use etcd_operator_shared::quantity;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::api::resource::Quantity};
use kube::ResourceExt;

use super::pod_trouble::shorten;

/// One PersistentVolumeClaim that was made for the cluster, by its label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub uid: String,
    pub deleting: bool,
    /// Whether it goes with the EtcdCluster.
    pub owned: bool,
    /// Whether it has a volume.
    pub bound: bool,
    /// Whether scheduler and provisioner are at work on it.
    pub binding: bool,
    /// Known from live reads only.
    pub size: Option<ClaimSize>,
}

/// How large a claim is, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimSize {
    /// The claim's version, for a write.
    pub version: Option<String>,
    /// What it asks for.
    pub requested: u64,
    /// What the volume has.
    pub capacity: Option<u64>,
    /// What is said of a volume that is to grow.
    pub said: Option<String>,
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
            bound,
            binding: !bound && age.is_none_or(|age| age < BINDING),
            size: None,
        }
    }

    /// As [`Self::of`], with all that a live read shows.
    #[must_use]
    pub fn whole(claim: &PersistentVolumeClaim, cluster: &str, now: Timestamp) -> Self {
        Self { size: ClaimSize::of(claim), ..Self::of(claim, cluster, now) }
    }
}

impl ClaimSize {
    fn of(claim: &PersistentVolumeClaim) -> Option<Self> {
        let bytes = |quantity: &Quantity| quantity::bytes(&quantity.0).ok();
        let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
        let status = claim.status.as_ref();
        let conditions = status.into_iter().flat_map(|status| status.conditions.iter().flatten());
        let said = conditions.filter(|condition| condition.status == "True").find_map(|condition| {
            let words = condition.message.as_deref().filter(|words| !words.is_empty());
            Some(format!("{}: {}", condition.type_, shorten(words?)))
        });
        Some(Self {
            version: claim.resource_version(),
            requested: bytes(requests.get("storage")?)?,
            capacity: status.and_then(|status| bytes(status.capacity.as_ref()?.get("storage")?)),
            said,
        })
    }
}
