//! An EtcdMember, as far as it is read: ten thousand clusters have tens of thousands of them.

use std::{collections::BTreeMap, sync::Arc};

use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberSpec, EtcdMemberStatus},
    names,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::{Version, certificates::Certificates};

/// One EtcdMember.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub name: String,
    pub version: Version,
    pub marks: Arc<Marks>,
    /// Without its certificates.
    pub spec: Arc<EtcdMemberSpec>,
    /// Without what it asks for.
    pub status: Option<EtcdMemberStatus>,
    pub certificates: Option<Box<Certificates>>,
    /// Why its status, what its agent says, cannot be read.
    pub unreadable: Option<String>,
}

/// By what it is known as ours.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    pub labels: BTreeMap<String, String>,
    pub owners: Vec<OwnerReference>,
}

impl Member {
    #[must_use]
    pub fn of(member: &EtcdMember) -> Self {
        let (mut spec, mut status) = (member.spec.clone(), member.status.clone());
        let issued = spec.certificates.take();
        let request = status.as_mut().and_then(|status| status.certificates.as_mut()?.request.take());
        let unreadable = member.annotations().get(names::NOTE_UNREADABLE).filter(|_| member.status.is_none());
        Self {
            name: member.name_any(),
            version: Version::of(member),
            marks: Arc::new(Marks { labels: member.labels().clone(), owners: member.owner_references().to_vec() }),
            spec: Arc::new(spec),
            status,
            certificates: Certificates::of(issued.as_ref(), request.as_deref()),
            unreadable: unreadable.cloned(),
        }
    }

    /// The same member, which shares with another what both have: what the coordinator says to the members of one cluster
    /// is mostly the same for all.
    #[must_use]
    pub fn sharing(mut self, other: &Self) -> Self {
        if self.marks == other.marks {
            self.marks = Arc::clone(&other.marks);
        }
        if self.spec == other.spec {
            self.spec = Arc::clone(&other.spec);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::tests::member;

    #[test]
    fn members_of_one_cluster_share_what_they_are_told_until_one_is_told_something_else() {
        let (one, mut two) = (member(0, None), member(1, None));
        assert!(Arc::ptr_eq(&two.clone().sharing(&one).spec, &one.spec));
        Arc::make_mut(&mut two.spec).size = 5;
        let two = two.sharing(&one);
        assert_eq!((one.spec.size, two.spec.size), (3, 5));
        assert!(Arc::ptr_eq(&two.marks, &one.marks));
    }

    #[test]
    fn no_chain_is_kept_of_a_member_and_no_request() {
        let text = |size: usize| "x".repeat(size);
        let status = serde_json::json!({"certificates": {"request": text(400), "key": "k"}});
        let mut object = EtcdMember::new("demo-0", EtcdMemberSpec::clone(&member(0, None).spec));
        object.status = serde_json::from_value(status).unwrap();
        let issued = serde_json::json!({"key": "k", "names": "n", "peer": {"chain": text(900), "trust": text(500)}});
        object.spec.certificates = serde_json::from_value(issued).unwrap();
        let kept = Member::of(&object);
        let answered = kept.certificates.clone().unwrap().answered.unwrap();
        assert_eq!((&*answered.key, &*answered.names, answered.client), ("k", "n", None));
        assert!(!format!("{kept:?}").contains(&text(20)));
        assert_eq!(kept.status.unwrap().certificates.unwrap().key.as_deref(), Some("k"));
        assert_eq!(kept.spec.certificates, None, "what is left is the same for all members of a cluster");
    }
}
