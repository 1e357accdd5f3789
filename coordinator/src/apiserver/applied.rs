//! What was applied last, so that an idle cluster costs no writes and drift is repaired all the same.
//!
//! ```text
//!   applied(object) ─▶ (fingerprint, version it has since)
//!   watch says another version ─▶ somebody else wrote: entry dropped, so the next reconciliation applies again
//! ```
//! An apply that changes nothing leaves the version as it is, so this comes to rest. Only in memory: after a restart
//! everything is applied once, which writes nothing either unless something drifted.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, ResourceExt, runtime::watcher::Event};
use serde::Serialize;

/// Entries by object. Synchronous: watches write it, reconciliations read it.
#[derive(Debug, Default)]
pub struct Applied {
    entries: Mutex<HashMap<Key, Entry>>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    kind: String,
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fingerprint: u64,
    version: u64,
    /// Cleared when a watch starts over: what is not listed again is gone.
    listed: bool,
}

impl Key {
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self {
            kind: K::kind(&()).into_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

impl Applied {
    /// Whether an object with this fingerprint was applied and left alone since.
    #[must_use]
    pub fn holds(&self, key: &Key, fingerprint: u64) -> bool {
        self.lock().get(key).is_some_and(|entry| entry.fingerprint == fingerprint)
    }

    /// Notes what was applied. `after` is the object as the API server has it since.
    pub fn note(&self, key: Key, fingerprint: u64, after: &impl ResourceExt) {
        self.lock().insert(key, Entry { fingerprint, version: version(after), listed: true });
    }

    /// Hears one event of a watch of kind `K` over `namespace` (`None`: all).
    pub fn observe<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>, event: &Event<K>) {
        let mut entries = self.lock();
        let ours = |key: &Key| key.kind == K::kind(&()) && namespace.is_none_or(|n| n == key.namespace);
        match event {
            Event::Init => entries.iter_mut().filter(|(key, _)| ours(key)).for_each(|(_, entry)| entry.listed = false),
            Event::InitDone => entries.retain(|key, entry| entry.listed || !ours(key)),
            Event::Apply(object) | Event::InitApply(object) => {
                let key = Key::of(object);
                if let Some(entry) = entries.get_mut(&key) {
                    entry.listed = true;
                    // An older version is the echo of what was there before the apply.
                    if version(object) > entry.version {
                        entries.remove(&key);
                    }
                }
            }
            Event::Delete(object) => {
                entries.remove(&Key::of(object));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fingerprint of an object as it would be sent.
#[must_use]
pub fn fingerprint(object: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(object).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// The generation where there is one, because a busy status raises the resourceVersion (StatefulSet, budget).
fn version(object: &impl ResourceExt) -> u64 {
    let generation = object.meta().generation.map(i64::unsigned_abs);
    generation.or_else(|| object.resource_version()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn map(version: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some("demo-etcd".into());
        map.metadata.namespace = Some("ns".into());
        map.metadata.resource_version = Some(version.into());
        map
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
    fn a_deleted_object_is_made_again() {
        let (applied, key) = applied();
        applied.observe(None, &Event::Delete(map("5")));
        assert!(!applied.holds(&key, 1));
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
