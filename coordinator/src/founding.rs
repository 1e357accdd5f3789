//! The first moments of a cluster, decided: may it be founded, and with which incarnation?
//!
//! ```text
//!   checks ──refused──▶ nothing is made, a person is told
//!     │ ok
//!     ▼
//!   write status.incarnation ──▶ make EtcdMembers, initial: true ──▶ latch membersCreated ──▶ make the StatefulSet
//!                                                                     from here on an EtcdMember made again is
//!                                                                     initial: false, always
//! ```
//! Each arrow is a compare-and-swap or a plain create, so that a crash between any two is made good by doing it again. A next
//! incarnation goes the same way, after the one before has ended ([`crate::ending`]); its StatefulSet is there, at 0 replicas.

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Incarnation},
    names,
    validate::Wanted,
};
use kube::ResourceExt;

use crate::refusal::Refusal;

/// What was looked at before founding, with the API server's own eyes (no cache).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    pub class: Class,
    /// Claims that the StatefulSet would take for its own.
    pub claims: Vec<Claim>,
    /// UID of the owner of a StatefulSet that has our name; empty when it has none.
    pub set_owner: Option<String>,
}

/// The StatefulSet's StorageClass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Class {
    #[default]
    Found,
    /// Absent; `None` when no class is the default.
    Missing(Option<String>),
    /// The coordinator may not look: the volumes will show it.
    Unknown,
}

/// A claim that lies where a member's will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    /// UID of the cluster that it was made for, if any.
    pub cluster_uid: Option<String>,
    pub deleting: bool,
}

/// Names of the members that a cluster of `size` begins with.
#[must_use]
pub fn initial_members(cluster: &str, size: u32) -> Vec<String> {
    (0..size).map(|ordinal| names::member(cluster, ordinal)).collect()
}

/// Whether anything forbids founding.
pub fn check(cluster_uid: &str, cluster: &str, ground: &Ground) -> Result<(), Refusal> {
    let Ground { class, claims, set_owner } = ground;
    match class {
        Class::Found | Class::Unknown => {}
        Class::Missing(Some(name)) => return Err(Refusal::StorageClassNotFound(name.clone())),
        Class::Missing(None) => return Err(Refusal::NoDefaultStorageClass),
    }
    if let Some(claim) = claims.iter().find(|c| c.cluster_uid.as_deref() != Some(cluster_uid)) {
        let Claim { name, deleting, .. } = claim.clone();
        return Err(if deleting { Refusal::VolumeLeaving(name) } else { Refusal::StaleVolume(name) });
    }
    match set_owner {
        Some(owner) if owner != cluster_uid => Err(Refusal::ForeignStatefulSet(names::stateful_set(cluster))),
        Some(_) | None => Ok(()),
    }
}

/// How many members an incarnation begins with.
#[must_use]
pub fn founders(life: &Incarnation) -> u32 {
    u32::try_from(life.initial_members.len()).unwrap_or(u32::MAX)
}

/// The first incarnation of a cluster.
#[must_use]
pub fn first(cluster: &EtcdCluster, wanted: &Wanted) -> Incarnation {
    incarnation(cluster, wanted, 1)
}

/// The incarnation after one that has ended: another number, hence another token, hence other IDs.
#[must_use]
pub fn next(cluster: &EtcdCluster, wanted: &Wanted, ended: &Incarnation) -> Incarnation {
    incarnation(cluster, wanted, ended.number + 1)
}

fn incarnation(cluster: &EtcdCluster, wanted: &Wanted, number: i64) -> Incarnation {
    let name = cluster.name_any();
    let namespace = cluster.namespace().unwrap_or_default();
    let uid = cluster.uid().unwrap_or_default();
    Incarnation {
        number,
        token: names::token(&namespace, &name, &uid, number),
        initial_members: initial_members(&name, wanted.size),
        members_created: false,
        ended: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(uid: Option<&str>) -> Claim {
        Claim { name: "data-demo-0".into(), cluster_uid: uid.map(Into::into), deleting: false }
    }

    #[test]
    fn a_next_incarnation_begins_with_the_size_of_today_and_another_token() {
        let cluster = |size: i32| {
            EtcdCluster::new(
                "demo",
                serde_json::from_value(serde_json::json!({"version": "v3.5.21", "size": size})).unwrap(),
            )
        };
        let wanted = |size: i32| etcd_operator_shared::validate::cluster(&cluster(size)).unwrap();
        let one = first(&cluster(3), &wanted(3));
        let two = next(&cluster(1), &wanted(1), &Incarnation { members_created: true, ..one.clone() });
        assert_eq!((two.number, two.initial_members.len(), two.members_created), (2, 1, false));
        assert!(two.ended.is_none() && two.token != one.token);
    }

    #[test]
    fn a_volume_of_another_life_is_not_taken() {
        for foreign in [None, Some("old")] {
            let ground = Ground { claims: vec![claim(Some("u")), claim(foreign)], ..Ground::default() };
            assert_eq!(check("u", "demo", &ground), Err(Refusal::StaleVolume("data-demo-0".into())));
        }
    }

    #[test]
    fn a_volume_of_this_very_cluster_is() {
        let ground = Ground { claims: vec![claim(Some("u"))], set_owner: Some("u".into()), class: Class::Unknown };
        assert_eq!(check("u", "demo", &ground), Ok(()));
    }

    #[test]
    fn a_missing_class_comes_before_everything() {
        let ground = Ground { class: Class::Missing(None), claims: vec![claim(None)], set_owner: None };
        assert_eq!(check("u", "demo", &ground), Err(Refusal::NoDefaultStorageClass));
    }

    #[test]
    fn the_stateful_set_of_a_former_cluster_is_not_adopted() {
        let ground = Ground { set_owner: Some(String::new()), ..Ground::default() };
        assert_eq!(check("u", "demo", &ground), Err(Refusal::ForeignStatefulSet("demo".into())));
    }
}
