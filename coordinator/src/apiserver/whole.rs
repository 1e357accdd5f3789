//! Whole objects of one kind, as kube's own controller wants them, filled by one watch.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    Resource,
    runtime::reflector::{self, ObjectRef, Store, store::Writer},
};

/// Objects of one kind by namespace and name.
#[derive(Debug, Clone)]
pub struct Whole<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    store: Store<K>,
    /// The writing end, until a watch takes it.
    writer: Arc<Mutex<Option<Writer<K>>>>,
}

impl<K> Default for Whole<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    fn default() -> Self {
        let (store, writer) = reflector::store();
        Self { store, writer: Arc::new(Mutex::new(Some(writer))) }
    }
}

impl<K> Whole<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    /// The writing end, for the one watch that fills it; `None` when it was taken.
    #[must_use]
    pub fn writer(&self) -> Option<Writer<K>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What kube's own controller reads.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.store.clone()
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
    fn nothing_is_there_until_the_first_list_is_whole() {
        let whole = Whole::<ConfigMap>::default();
        let mut writer = whole.writer().unwrap();
        assert!(whole.writer().is_none(), "two watches would fill it in turns");
        let mut map = ConfigMap::default();
        (map.metadata.namespace, map.metadata.name) = (Some("ns".into()), Some("a".into()));
        for event in [Event::Init, Event::InitApply(map)] {
            writer.apply_watcher_event(&event);
            assert!(whole.get("ns", "a").is_none());
        }
        writer.apply_watcher_event(&Event::InitDone);
        assert!(whole.get("ns", "a").is_some());
    }
}
