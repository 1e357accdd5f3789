//! What is there of ours, and whether it stands as we would write it: neither an idle cluster nor a restart costs a
//! write, drift is repaired all the same, and nothing of a stranger is written to.
//!
//! ```text
//!   a write ─▶ the object carries the fingerprint of what was sent (annotation etcd.etcd.io/applied)
//!   its answer, or a watch ─▶ there: UID, whose it is; its fingerprint, and which of its fields are ours
//!   the same fingerprint, and all its fields still ours ─▶ nothing to do; else written again
//! ```
//! An apply that changes nothing leaves the object as it is, so this comes to rest. Nothing is remembered that is not
//! read again from the API server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use etcd_operator_shared::names::{ANNOTATION_APPLIED, MANAGER_COORDINATOR};
use kube::{Resource, ResourceExt, runtime::watcher::Event};
use serde::Serialize;
use serde_json::json;

use super::fields::{Fields, Shapes};
use crate::{
    ownership::{Marks, Owner},
    print,
};

/// Entries by object. Synchronous: watches write it, reconciliations read it.
#[derive(Debug, Default)]
pub struct Applied(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<Key, Entry>,
    shapes: Shapes,
}

/// One object: `kind/namespace/name`, in which nothing else has a slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Box<str>);

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    pub uid: Box<str>,
    /// Whose it is.
    pub marks: Marks,
    /// Whether it stands as it was created: its fields are then owned by that one write, and not by our applies.
    pub as_created: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    there: There,
    /// The fingerprint that it carries.
    print: Option<u64>,
    /// What of it is ours.
    fields: Arc<Fields>,
    /// Whether it is known to stand as it was sent.
    stands: bool,
    /// The newest version that was heard of, and the generation that it has.
    version: u64,
    generation: Option<i64>,
    /// Cleared when a watch starts over: what is not listed again is gone.
    listed: bool,
}

/// An object as it is to be sent, with its fingerprint on it.
#[derive(Debug)]
pub struct Wanted<K> {
    pub key: Key,
    pub object: K,
    print: u64,
}

impl<K: Resource<DynamicType = ()> + Serialize> Wanted<K> {
    #[must_use]
    pub fn of(mut object: K) -> Self {
        let print = print::of(&serde_json::to_string(&object).unwrap_or_default());
        object.annotations_mut().insert(ANNOTATION_APPLIED.to_owned(), format!("{print:016x}"));
        Self { key: Key::of(&object), object, print }
    }
}

impl Key {
    fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let within = Self::within::<K>(&object.namespace().unwrap_or_default());
        Self((within + &object.name_any()).into())
    }

    /// How the keys of this kind and namespace begin.
    fn within<K: Resource<DynamicType = ()>>(namespace: &str) -> String {
        format!("{}/{namespace}/", K::kind(&()))
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
            uid: object.uid().unwrap_or_default().into(),
            marks: Marks::of(object),
            as_created: fields("Update") && !fields("Apply"),
        }
    }
}

impl Applied {
    /// Whether this very object was written, by whomever of us, and all that was sent still stands.
    #[must_use]
    pub fn holds<K: Serialize>(&self, wanted: &Wanted<K>) -> bool {
        self.stands(wanted, |entry| entry.fields.cover(&json!(wanted.object)))
    }

    /// Whether an object with these fields was written, by whomever of us, and all of it still stands, whatever its values.
    #[must_use]
    pub fn holds_such<K: Serialize>(&self, wanted: &Wanted<K>) -> bool {
        let known = self.lock();
        let entry = known.entries.get(&wanted.key).filter(|entry| entry.print.is_some());
        entry.is_some_and(|entry| entry.fields.cover(&json!(wanted.object)))
    }

    /// As [`holds`](Self::holds), of an object whose spec is ours as a whole, and was read at this generation.
    #[must_use]
    pub fn holds_at<K: Serialize>(&self, wanted: &Wanted<K>, generation: Option<i64>) -> bool {
        let stands = |entry: &Entry| !entry.fields.shares_spec() && entry.fields.cover(&json!(wanted.object));
        self.stands(wanted, stands) && self.lock().entries.get(&wanted.key).is_some_and(|e| e.generation == generation)
    }

    fn stands<K>(&self, wanted: &Wanted<K>, stands: impl FnOnce(&Entry) -> bool) -> bool {
        let mut known = self.lock();
        let entry = known.entries.get_mut(&wanted.key).filter(|entry| entry.print == Some(wanted.print));
        entry.is_some_and(|entry| {
            entry.stands = entry.stands || stands(entry);
            entry.stands
        })
    }

    /// The object that is there, if one was heard of.
    #[must_use]
    pub fn there(&self, key: &Key) -> Option<There> {
        self.lock().entries.get(key).map(|entry| entry.there.clone())
    }

    /// UID of the object of this kind and name, where it is this cluster's.
    #[must_use]
    pub fn uid_of<K: Resource<DynamicType = ()>>(&self, namespace: &str, name: &str, owner: &Owner) -> Option<String> {
        let key = Key((Key::within::<K>(namespace) + name).into());
        self.there(&key).filter(|there| there.marks.are_of(owner)).map(|there| there.uid.into())
    }

    /// Notes what was written. `after` is the object as the API server has it since. What was heard meanwhile stays
    /// heard: a watch may be faster than the answer to a write.
    pub fn note<K>(&self, wanted: Wanted<K>, after: &impl ResourceExt) {
        let mut known = self.lock();
        let entry = Entry { print: Some(wanted.print), stands: true, ..known.entry(after) };
        let newer = |there: &Entry| there.there.uid == entry.there.uid && there.version > entry.version;
        if !known.entries.get(&wanted.key).is_some_and(newer) {
            known.entries.insert(wanted.key, entry);
        }
    }

    /// What was believed of an object has turned out to be wrong.
    pub fn forget(&self, key: &Key) {
        self.lock().entries.remove(key);
    }

    /// Hears one event of a watch of kind `K` over `namespace` (`None`: all).
    pub fn observe<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>, event: &Event<K>) {
        let mut known = self.lock();
        let kind = namespace.map_or_else(|| format!("{}/", K::kind(&())), Key::within::<K>);
        let ours = |Key(key): &Key| key.starts_with(&kind);
        match event {
            Event::Init => {
                known.entries.iter_mut().filter(|(key, _)| ours(key)).for_each(|(_, entry)| entry.listed = false);
            }
            Event::InitDone => known.entries.retain(|key, entry| entry.listed || !ours(key)),
            Event::Apply(object) | Event::InitApply(object) => known.hear(object),
            Event::Delete(object) => {
                let (key, uid) = (Key::of(object), object.uid().unwrap_or_default());
                // One that is gone says nothing of its successor.
                if known.entries.get(&key).is_some_and(|entry| *entry.there.uid == *uid) {
                    known.entries.remove(&key);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn hear<K: Resource<DynamicType = ()>>(&mut self, object: &K) {
        let mut now = self.entry(object);
        if let Some(before) = self.entries.get_mut(&Key::of(object)) {
            before.listed = true;
            // An older version is the echo of what was there before a write.
            if now.version <= before.version {
                return;
            }
            let same = before.there.uid == now.there.uid && before.print == now.print;
            now.stands = before.stands && same && Arc::ptr_eq(&before.fields, &now.fields);
        }
        self.entries.insert(Key::of(object), now);
    }

    /// What an object as the API server has it says of itself.
    fn entry(&mut self, object: &impl ResourceExt) -> Entry {
        let print = object.annotations().get(ANNOTATION_APPLIED);
        Entry {
            there: There::of(object),
            print: print.and_then(|print| u64::from_str_radix(print, 16).ok()),
            fields: self.shapes.of(object),
            stands: false,
            version: object.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default(),
            generation: object.meta().generation,
            listed: true,
        }
    }
}

#[cfg(test)]
mod tests;
