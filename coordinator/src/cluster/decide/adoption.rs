//! Going on with the data of a former EtcdCluster of the same name, where a person wants it (`spec.storage.adopt`).
//!
//! ```text
//!   each claim of a cluster says of which incarnation it is (an annotation, beside the labels with name and UID)
//!   the EtcdCluster goes, its volumes stay, or all of it stays as orphans
//!   one of the same name comes, and adopts ──all claims of one UID, the newest incarnation──▶ Begin, with its members made
//! ```
//! Nothing is renamed and no volume is written to: the incarnation goes on under the UID with which it began
//! (`dataUid`), which stands in the agents' marks, on the claims and in the selector of a StatefulSet. So one write, by
//! compare-and-swap, does it all, and what follows is what follows when a stopped cluster wakes. Its members are
//! latched as made: none of them ever bootstraps again, so a volume that is missing is a lost disk, and no more.

use std::collections::BTreeSet;

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Incarnation},
    backup, names,
    validate::Wanted,
};
use kube::ResourceExt;

use crate::{
    cluster::{
        decide::refusal::Refusal,
        facts::ground::{FoundSet, FoundVolumeClaim, Ground},
    },
    ownership::Owner,
};

/// What is noted on each claim of an incarnation: all that another EtcdCluster must know to go on with it.
#[must_use]
pub fn note(cluster: &EtcdCluster, incarnation: &Incarnation) -> String {
    let life = Owner::of(cluster).life;
    let all = Incarnation { data_uid: Some(life), members_created: true, ended: None, ..incarnation.clone() };
    serde_json::to_string(&all).unwrap_or_default()
}

/// The incarnation that goes on in what was found.
///
/// # Errors
/// Why there is none, in words for a person.
pub fn adopted(cluster: &EtcdCluster, wanted: &Wanted, ground: &Ground) -> Result<Incarnation, Refusal> {
    let Ground { class: _, claims, set } = ground;
    let orphan = match set {
        None | Some(FoundSet::Ours) => None,
        Some(FoundSet::Foreign(set)) => return Err(Refusal::ForeignObject(set.clone())),
        Some(FoundSet::Orphan { uid, .. }) => Some(uid),
    };
    if let Some(claim) = claims.iter().find(|claim| claim.deleting) {
        return Err(Refusal::VolumeLeaving(claim.name.clone()));
    }
    let name = cluster.name_any();
    if let Some(other) = claims.iter().find(|claim| claim.cluster.as_ref() != Some(&name)) {
        let sentence = format!("PersistentVolumeClaim {} was not made for an EtcdCluster {name}", other.name);
        return Err(Refusal::NotAdoptable(sentence));
    }
    let uids: BTreeSet<Option<&String>> =
        claims.iter().map(|claim| claim.cluster_uid.as_ref()).chain(orphan.map(Some)).collect();
    let Some(Some(life)) = uids.first().filter(|_| uids.len() == 1) else {
        let each = claims.iter().map(|claim| {
            let uid = claim.cluster_uid.as_deref().unwrap_or("nobody");
            format!("{} of {uid}", claim.name)
        });
        let each = each.chain(orphan.map(|uid| format!("StatefulSet {name} of {uid}"))).collect::<Vec<_>>().join(", ");
        return Err(Refusal::NotAdoptable(format!("what lies there is not of one cluster ({each})")));
    };
    let newest = claims.iter().filter_map(|claim| noted(cluster, life, claim)).max_by_key(|noted| noted.number);
    let newest = newest.ok_or_else(|| {
        let key = names::ANNOTATION_INCARNATION;
        Refusal::NotAdoptable(format!("none of its volumes says of which incarnation it is (annotation {key})"))
    })?;
    match beyond(&name, wanted.size, claims) {
        None => Ok(newest),
        Some(ordinal) => Err(Refusal::NotAdoptable(format!(
            "{} may be a member's, so begin with spec.size of {} or more, and lower it later",
            names::volume_claim(&names::member(&name, ordinal)),
            (ordinal + 1) | 1,
        ))),
    }
}

/// The incarnation that is noted on a claim, if it is one of this life.
fn noted(cluster: &EtcdCluster, life: &str, claim: &FoundVolumeClaim) -> Option<Incarnation> {
    let noted: Incarnation = serde_json::from_str(claim.note.as_ref()?).ok()?;
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let token = names::token(&namespace, &name, life, noted.number);
    let members = noted.initial_members.iter().all(|member| names::ordinal(&name, member).is_some());
    let right = backup::life_of(&noted.token) == token && noted.data_uid.as_deref() == Some(life);
    let whole = Incarnation { members_created: true, ended: None, ..noted };
    (right && members && !whole.initial_members.is_empty()).then_some(whole)
}

/// The highest place with a volume that a cluster of this size has no member at.
fn beyond(name: &str, size: u32, claims: &[FoundVolumeClaim]) -> Option<u32> {
    let prefix = names::volume_claim(name);
    claims.iter().filter_map(|claim| names::ordinal(&prefix, &claim.name)).filter(|ordinal| *ordinal >= size).max()
}

#[cfg(test)]
mod tests;
