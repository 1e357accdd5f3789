//! What is kept of the objects of one kind, filled by one watch. Reading it is free; what it says may be a moment old.
//! Whether it was filled once is known to [`super::lists::Lists`]: an empty cache is unknown, not empty.
//!
//! ```text
//!   watch ─▶ whole object ─▶ keep: what decisions read ─▶ cache        the object itself triggers, and is dropped
//! ```
//! What is kept is a type of its own, made at this door: a field that nobody has asked for costs no memory, and one that
//! a decision reads cannot be missing without the compiler's notice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use etcd_operator_shared::names::LABEL_CLUSTER;
use kube::{ResourceExt, runtime::watcher::Event};

/// What is kept, by namespace and name, and by the cluster that objects are labelled for: to ask for each name that there
/// could be would miss those that nobody thought of.
#[derive(Debug)]
pub struct Cache<T>(Arc<Mutex<State<T>>>);

/// `namespace/name`: neither of them can hold a slash.
type Key = Arc<str>;

/// Makes of an object what is kept of it; `None` where no part of it is of use. The other is one that the cache has of the
/// same cluster, to share with it what both have.
pub type Keep<K, T> = fn(&K, Option<&T>) -> Option<T>;

#[derive(Debug)]
struct State<T> {
    present: Objects<T>,
    /// A list that is not complete yet.
    next: Objects<T>,
}

#[derive(Debug)]
struct Objects<T> {
    all: HashMap<Key, Entry<T>>,
    by_cluster: HashMap<Key, Vec<Key>>,
}

#[derive(Debug)]
struct Entry<T> {
    kept: Arc<T>,
    cluster: Key,
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { present: Objects::default(), next: Objects::default() })))
    }
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self { all: HashMap::new(), by_cluster: HashMap::new() }
    }
}

impl<T> Cache<T> {
    /// All objects that are labelled for a cluster, by name.
    #[must_use]
    pub fn of(&self, namespace: &str, cluster: &str) -> Vec<Arc<T>> {
        self.lock().present.of(&key(namespace, cluster))
    }

    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.lock().present.all.get(&key(namespace, name)).map(|entry| Arc::clone(&entry.kept))
    }

    /// Hears one event of the watch that fills it. A list replaces what is there when it is complete, and not before.
    pub fn observe<K: ResourceExt>(&self, event: &Event<K>, keep: Keep<K, T>) {
        let mut state = self.lock();
        match event {
            Event::Init => state.next = Objects::default(),
            Event::InitApply(object) => state.next.put(object, keep),
            Event::InitDone => state.present = std::mem::take(&mut state.next),
            Event::Apply(object) => state.present.put(object, keep),
            Event::Delete(object) => state.present.remove(&name(object)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Objects<T> {
    fn of(&self, cluster: &str) -> Vec<Arc<T>> {
        let mut names: Vec<&Key> = self.by_cluster.get(cluster).into_iter().flatten().collect();
        names.sort_unstable();
        names.into_iter().filter_map(|name| self.all.get(name)).map(|entry| Arc::clone(&entry.kept)).collect()
    }

    fn put<K: ResourceExt>(&mut self, object: &K, keep: Keep<K, T>) {
        let name = name(object);
        self.remove(&name);
        let Some(cluster) = object.labels().get(LABEL_CLUSTER) else { return };
        let cluster = key(&object.namespace().unwrap_or_default(), cluster);
        let other = self.by_cluster.get(&cluster).and_then(|names| self.all.get(names.first()?));
        let Some(kept) = keep(object, other.map(|entry| &*entry.kept)) else { return };
        let cluster = self.by_cluster.get_key_value(&cluster).map_or(cluster.clone(), |(known, _)| Arc::clone(known));
        self.by_cluster.entry(Arc::clone(&cluster)).or_default().push(Arc::clone(&name));
        self.all.insert(name, Entry { kept: Arc::new(kept), cluster });
    }

    fn remove(&mut self, name: &str) {
        let Some(Entry { kept: _, cluster }) = self.all.remove(name) else { return };
        let Some(names) = self.by_cluster.get_mut(&cluster) else { return };
        names.retain(|one| &**one != name);
        if names.is_empty() {
            self.by_cluster.remove(&cluster);
        }
    }
}

fn key(namespace: &str, name: &str) -> Key {
    format!("{namespace}/{name}").into()
}

fn name(object: &impl ResourceExt) -> Key {
    key(&object.namespace().unwrap_or_default(), &object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn map(name: &str) -> ConfigMap {
        labelled(name, "demo")
    }

    fn labelled(name: &str, cluster: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        (map.metadata.namespace, map.metadata.name) = (Some("ns".into()), Some(name.into()));
        map.metadata.labels = Some([(LABEL_CLUSTER.to_owned(), cluster.to_owned())].into());
        map
    }

    /// Keeps the name, but of one that is called `bad` nothing.
    fn keep(map: &ConfigMap, _: Option<&String>) -> Option<String> {
        Some(map.name_any()).filter(|name| name != "bad")
    }

    fn filled(events: impl IntoIterator<Item = Event<ConfigMap>>) -> Cache<String> {
        let cache = Cache::default();
        events.into_iter().for_each(|event| cache.observe(&event, keep));
        cache
    }

    fn of(cache: &Cache<String>, cluster: &str) -> Vec<String> {
        cache.of("ns", cluster).iter().map(|kept| kept.to_string()).collect()
    }

    #[test]
    fn a_cache_is_empty_until_its_first_list_is_whole() {
        let cache = filled([Event::Init, Event::InitApply(map("a"))]);
        assert!(cache.get("ns", "a").is_none());
        cache.observe(&Event::InitDone, keep);
        assert_eq!(cache.get("ns", "a").as_deref().map(String::as_str), Some("a"));
        assert!(cache.get("other", "a").is_none());
    }

    #[test]
    fn every_object_of_a_cluster_is_found_and_those_that_went_are_not() {
        let first = [Event::Init, Event::InitApply(map("demo-12")), Event::InitApply(map("demo-0")), Event::InitDone];
        let cache = filled(first);
        assert_eq!(of(&cache, "demo"), ["demo-0", "demo-12"]);
        assert!(cache.of("other", "demo").is_empty());
        cache.observe(&Event::Delete(map("demo-0")), keep);
        cache.observe(&Event::Apply(map("demo-9")), keep);
        assert_eq!(of(&cache, "demo"), ["demo-12", "demo-9"]);
        for event in [Event::Init, Event::InitApply(map("demo-1")), Event::InitDone] {
            cache.observe(&event, keep);
        }
        assert_eq!(of(&cache, "demo"), ["demo-1"], "what a new list lacks is gone");
    }

    #[test]
    fn an_object_that_is_labelled_for_another_cluster_is_no_more_of_the_first() {
        let cache = filled([Event::Apply(map("a")), Event::Apply(labelled("a", "other"))]);
        assert_eq!((of(&cache, "demo"), of(&cache, "other")), (vec![], vec!["a".to_owned()]));
        cache.observe(&Event::Delete(labelled("a", "other")), keep);
        let state = cache.lock();
        assert!(state.present.all.is_empty() && state.present.by_cluster.is_empty(), "nothing is left of it");
    }

    #[test]
    fn an_object_of_which_no_part_is_of_use_any_more_is_gone() {
        let fickle: Keep<ConfigMap, String> = |map, _| map.data.is_none().then(|| map.name_any());
        let cache = filled([Event::Apply(map("a")), Event::Apply(map("bad"))]);
        assert_eq!(of(&cache, "demo"), ["a"]);
        cache.observe(&Event::Apply(ConfigMap { data: Some([].into()), ..map("a") }), fickle);
        assert!(cache.get("ns", "a").is_none());
    }

    #[test]
    fn an_object_can_share_with_another_of_its_cluster_and_with_no_stranger() {
        let shares: Keep<ConfigMap, Arc<str>> =
            |map, other| Some(other.map_or_else(|| map.name_any().into(), Arc::clone));
        let cache = Cache::default();
        for object in [map("a"), map("b"), labelled("c", "other")] {
            cache.observe(&Event::Apply(object), shares);
        }
        let of = |name| cache.get("ns", name).unwrap();
        assert!(Arc::ptr_eq(&*of("a"), &*of("b")));
        assert_eq!(&**of("c"), "c");
    }
}
