//! The EtcdMember: what one member must know of its cluster.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{
        EtcdMember, EtcdMemberSpec,
        cluster::Restored,
        member::{ToldAuth, ToldBackups, ToldOptions, ToldReload, ToldRestore},
    },
    backup, names,
};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{Blueprint, owner};
use crate::cluster::{
    decide::{
        auth::Wish,
        step::{Reload, Turn},
    },
    facts::{Member, member::Marks},
};

/// A new EtcdMember. Only one that is made before the StatefulSet exists is `initial`: the founding latch says so, and
/// one that is made again after it never is.
#[must_use]
pub fn member(plan: &Blueprint<'_>, ordinal: u32) -> EtcdMember {
    let name = names::member(&plan.name(), ordinal);
    let spec = EtcdMemberSpec {
        cluster_name: plan.name(),
        cluster_uid: plan.life(),
        incarnation: plan.incarnation.number,
        token: plan.incarnation.token.clone(),
        initial: !plan.incarnation.members_created && plan.incarnation.initial_members.contains(&name),
        initial_members: plan.incarnation.initial_members.clone(),
        peers: plan.desired.peers.clone(),
        account: account(plan).map(str::to_owned),
        size: plan.desired.size(),
        stopped: plan.desired.stopped,
        paused: plan.desired.paused,
        held: plan.desired.held.contains(&ordinal),
        downgrade: plan.desired.downgrade.map(|told| told.to_string()),
        certificates: None,
        auth: match &plan.desired.auth {
            Wish::Told(told) => Some(told.clone()),
            Wish::Unknown | Wish::Left => None,
        },
        // Its pod is made with the newest.
        options: None,
        reload: None,
        backups: backups(plan),
        maintenance: maintenance(plan),
        restore: restore(plan, &name),
        retiring: false,
    };
    EtcdMember { metadata: plan.metadata(name), spec, status: None }
}

/// The merge patch that brings an EtcdMember up to date, or `None` if it is. What was fixed when it was made stays. A
/// wish is written only over what was read: a coordinator that slept must not tell members of a size that is long past.
#[must_use]
pub fn update(plan: &Blueprint<'_>, member: &Member) -> Option<Value> {
    let (have, desired) = (&member.spec, plan.desired);
    let (size, stopped, paused) = (desired.size(), desired.stopped, desired.paused);
    let mut spec = BTreeMap::new();
    if have.peers != desired.peers {
        spec.insert("peers", json!(desired.peers));
    }
    if let Some(account) = account(plan).filter(|account| have.account.as_deref() != Some(account)) {
        spec.insert("account", json!(account));
    }
    let mut metadata = marks(plan, member);
    let held = names::ordinal(&plan.name(), &member.name).is_some_and(|ordinal| desired.held.contains(&ordinal));
    if (have.size, have.stopped, have.paused, have.held) != (size, stopped, paused, held) {
        spec.insert("size", json!(size));
        spec.insert("stopped", json!(stopped));
        if have.paused != paused {
            spec.insert("paused", json!(paused));
        }
        if have.held != held {
            spec.insert("held", json!(held));
        }
        metadata.insert("resourceVersion", json!(member.version.resource));
    }
    if let Some(told) = backups_anew(plan, have) {
        spec.insert("backups", told);
    }
    let maintenance = maintenance(plan);
    if have.maintenance != maintenance {
        spec.insert("maintenance", json!(maintenance));
    }
    // Nobody is told that nobody serves: they find out, and what was told last may serve again.
    let restore = restore(plan, &member.name).filter(|told| told.from.is_some());
    if restore.is_some() && restore != have.restore {
        spec.insert("restore", json!(restore));
    }
    match &desired.auth {
        Wish::Told(told) if have.auth.as_ref() != Some(told) => drop(spec.insert("auth", users(told))),
        Wish::Left if have.auth.is_some() => drop(spec.insert("auth", Value::Null)),
        Wish::Told(_) | Wish::Left | Wish::Unknown => {}
    }
    let downgrade = desired.downgrade.map(|told| told.to_string());
    if downgrade.is_some() && downgrade != have.downgrade {
        spec.insert("downgrade", json!(downgrade));
        metadata.insert("resourceVersion", json!(member.version.resource));
    }
    if spec.is_empty() && metadata.is_empty() {
        return None;
    }
    let mut patch = json!({});
    let parts = [("metadata", metadata), ("spec", spec)];
    parts.into_iter().filter(|(_, part)| !part.is_empty()).for_each(|(name, part)| patch[name] = json!(part));
    Some(patch)
}

/// In a merge, what is left out stays.
fn users(ToldAuth { enabled, users }: &ToldAuth) -> Value {
    json!({"enabled": enabled, "users": (!users.is_empty()).then_some(users)})
}

/// The merge patch that tells a member's pod its options, if nobody has told the member anything since it was read.
#[must_use]
pub fn turn(member: &Member, turn: &Turn) -> Value {
    let told = ToldOptions { pod: turn.uid.clone(), said: turn.options.clone() };
    json!({"metadata": {"resourceVersion": member.version.resource}, "spec": {"options": told}})
}

/// The merge patch that has the etcd of a member's pod started once more, on the same condition.
#[must_use]
pub fn reload(member: &Member, reload: &Reload) -> Value {
    let told = ToldReload { pod: reload.uid.clone(), pools: reload.pools.clone() };
    json!({"metadata": {"resourceVersion": member.version.resource}, "spec": {"reload": told}})
}

/// Where backups go and when they are taken; what of it is to be taken now is not said here.
fn backups(plan: &Blueprint<'_>) -> Option<ToldBackups> {
    let policy = serde_json::to_string(plan.cluster.spec.backup.as_ref()?).unwrap_or_default();
    let path = backup::path(&plan.cluster.namespace().unwrap_or_default(), &plan.name(), &plan.life());
    Some(ToldBackups { policy, path, now: None })
}

/// How databases are kept small. A text: in a merge it is replaced as a whole.
fn maintenance(plan: &Blueprint<'_>) -> Option<String> {
    serde_json::to_string(plan.cluster.spec.maintenance.as_ref()?).ok()
}

/// What is to be said of backups to a member that knows something else.
fn backups_anew(plan: &Blueprint<'_>, have: &EtcdMemberSpec) -> Option<Value> {
    match (backups(plan), &have.backups) {
        (None, None) => None,
        (None, Some(_)) => Some(Value::Null),
        (Some(told), Some(have)) if have.policy == told.policy && have.path == told.path => None,
        // In a merge, what is to be taken now stays.
        (Some(ToldBackups { policy, path, now: _ }), Some(_) | None) => Some(json!({"policy": policy, "path": path})),
    }
}

/// What a founder of a cluster that is restored begins with.
fn restore(plan: &Blueprint<'_>, member: &str) -> Option<ToldRestore> {
    let Restored { by: _, digest, size, revision: _, bump, seed: _ } = plan.incarnation.restored.clone()?;
    let founder = plan.incarnation.initial_members.iter().any(|name| name == member);
    founder.then(|| ToldRestore { digest, size, from: plan.desired.serves.clone(), bump })
}

/// Whom the agents are to speak as: told with the addresses, so that it costs the birth of a cluster no write of its
/// own.
fn account<'a>(plan: &'a Blueprint<'_>) -> Option<&'a str> {
    plan.account.as_deref().filter(|_| !plan.desired.peers.is_empty())
}

/// What of labels and owner somebody has taken away. Without them no watch sees it, and nothing clears it away.
fn marks(plan: &Blueprint<'_>, member: &Member) -> BTreeMap<&'static str, Value> {
    let (Marks { labels: have, owners }, mut marks) = (&*member.marks, BTreeMap::new());
    let labels = plan.labels();
    if labels.iter().any(|(key, value)| have.get(key) != Some(value)) {
        marks.insert("labels", json!(labels));
    }
    let owner = owner(plan.cluster);
    if !owners.iter().any(|one| one.uid == owner.uid) {
        let others = owners.iter().filter(|one| one.controller != Some(true)).cloned();
        let all: Vec<_> = std::iter::once(owner).chain(others).collect();
        marks.insert("ownerReferences", json!(all));
        // In a merge, a list is replaced as a whole.
        marks.insert("resourceVersion", json!(member.version.resource));
    }
    marks
}
