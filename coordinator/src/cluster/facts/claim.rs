//! A volume claim of a cluster.

use etcd_operator_shared::{names, quantity};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::api::resource::Quantity};
use kube::ResourceExt;

use super::{Of, pod_trouble::shorten};

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
    /// The incarnation that is noted on it.
    pub note: Option<String>,
    /// Known from live reads only.
    pub size: Option<ClaimSize>,
}

/// What is kept in memory of a claim: what of [`Claim`] rests neither on the cluster nor on the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    name: String,
    uid: String,
    deleting: bool,
    /// UIDs.
    owners: Box<[String]>,
    bound: bool,
    note: Option<Box<str>>,
    made: Option<Timestamp>,
}

/// Of which class a claim is, and how large, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimSize {
    /// The claim's version, for a write.
    pub version: Option<String>,
    /// Name of its class.
    pub class: Option<String>,
    /// What it asks for.
    pub requested: u64,
    /// What the volume has.
    pub capacity: Option<u64>,
    /// What is said of a volume that is to grow.
    pub said: Option<String>,
}

/// A claim that is not bound for longer waits for something else than its provisioner.
const BINDING: SignedDuration = SignedDuration::from_secs(30);

impl Kept {
    #[must_use]
    pub fn of(claim: &impl ResourceExt) -> Self {
        Self {
            name: claim.name_any(),
            uid: claim.uid().unwrap_or_default(),
            deleting: claim.meta().deletion_timestamp.is_some(),
            owners: claim.owner_references().iter().map(|owner| owner.uid.clone()).collect(),
            bound: claim.annotations().contains_key("pv.kubernetes.io/bind-completed"),
            note: claim.annotations().get(names::ANNOTATION_INCARNATION).map(|note| note.as_str().into()),
            made: claim.creation_timestamp().map(|made| made.0),
        }
    }
}

impl Of<Kept> {
    /// Of the cluster that its label names.
    #[must_use]
    pub fn claim(claim: &impl ResourceExt) -> Self {
        Self { cluster: claim.labels().get(names::LABEL_CLUSTER_UID).cloned(), known: Kept::of(claim) }
    }
}

impl Claim {
    /// `cluster`: UID of the EtcdCluster.
    #[must_use]
    pub fn of(kept: &Kept, cluster: &str, now: Timestamp) -> Self {
        let Kept { name, uid, deleting, owners, bound, note, made } = kept;
        let age = made.map(|made| now.duration_since(made));
        Self {
            name: name.clone(),
            uid: uid.clone(),
            deleting: *deleting,
            owned: owners.iter().any(|owner| owner == cluster),
            bound: *bound,
            note: note.as_deref().map(str::to_owned),
            binding: !bound && age.is_none_or(|age| age < BINDING),
            size: None,
        }
    }

    /// As [`Self::of`], with all that a live read shows.
    #[must_use]
    pub fn whole(claim: &PersistentVolumeClaim, cluster: &str, now: Timestamp) -> Self {
        Self { size: ClaimSize::of(claim), ..Self::of(&Kept::of(claim), cluster, now) }
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
            class: claim.spec.as_ref()?.storage_class_name.clone(),
            requested: bytes(requests.get("storage")?)?,
            capacity: status.and_then(|status| bytes(status.capacity.as_ref()?.get("storage")?)),
            said,
        })
    }
}
