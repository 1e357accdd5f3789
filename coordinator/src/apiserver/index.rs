//! The names of objects by the cluster that they are labelled for: to ask a cache for each name that there could be would
//! miss those that nobody thought of.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use etcd_operator_shared::names::LABEL_CLUSTER;
use kube::{ResourceExt, runtime::watcher::Event};

/// Namespace and cluster.
type Key = (String, String);
type Names = HashMap<Key, BTreeSet<String>>;

/// Names by cluster. It may hold a name more than the cache does, and never one less.
#[derive(Debug, Default)]
pub struct Index(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    present: Names,
    /// A list that is not complete yet.
    next: Option<Names>,
}

impl Index {
    /// Names of the objects of a cluster.
    #[must_use]
    pub fn names(&self, namespace: &str, cluster: &str) -> Vec<String> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = lists.present.get(&(namespace.to_owned(), cluster.to_owned()));
        names.into_iter().flatten().cloned().collect()
    }

    /// Hears one event of the watch that fills the cache.
    pub fn observe<K: ResourceExt>(&self, event: &Event<K>) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => lists.next = Some(Names::default()),
            Event::InitApply(object) => {
                let Lists { present, next } = &mut *lists;
                insert(present, object);
                insert(next.get_or_insert_default(), object);
            }
            Event::InitDone => lists.present = lists.next.take().unwrap_or_default(),
            Event::Apply(object) => insert(&mut lists.present, object),
            Event::Delete(object) => {
                let Some(key) = key(object) else { return };
                if let Some(names) = lists.present.get_mut(&key) {
                    names.remove(&object.name_any());
                    if names.is_empty() {
                        lists.present.remove(&key);
                    }
                }
            }
        }
    }
}

fn insert<K: ResourceExt>(names: &mut Names, object: &K) {
    if let Some(key) = key(object) {
        names.entry(key).or_default().insert(object.name_any());
    }
}

fn key<K: ResourceExt>(object: &K) -> Option<Key> {
    Some((object.namespace()?, object.labels().get(LABEL_CLUSTER)?.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn map(name: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        (map.metadata.namespace, map.metadata.name) = (Some("ns".into()), Some(name.into()));
        map.metadata.labels = Some([(LABEL_CLUSTER.to_owned(), "demo".to_owned())].into());
        map
    }

    #[test]
    fn every_name_is_found_and_those_that_went_are_not() {
        let index = Index::default();
        for event in [Event::Init, Event::InitApply(map("demo-0")), Event::InitApply(map("demo-12")), Event::InitDone] {
            index.observe(&event);
        }
        assert_eq!(index.names("ns", "demo"), ["demo-0", "demo-12"]);
        assert!(index.names("other", "demo").is_empty());
        index.observe(&Event::Delete(map("demo-0")));
        index.observe(&Event::Apply(map("demo-9")));
        assert_eq!(index.names("ns", "demo"), ["demo-12", "demo-9"]);
        for event in [Event::Init, Event::InitApply(map("demo-1")), Event::InitDone] {
            index.observe(&event);
        }
        assert_eq!(index.names("ns", "demo"), ["demo-1"], "what a new list lacks is gone");
    }
}
