//! An EtcdMember, as far as it is read: ten thousand clusters have tens of thousands of them.

use std::{collections::BTreeMap, sync::Arc};

use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberSpec, EtcdMemberStatus},
    names,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::Version;

/// One EtcdMember.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub name: String,
    pub version: Version,
    pub marks: Arc<Marks>,
    pub spec: Arc<EtcdMemberSpec>,
    pub status: Option<EtcdMemberStatus>,
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
        let unreadable = member.annotations().get(names::NOTE_UNREADABLE).filter(|_| member.status.is_none());
        Self {
            name: member.name_any(),
            version: Version::of(member),
            marks: Arc::new(Marks { labels: member.labels().clone(), owners: member.owner_references().to_vec() }),
            spec: Arc::new(member.spec.clone()),
            status: member.status.clone(),
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
}
