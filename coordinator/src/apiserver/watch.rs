//! Watches: each fills a cache or tells what was applied of its versions, and then triggers.
//!
//! Each watch fills its cache before it triggers. A list replaces a cache at its end only, and says nothing of what is
//! gone: its objects trigger nothing one by one, and once it is complete every cluster is looked at ([`Lists`]). All but
//! EtcdClusters are watched by the label that every object of ours carries, so that a busy cluster's other pods cost
//! nothing.
//!
//! An object that came goes on only as long as it triggers: what is kept of it is what [`Keep`] makes of it. Lists come in
//! pages, so that a start needs no more memory for what is dropped again than a page of each kind takes.

use std::{fmt::Debug, sync::Arc};

use etcd_operator_shared::names::LABEL_CLUSTER;
use futures::{Stream, StreamExt, future::ready};
use kube::{
    Api, Client, Resource,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::{
    applied::Applied,
    cache::{Cache, Keep},
    guard::{Guard, Salvage, Unreadable, readable},
    lists::Lists,
    whole::Whole,
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

/// Objects of one page of a list. A whole Pod takes some 30 KB until what is kept of it is made.
const PAGE: u32 = 100;
/// `kubectl apply` writes there what it was given. Nothing else reads it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Objects that carry our label.
fn ours() -> watcher::Config {
    all().labels(LABEL_CLUSTER)
}

/// All objects of a kind.
fn all() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// What all watches of one scope share.
pub struct Watches {
    pub scope: Scope,
    pub client: Client,
    pub applied: Arc<Applied>,
    pub lists: Lists,
}

impl Watches {
    /// A watch that fills a cache.
    pub fn kept<K, T>(
        &self,
        cache: &Cache<T>,
        keep: Keep<K, T>,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K, T>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
        T: Send + Sync + 'static,
    {
        self.keep(self.events(ours()), cache, keep)
    }

    /// As [`kept`](Self::kept), of a kind that is written: what was applied of it is known too.
    pub fn kept_and_noticed<K, T>(
        &self,
        cache: &Cache<T>,
        keep: Keep<K, T>,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K, T>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
        T: Send + Sync + 'static,
    {
        self.keep(self.events(ours()).inspect(self.listener()), cache, keep)
    }

    /// A watch of all objects of a kind, which keeps those whole that can be read, and tells of the rest.
    pub fn whole<K, T>(
        &self,
        whole: &Whole<K>,
        salvage: Salvage<K>,
        tell: T,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K, T>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
        T: Fn(Unreadable) + Send + 'static,
    {
        let (known, writer) = (whole.clone(), whole.writer().expect("it is filled by one watch"));
        let events = self.events::<Guard<K>>(all()).filter_map(move |event| {
            let event = event.map(|event| readable(event, &known, salvage, &tell)).transpose();
            ready(event)
        });
        triggers(events.modify(strip).reflect(writer), self.lists.clone())
    }

    /// A watch of metadata, for what was applied.
    pub fn noticed<K>(&self) -> impl Stream<Item = Result<PartialObjectMeta<K>, watcher::Error>> + Send + use<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        triggers(self.events::<PartialObjectMeta<K>>(ours()).inspect(self.listener()), self.lists.clone())
    }

    fn events<K>(
        &self,
        config: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + use<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        watcher(self.scope.api::<K>(&self.client), config).default_backoff().inspect(interrupted)
    }

    /// Fills a cache.
    fn keep<K, T, S>(
        &self,
        events: S,
        cache: &Cache<T>,
        keep: Keep<K, T>,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K, T, S>
    where
        K: Watched,
        T: Send + Sync + 'static,
        S: Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    {
        let cache = cache.clone();
        let filling = move |event: &watcher::Result<watcher::Event<K>>| {
            if let Ok(event) = event {
                cache.observe(event, keep);
            }
        };
        triggers(events.inspect(filling), self.lists.clone())
    }

    fn listener<K: Watched>(&self) -> impl FnMut(&watcher::Result<watcher::Event<K>>) + Send + use<K> {
        let (applied, namespace) = (Arc::clone(&self.applied), self.scope.0.clone());
        move |event| {
            if let Ok(event) = event {
                applied.observe(namespace.as_deref(), event);
            }
        }
    }
}

/// Takes away what is large and nothing reads.
fn strip<K: Resource>(object: &mut K) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    metadata.annotations.as_mut().map(|all| all.remove(LAST_APPLIED));
}

fn interrupted<K: Watched>(event: &watcher::Result<watcher::Event<K>>) {
    if let Err(error) = event {
        warn!(kind = %K::kind(&()), %error, "watch interrupted");
    }
}

/// The objects that are touched after the first lists, and a word whenever a list is complete: only then does a cache
/// hold it.
fn triggers<K: Watched>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    lists: Lists,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send {
    lists.begin(&K::kind(&()));
    let one_by_one = move |event: &watcher::Result<watcher::Event<K>>| match event {
        Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => lists.are_complete(),
        Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => false,
        Ok(watcher::Event::InitDone) => {
            lists.complete(&K::kind(&()));
            false
        }
        Err(_) => true,
    };
    events.filter(move |event| ready(one_by_one(event))).touched_objects()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        ResourceExt,
        runtime::{reflector, watcher::Event},
    };

    fn map(name: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.into());
        map
    }

    /// Names of what is triggered one by one.
    async fn triggered(events: Vec<Event<ConfigMap>>, lists: &Lists) -> (Vec<String>, usize) {
        let (store, writer) = reflector::store();
        let events = stream::iter(events.into_iter().map(Ok));
        let touched = triggers(events.reflect(writer), lists.clone());
        let names = touched.map(|object| object.unwrap().name_any()).collect().await;
        (names, store.len())
    }

    #[tokio::test]
    async fn what_a_new_list_lacks_is_noticed_once_the_cache_has_the_list() {
        let first = [Event::Init, Event::InitApply(map("a")), Event::InitApply(map("b")), Event::InitDone];
        let second = [Event::Init, Event::InitApply(map("a")), Event::InitDone];
        let lists = Lists::default();
        let mut words = Box::pin(lists.words());
        assert_eq!(triggered(first.into_iter().chain(second).collect(), &lists).await, (vec![], 1));
        assert_eq!(words.next().await, Some(()));
    }

    #[tokio::test]
    async fn nothing_is_triggered_before_all_first_lists_are_complete() {
        let events = || vec![Event::Init, Event::InitDone, Event::Apply(map("a")), Event::Delete(map("b"))];
        let lists = Lists::default();
        lists.begin("Pod");
        assert_eq!(triggered(events(), &lists).await.0, Vec::<String>::new());
        lists.complete("Pod");
        assert_eq!(triggered(events(), &lists).await.0, ["a", "b"]);
    }
}
