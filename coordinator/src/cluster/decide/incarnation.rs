//! The first and the last moments of an incarnation, decided: may it begin, and is it over?
//!
//! ```text
//!   nothing wanted yet, or refused ──▶ nothing is made, nothing is touched; of a refusal a person is told
//!     │ the ground is free
//!     ▼
//!   Begin: status.incarnation ──▶ MakeMembers: initial: true, then latch membersCreated ──▶ the StatefulSet
//!     ▲                                                       from here on an EtcdMember made again is
//!     │                                                       initial: false, always
//!   no pod, and of a stopped one no volume and no EtcdMember, is left (live) ◀── End: latch `ended` ◀── no pod left (live)
//! ```
//! Each arrow is a compare-and-swap or a plain create, so that a crash between any two is made good by doing it again.

use etcd_operator_shared::{
    api::{
        EtcdCluster, Word,
        cluster::{Encrypted, End, Incarnation, Restored},
    },
    backup, names, quota,
    validate::{Encryption, Wanted},
};
use kube::ResourceExt;

use crate::{
    cluster::{
        decide::{
            adoption,
            refusal::Refusal,
            step::{Look, Waiting},
        },
        facts::{
            Facts, Source,
            archive::Restore,
            ground::{Class, FoundSet, FoundVolumeClaim, Ground},
            proof,
        },
    },
    ownership::Owner,
};

/// What is encrypted in a life that begins, where the spec does not say. One that has begun goes on as it was recorded, whatever
/// stands here.
const UNSAID: Encrypted = Encrypted { peer: true, client: true };

/// How far a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Size 0 from the beginning: there is nothing to found yet.
    NotWanted,
    Refused(Refusal),
    /// What is in the way goes by itself.
    Waits(Waiting),
    /// This must be known first.
    Unknown(Look),
    /// This incarnation begins.
    Begins(Incarnation),
    /// This one is there: its members are made, or are being made; or it has ended, and something of it is left.
    Present(Incarnation),
}

/// The stage of a cluster with a valid spec.
#[must_use]
pub fn stage(cluster: &EtcdCluster, wanted: &Wanted, facts: &Facts) -> Stage {
    let present = cluster.status.as_ref().and_then(|status| status.incarnation.clone());
    if let Some((number, Word::Unknown(why))) = present.as_ref().and_then(|i| Some((i.number, i.ended.as_ref()?))) {
        return Stage::Refused(Refusal::UnknownEnd { number, why: why.clone() });
    }
    if let Some(found) = lost(present.as_ref(), facts) {
        // A cache may be behind what was written a moment ago.
        return match facts.source {
            Source::Cache => Stage::Unknown(Look::Live),
            Source::Live => Stage::Refused(Refusal::StatusLost(found)),
        };
    }
    match (&present, present.as_ref().and_then(Incarnation::end)) {
        (None, _) if wanted.size == 0 => return Stage::NotWanted,
        (Some(over), Some(end)) if wanted.size == 0 || leftover(end, facts).is_some() => {
            return Stage::Present(over.clone());
        }
        (None | Some(_), _) => {}
    }
    if facts.set.is_none() {
        let Some(ground) = &facts.ground else { return Stage::Unknown(Look::Ground) };
        if let Some(FoundSet::Foreign(former) | FoundSet::Orphan { set: former, .. }) =
            ground.set.as_ref().filter(|set| set.leaves())
        {
            let message = format!("{former} of a former cluster is still being deleted");
            return Stage::Waits(Waiting::new("FormerLeaving", message));
        }
        if let Err(refusal) = check(&Owner::of(cluster), ground) {
            let adopts = present.is_none() && cluster.spec.storage.adopt && refusal.is_of_former();
            return match adoption::adopted(cluster, wanted, ground) {
                Ok(former) if adopts => Stage::Begins(former),
                Err(unable) if adopts => Stage::Refused(unable),
                Ok(_) | Err(_) => Stage::Refused(refusal),
            };
        }
        if ground.set == Some(FoundSet::Ours) && facts.source == Source::Cache {
            // It is ours, and the cache does not know it.
            return Stage::Unknown(Look::Live);
        }
    }
    match present {
        None => begins(cluster, wanted, facts),
        Some(over) if over.ended.is_some() => Stage::Begins(next(cluster, wanted, &over)),
        Some(present) => Stage::Present(present),
    }
}

/// The first life, empty or with the data that the spec names, once another etcd has opened that.
fn begins(cluster: &EtcdCluster, wanted: &Wanted, facts: &Facts) -> Stage {
    let first = first(cluster, wanted);
    let Some(named) = cluster.spec.bootstrap.as_ref().map(|bootstrap| &bootstrap.restore) else {
        return Stage::Begins(first);
    };
    match &facts.restore {
        Some(Restore { found: Some(found), .. }) => Stage::Begins(with_data(first, found)),
        Some(Restore { trouble: Some((_, words)), .. }) => {
            Stage::Refused(Refusal::RestoreFailed { restore: named.clone(), words: words.clone() })
        }
        Some(_) => {
            let message =
                format!("another etcd opens the data of EtcdRestore {named} before the cluster begins with it");
            Stage::Waits(Waiting::new("Rehearsing", message))
        }
        None => {
            let name = &facts.cluster;
            let message = format!("there is no EtcdRestore {named} for EtcdCluster {name}, which is to begin with it");
            Stage::Waits(Waiting::new("RestoreNotFound", message))
        }
    }
}

/// A life that begins with data: its token says so too.
fn with_data(life: Incarnation, data: &Restored) -> Incarnation {
    let token = backup::token(&life.token, &data.digest);
    Incarnation { token, restored: Some(data.clone()), ..life }
}

/// Where the founders of this life fetch what they begin with, while somebody serves it.
#[must_use]
pub fn serves(incarnation: &Incarnation, facts: &Facts) -> Option<String> {
    let restored = incarnation.restored.as_ref()?;
    if let Some(seed) = &restored.seed {
        let ordinal = names::ordinal(&facts.cluster, seed)?;
        return facts.addresses().get(&ordinal).map(|address| proof::at(address));
    }
    let restore = facts.restore.as_ref().filter(|restore| restore.name == restored.by);
    // Other bytes would be refused by their digest; nobody is sent to them.
    restore.filter(|one| one.found.as_ref().is_some_and(|found| found.digest == restored.digest))?.from.clone()
}

/// What there is of the cluster that cannot be, if its status were whole. An incarnation is written before anything of
/// it exists, and no pod is made before it is latched that its members were: to begin on a status that was lost, or put
/// back from a copy, would make a second cluster out of one.
fn lost(present: Option<&Incarnation>, facts: &Facts) -> Option<String> {
    let number = present.map_or(0, |present| present.number);
    let newer = facts.former.iter().find(|member| member.spec.incarnation > number);
    let newer = newer.map(|m| format!("EtcdMember {} of incarnation {}", m.name, m.spec.incarnation));
    let pod = || facts.pods().next().map(|(_, pod)| format!("pod {}", pod.name));
    let set = || facts.set.as_ref().map(|_| format!("StatefulSet {}", names::stateful_set(&facts.cluster)));
    let claim = || facts.claims.values().next().map(|claim| format!("PersistentVolumeClaim {}", claim.name));
    match present {
        None => newer.or_else(set).or_else(pod).or_else(claim),
        Some(present) if present.members_created || present.ended.is_some() => newer,
        Some(_) => newer.or_else(pod),
    }
}

/// What is left of an incarnation that has ended, and must go before the next begins. The EtcdMembers of one that was
/// given up make room when their successors are made.
#[must_use]
pub fn leftover(end: End, facts: &Facts) -> Option<Waiting> {
    let pods: Vec<&str> = facts.pods().map(|(_, pod)| pod.name.as_str()).collect();
    let claims: Vec<&str> = facts.claims.values().map(|claim| claim.name.as_str()).collect();
    let members = facts.slots.values().any(|slot| slot.member.is_some());
    let over = "the incarnation is over: waiting for";
    match end {
        End::Stopped | End::Abandoned | End::Replaced if !pods.is_empty() => {
            Some(Waiting::new("Stopping", format!("{over} {} to go", pods.join(", "))))
        }
        End::Stopped | End::Abandoned | End::Replaced if facts.replicas() > 0 => {
            Some(Waiting::new("Stopping", format!("{over} the StatefulSet to have no replicas")))
        }
        End::Stopped if !claims.is_empty() => {
            Some(Waiting::new("VolumeLeaving", format!("{over} {} to be deleted", claims.join(", "))))
        }
        End::Stopped if members => Some(Waiting::new("MemberLeaving", format!("{over} its EtcdMembers to be deleted"))),
        End::Stopped | End::Abandoned | End::Replaced => None,
    }
}

/// Names of the members that a cluster of `size` begins with.
#[must_use]
pub fn initial_members(cluster: &str, size: u32) -> Vec<String> {
    (0..size).map(|ordinal| names::member(cluster, ordinal)).collect()
}

/// Whether anything forbids founding.
fn check(owner: &Owner, ground: &Ground) -> Result<(), Refusal> {
    let Ground { class, claims, set } = ground;
    // First: its pods may be at work on the claims.
    if let Some(FoundSet::Foreign(set) | FoundSet::Orphan { set, .. }) = set {
        return Err(Refusal::ForeignObject(set.clone()));
    }
    match class {
        Class::Found | Class::Unknown => {}
        Class::Missing(Some(name)) => return Err(Refusal::StorageClassNotFound(name.clone())),
        Class::Missing(None) => return Err(Refusal::NoDefaultStorageClass),
    }
    if let Some(claim) = claims.iter().find(|claim| claim.cluster_uid.as_ref() != Some(&owner.life)) {
        let FoundVolumeClaim { name, deleting, .. } = claim.clone();
        return Err(if deleting {
            Refusal::VolumeLeaving(name)
        } else {
            Refusal::StaleVolume { claim: name, uid: owner.life.clone() }
        });
    }
    Ok(())
}

/// How many members an incarnation begins with.
#[must_use]
pub fn founders(incarnation: &Incarnation) -> u32 {
    u32::try_from(incarnation.initial_members.len()).unwrap_or(u32::MAX)
}

/// The first incarnation of a cluster.
#[must_use]
pub fn first(cluster: &EtcdCluster, wanted: &Wanted) -> Incarnation {
    incarnation(cluster, wanted, 1, UNSAID)
}

/// The incarnation after one that has ended: another number, hence another token, hence other IDs.
#[must_use]
pub fn next(cluster: &EtcdCluster, wanted: &Wanted, ended: &Incarnation) -> Incarnation {
    let next = incarnation(cluster, wanted, ended.number + 1, ended.encrypted);
    match &ended.next {
        Some(data) => with_data(next, data),
        None => next,
    }
}

/// What is encrypted in a life that begins: as the spec says, else as `before`, which clients know.
fn encrypted(encryption: &Encryption, before: Encrypted) -> Encrypted {
    Encrypted { peer: encryption.peer.unwrap_or(before.peer), client: encryption.client.unwrap_or(before.client) }
}

fn incarnation(cluster: &EtcdCluster, wanted: &Wanted, number: i64, before: Encrypted) -> Incarnation {
    let name = cluster.name_any();
    let namespace = cluster.namespace().unwrap_or_default();
    let Owner { uid, life } = Owner::of(cluster);
    Incarnation {
        number,
        token: names::token(&namespace, &name, &life, number),
        data_uid: (life != uid).then_some(life),
        initial_members: initial_members(&name, wanted.size),
        restored: None,
        has_store: true,
        members_created: false,
        quota_backend: Some(quota::text(quota::of(wanted.storage.bytes))),
        encrypted: encrypted(&wanted.encryption, before),
        ended: None,
        next: None,
    }
}

#[cfg(test)]
mod tests;
