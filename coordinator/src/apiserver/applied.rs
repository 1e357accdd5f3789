//! What is there of ours, as far as it was heard, and what was applied last: an idle cluster costs no writes, drift is
//! repaired all the same, and nothing of a stranger is written to.
//!
//! ```text
//!   a write's answer, or a watch ─▶ there: UID, whose it is, its version      applied ─▶ fingerprint, version it has since
//!   another version was heard    ─▶ somebody else wrote: the next reconciliation applies again
//! ```
//! An apply that changes nothing leaves the version as it is, so this comes to rest. Only in memory: after a restart
//! everything is applied once, which writes nothing either unless something drifted.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use etcd_operator_shared::names::MANAGER_COORDINATOR;
use kube::{Resource, ResourceExt, runtime::watcher::Event};
use serde::Serialize;

use crate::ownership::owner;

/// Entries by object. Synchronous: watches write it, reconciliations read it.
#[derive(Debug, Default)]
pub struct Applied {
    entries: Mutex<HashMap<Key, Entry>>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    kind: Cow<'static, str>,
    namespace: String,
    name: String,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    pub uid: String,
    /// UID of the EtcdCluster that it belongs to, or of whatever else controls it.
    pub owner: Option<String>,
    /// Whether it stands as it was created: its fields are then owned by that one write, and not by our applies.
    pub as_created: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    there: There,
    /// The newest version that was heard of.
    heard: Version,
    /// What was applied, and the version that it has since.
    applied: Option<(u64, Version)>,
    /// Cleared when a watch starts over: what is not listed again is gone.
    listed: bool,
}

/// What tells that somebody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    resource: u64,
    /// Rises with the spec alone, of kinds that have one.
    generation: Option<i64>,
    /// Fingerprint of labels and owners, which no generation shows.
    marks: u64,
}

impl Key {
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self {
            kind: Cow::Owned(K::kind(&()).into_owned()),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

impl There {
    /// Reads one from an object as the API server has it.
    pub fn of(object: &impl ResourceExt) -> Self {
        let fields = |operation: &str| {
            object.managed_fields().iter().any(|entry| {
                let ours = entry.manager.as_deref() == Some(MANAGER_COORDINATOR) && entry.subresource.is_none();
                ours && entry.operation.as_deref() == Some(operation)
            })
        };
        Self {
            uid: object.uid().unwrap_or_default(),
            owner: owner(object),
            as_created: fields("Update") && !fields("Apply"),
        }
    }
}

impl Applied {
    /// Whether an object with this fingerprint was applied and left alone since.
    #[must_use]
    pub fn holds(&self, key: &Key, fingerprint: u64) -> bool {
        let entries = self.lock();
        let Some(Entry { heard, applied: Some((print, since)), .. }) = entries.get(key) else { return false };
        *print == fingerprint && !heard.is_written_after(since)
    }

    /// As [`holds`](Self::holds), of an object whose spec was read at this generation.
    #[must_use]
    pub fn holds_at(&self, key: &Key, fingerprint: u64, generation: Option<i64>) -> bool {
        let applied = self.lock().get(key).and_then(|entry| entry.applied);
        self.holds(key, fingerprint) && applied.is_some_and(|(_, since)| since.generation == generation)
    }

    /// The object that is there, if one was heard of.
    #[must_use]
    pub fn there(&self, key: &Key) -> Option<There> {
        self.lock().get(key).map(|entry| entry.there.clone())
    }

    /// Notes what was applied. `after` is the object as the API server has it since. What was heard meanwhile stays
    /// heard: a watch may be faster than the answer to a write.
    pub fn note(&self, key: Key, fingerprint: u64, after: &impl ResourceExt) {
        let (there, since) = (There::of(after), Version::of(after));
        let mut entries = self.lock();
        let heard = entries.get(&key).filter(|entry| entry.there.uid == there.uid).map(|entry| entry.heard);
        let heard = heard.filter(|heard| heard.resource > since.resource).unwrap_or(since);
        entries.insert(key, Entry { there, heard, applied: Some((fingerprint, since)), listed: true });
    }

    /// What was believed of an object has turned out to be wrong.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Hears one event of a watch of kind `K` over `namespace` (`None`: all).
    pub fn observe<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>, event: &Event<K>) {
        let mut entries = self.lock();
        let ours = |key: &Key| key.kind == K::kind(&()) && namespace.is_none_or(|n| n == key.namespace);
        match event {
            Event::Init => entries.iter_mut().filter(|(key, _)| ours(key)).for_each(|(_, entry)| entry.listed = false),
            Event::InitDone => entries.retain(|key, entry| entry.listed || !ours(key)),
            Event::Apply(object) | Event::InitApply(object) => hear(&mut entries, object),
            Event::Delete(object) => {
                let (key, uid) = (Key::of(object), object.uid().unwrap_or_default());
                // One that is gone says nothing of its successor.
                if entries.get(&key).is_some_and(|entry| entry.there.uid == uid) {
                    entries.remove(&key);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hear<K: Resource<DynamicType = ()>>(entries: &mut HashMap<Key, Entry>, object: &K) {
    let (there, heard) = (There::of(object), Version::of(object));
    match entries.get_mut(&Key::of(object)) {
        Some(entry) => {
            entry.listed = true;
            // An older version is the echo of what was there before a write.
            if heard.resource <= entry.heard.resource {
                return;
            }
            if entry.there.uid != there.uid {
                entry.applied = None;
            }
            (entry.there, entry.heard) = (there, heard);
        }
        None => {
            entries.insert(Key::of(object), Entry { there, heard, applied: None, listed: true });
        }
    }
}

impl Version {
    fn of(object: &impl ResourceExt) -> Self {
        let meta = object.meta();
        let owners: Vec<_> = object.owner_references().iter().map(|owner| (&owner.uid, owner.controller)).collect();
        Self {
            resource: object.resource_version().and_then(|text| text.parse().ok()).unwrap_or_default(),
            generation: meta.generation,
            marks: fingerprint(&(object.labels(), owners)),
        }
    }

    /// Whether anything but a status was written between `since` and this. A busy status raises the resourceVersion
    /// (StatefulSet, budget), so kinds that have a generation are told by that.
    fn is_written_after(&self, since: &Self) -> bool {
        let spec = self.generation.is_none() || self.generation != since.generation;
        self.resource > since.resource && (spec || self.marks != since.marks)
    }
}

/// Fingerprint of an object as it would be sent.
#[must_use]
pub fn fingerprint(object: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(object).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{
        api::{apps::v1::StatefulSet, core::v1::ConfigMap},
        apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
    };

    fn map(version: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some("demo-etcd".into());
        map.metadata.namespace = Some("ns".into());
        map.metadata.uid = Some("u".into());
        map.metadata.resource_version = Some(version.into());
        map
    }

    fn set(version: &str, generation: i64, label: &str) -> StatefulSet {
        let mut set = StatefulSet::default();
        (set.metadata.namespace, set.metadata.name) = (Some("ns".into()), Some("demo".into()));
        set.metadata.resource_version = Some(version.into());
        set.metadata.generation = Some(generation);
        set.metadata.labels = Some([("a".to_owned(), label.to_owned())].into());
        set
    }

    fn applied() -> (Applied, Key) {
        let (applied, key) = (Applied::default(), Key::of(&map("5")));
        applied.note(key.clone(), 1, &map("5"));
        (applied, key)
    }

    #[test]
    fn what_was_applied_is_not_applied_again() {
        let (applied, key) = applied();
        applied.observe(None, &Event::Apply(map("4")));
        applied.observe(None, &Event::Apply(map("5")));
        assert!(applied.holds(&key, 1));
        assert!(!applied.holds(&key, 2), "another fingerprint is another object");
    }

    #[test]
    fn somebody_elses_write_is_repaired() {
        let (applied, key) = applied();
        applied.observe(None, &Event::Apply(map("6")));
        assert!(!applied.holds(&key, 1));
    }

    #[test]
    fn a_write_that_is_heard_before_the_answer_to_ours_is_repaired_too() {
        let (applied, key) = applied();
        applied.observe(None, &Event::Apply(map("7")));
        applied.note(key.clone(), 2, &map("6"));
        assert!(!applied.holds(&key, 2));
        applied.note(key.clone(), 2, &map("7"));
        assert!(applied.holds(&key, 2));
    }

    #[test]
    fn a_busy_status_is_no_drift_but_a_label_is() {
        let (applied, key) = (Applied::default(), Key::of(&set("5", 1, "ours")));
        applied.note(key.clone(), 1, &set("5", 1, "ours"));
        applied.observe(None, &Event::Apply(set("6", 1, "ours")));
        assert!(applied.holds(&key, 1));
        assert!(!applied.holds_at(&key, 1, Some(2)), "a read that is ahead of the watch");
        applied.observe(None, &Event::Apply(set("7", 1, "theirs")));
        assert!(!applied.holds(&key, 1));
        applied.note(key.clone(), 1, &set("8", 1, "ours"));
        applied.observe(None, &Event::Apply(set("9", 2, "ours")));
        assert!(!applied.holds(&key, 1), "another spec");
    }

    #[test]
    fn a_deleted_object_is_made_again() {
        let (applied, key) = applied();
        applied.observe(None, &Event::Delete(map("5")));
        assert!(!applied.holds(&key, 1) && applied.there(&key).is_none());
    }

    #[test]
    fn the_end_of_a_predecessor_says_nothing_of_the_object() {
        let (applied, key) = applied();
        let mut former = map("9");
        former.metadata.uid = Some("former".into());
        applied.observe(None, &Event::Delete(former));
        assert!(applied.holds(&key, 1));
    }

    #[test]
    fn an_object_is_known_from_its_watch_alone_with_who_owns_its_fields() {
        let (applied, mut created) = (Applied::default(), map("5"));
        let entry = |operation: &str| ManagedFieldsEntry {
            manager: Some(MANAGER_COORDINATOR.into()),
            operation: Some(operation.into()),
            ..ManagedFieldsEntry::default()
        };
        created.metadata.managed_fields = Some(vec![entry("Update")]);
        applied.observe(None, &Event::InitApply(created.clone()));
        let there = There { uid: "u".into(), owner: None, as_created: true };
        assert_eq!(applied.there(&Key::of(&created)), Some(there));
        created.metadata.managed_fields = Some(vec![entry("Update"), entry("Apply")]);
        assert!(!There::of(&created).as_created);
    }

    #[test]
    fn what_a_new_list_lacks_is_gone_in_that_namespace_only() {
        let (applied, key) = applied();
        for event in [Event::<ConfigMap>::Init, Event::InitDone] {
            applied.observe(Some("other"), &event);
        }
        assert!(applied.holds(&key, 1));
        for event in [Event::<ConfigMap>::Init, Event::InitDone] {
            applied.observe(Some("ns"), &event);
        }
        assert!(!applied.holds(&key, 1));
    }
}
