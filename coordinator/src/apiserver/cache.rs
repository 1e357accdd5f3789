//! A cache of one kind, filled by one watch. Reading it is free; what it says may be a moment old. Whether it was filled
//! once is known to [`super::lists::Lists`]: an empty cache is unknown, not empty.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use etcd_operator_shared::names::LABEL_CLUSTER;
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{self, ObjectRef, Store, store::Writer},
};

use super::index::Index;

/// Objects of one kind by namespace and name.
#[derive(Debug, Clone)]
pub struct Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    store: Store<K>,
    /// The writing end, until a watch takes it.
    writer: Arc<Mutex<Option<Writer<K>>>>,
    index: Arc<Index>,
}

impl<K> Default for Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    fn default() -> Self {
        let (store, writer) = reflector::store();
        Self { store, writer: Arc::new(Mutex::new(Some(writer))), index: Arc::default() }
    }
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    /// The writing end, for the one watch that fills this cache; `None` when it was taken.
    #[must_use]
    pub fn writer(&self) -> Option<Writer<K>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What kube's own controller reads.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// What the watch tells beside the cache.
    #[must_use]
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    /// All objects that are labelled for a cluster.
    #[must_use]
    pub fn of(&self, namespace: &str, cluster: &str) -> Vec<Arc<K>> {
        let names = self.index.names(namespace, cluster).into_iter();
        let there = names.filter_map(|name| self.get(namespace, &name));
        there.filter(|object| object.labels().get(LABEL_CLUSTER).is_some_and(|label| label == cluster)).collect()
    }

    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new(name).within(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    #[test]
    fn a_cache_is_empty_until_its_first_list_is_whole() {
        let cache = Cache::<ConfigMap>::default();
        let mut writer = cache.writer().unwrap();
        assert!(cache.writer().is_none(), "two watches would fill it in turns");
        let mut map = ConfigMap::default();
        (map.metadata.namespace, map.metadata.name) = (Some("ns".into()), Some("a".into()));
        for event in [Event::Init, Event::InitApply(map)] {
            writer.apply_watcher_event(&event);
            assert!(cache.get("ns", "a").is_none());
        }
        writer.apply_watcher_event(&Event::InitDone);
        assert!(cache.get("ns", "a").is_some());
    }
}
