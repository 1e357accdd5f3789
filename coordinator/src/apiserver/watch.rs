//! Watches: each fills a cache or tells what was applied of its versions, and then triggers.
//!
//! Each watch fills its cache before it triggers. A list that is made anew (the watch was too late, or the API server
//! away) replaces a cache at its end only, and says nothing of what is gone: then every cluster is looked at. All but
//! EtcdClusters are watched by the label that every object of ours carries, so that a busy cluster's other pods cost
//! nothing.

use std::{fmt::Debug, sync::Arc};

use etcd_operator_shared::names::LABEL_CLUSTER;
use futures::{Stream, StreamExt, channel::mpsc};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::{
    applied::Applied,
    cache::Cache,
    guard::{Guard, Salvage, Unreadable, readable},
};

/// Where to look: one namespace, or all.
#[derive(Debug, Clone)]
pub struct Scope(pub Option<String>);

/// What a watched kind must be.
pub trait Watched: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Watched for K {}

impl Scope {
    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.0 {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// Objects that carry our label.
pub fn ours() -> watcher::Config {
    watcher::Config::default().labels(LABEL_CLUSTER)
}

/// What all watches of one scope share.
pub struct Watches {
    pub scope: Scope,
    pub client: Client,
    pub applied: Arc<Applied>,
    /// Told whenever a list is complete.
    pub listed: mpsc::UnboundedSender<()>,
}

impl Watches {
    /// A watch that fills a cache.
    pub fn cached<K>(
        &self,
        config: watcher::Config,
        cache: &Cache<K>,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        let writer = cache.writer().expect("a cache is filled by one watch");
        // managedFields are half of an object, and nothing here reads them.
        let events = watcher(self.scope.api::<K>(&self.client), config).default_backoff();
        let events = events.modify(|o| o.managed_fields_mut().clear());
        let events = events.inspect(self.listener()).inspect(indexed(cache));
        triggers(events.reflect(writer), self.listed.clone())
    }

    /// A watch that fills a cache with what can be read, and tells of the rest.
    pub fn guarded<K, T>(
        &self,
        config: watcher::Config,
        cache: &Cache<K>,
        salvage: Salvage<K>,
        tell: T,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K, T>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
        T: Fn(Unreadable) + Send + 'static,
    {
        let writer = cache.writer().expect("a cache is filled by one watch");
        let api: Api<Guard<K>> = self.scope.api(&self.client);
        let known = cache.clone();
        let events = watcher(api, config).default_backoff();
        let events = events.filter_map(move |event| {
            let event = event.map(|event| readable(event, &known, salvage, &tell)).transpose();
            std::future::ready(event)
        });
        let events = events.modify(|o| o.managed_fields_mut().clear());
        let events = events.inspect(self.listener()).inspect(indexed(cache));
        triggers(events.reflect(writer), self.listed.clone())
    }

    /// A watch of metadata, for what was applied.
    pub fn noticed<K>(&self) -> impl Stream<Item = Result<PartialObjectMeta<K>, watcher::Error>> + Send + use<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        let api: Api<PartialObjectMeta<K>> = self.scope.api(&self.client);
        triggers(watcher(api, ours()).default_backoff().inspect(self.listener()), self.listed.clone())
    }

    fn listener<K: Watched>(&self) -> impl FnMut(&watcher::Result<watcher::Event<K>>) + Send + use<K> {
        let (applied, namespace) = (Arc::clone(&self.applied), self.scope.0.clone());
        move |event| match event {
            Ok(event) => applied.observe(namespace.as_deref(), event),
            Err(error) => warn!(kind = %K::kind(&()), %error, "watch interrupted"),
        }
    }
}

/// Keeps a cache's index.
fn indexed<K: Watched>(cache: &Cache<K>) -> impl FnMut(&watcher::Result<watcher::Event<K>>) + Send + use<K> {
    let index = cache.index();
    move |event| {
        if let Ok(event) = event {
            index.observe(event);
        }
    }
}

/// The objects that are touched, and a word whenever a list is complete: only then does a cache hold it.
fn triggers<K: Watched>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    listed: mpsc::UnboundedSender<()>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send {
    let tell = move |event: &watcher::Result<watcher::Event<K>>| {
        if matches!(event, Ok(watcher::Event::InitDone)) {
            // Nobody listens any more: the controller ends.
            let _ = listed.unbounded_send(());
        }
    };
    events.inspect(tell).touched_objects()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::{reflector, watcher::Event};

    fn map(name: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.into());
        map
    }

    #[tokio::test]
    async fn what_a_new_list_lacks_is_noticed_once_the_cache_has_the_list() {
        let (store, writer) = reflector::store();
        let (listed, mut lists) = mpsc::unbounded();
        let first = [Event::Init, Event::InitApply(map("a")), Event::InitApply(map("b")), Event::InitDone];
        let second = [Event::Init, Event::InitApply(map("a")), Event::InitDone];
        let events = stream::iter(first.into_iter().chain(second).map(Ok));
        let mut touched = Box::pin(triggers(events.reflect(writer), listed));
        while touched.next().await.is_some() {}
        assert_eq!(store.len(), 1);
        assert_eq!((lists.next().await, lists.next().await), (Some(()), Some(())));
    }
}
