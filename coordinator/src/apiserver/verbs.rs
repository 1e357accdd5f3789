//! Our verbs on the API server. Each is bounded in time, counted when it writes, and fails with a sentence.
//!
//! Nothing here retries: reconciliation is the retry, and its reason is visible. The client's own retries are off,
//! because they would obey a Retry-After for minutes where we have something better to do.
//!
//! Writes keep a pace ([`Pace`]), so that a fleet in motion leaves room for others. What says how things are does not
//! wait for it: statuses, and the Lease.

use std::{
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use etcd_operator_shared::names::MANAGER_COORDINATOR;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::{NamespaceResourceScope, PartialObjectMeta},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};

use super::{
    failed::{CALL_TIMEOUT, Cause, Failed},
    fence::Fence,
    guard::{Guard, Salvage},
    pace::{Pace, Rate},
};
use crate::metrics::Metrics;

/// Writes. An apply costs the API server some 3 ms of a core, and a dozen of clusters are made without any wait.
const WRITES: Rate = Rate { a_second: 50.0, at_once: 200.0 };
/// Live looks at what has waited for long: each is four reads that no cache of the API server answers.
const LOOKS: Rate = Rate { a_second: 5.0, at_once: 10.0 };

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// The API server, as far as reconciliation uses it.
pub struct ApiServer {
    client: Client,
    pub(super) metrics: Metrics,
    pace: Pace,
    looks: Pace,
    answered: Mutex<Option<Instant>>,
    minor: AtomicU32,
    /// Closed while another may lead.
    pub fence: Arc<Fence>,
}

/// Kinds that live in a namespace and are known at compile time.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send
{
}

impl ApiServer {
    #[must_use]
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self {
            client,
            metrics,
            pace: Pace::new(WRITES),
            looks: Pace::new(LOOKS),
            answered: Mutex::new(None),
            minor: AtomicU32::new(0),
            fence: Arc::default(),
        }
    }

    /// The same API server by another client, behind the same fence.
    #[must_use]
    pub fn beside(&self, client: Client) -> Self {
        Self { fence: Arc::clone(&self.fence), ..Self::new(client, self.metrics.clone()) }
    }

    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Its minor version; 0, the oldest of all, until it was asked.
    #[must_use]
    pub fn minor_version(&self) -> u32 {
        self.minor.load(Ordering::Relaxed)
    }

    /// Time since it last answered anything, or `None` if it never did.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    /// Asks for its version.
    pub async fn ask_version(&self) -> Result<(), Failed> {
        let info = self.call(|| "ask the API server's version".into(), self.client.apiserver_version()).await?;
        let digits: String = info.minor.chars().take_while(char::is_ascii_digit).collect();
        self.minor.store(digits.parse().unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Whether one more live look may be spent on something that has waited for long.
    #[must_use]
    pub fn may_look(&self) -> bool {
        self.looks.may()
    }

    /// Reads one object with the API server's own eyes.
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<K>, Failed> {
        self.call(|| say::<K>("read", name), self.api::<K>(namespace).get_opt(name)).await
    }

    /// Reads the metadata of one object.
    pub async fn get_metadata<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<K>>, Failed> {
        self.call(|| say::<K>("read", name), self.api::<K>(namespace).get_metadata_opt(name)).await
    }

    /// Lists by label, consistently: no cache of the API server answers.
    pub async fn list<K: Kind>(&self, namespace: &str, labels: &str) -> Result<Vec<K>, Failed> {
        let params = ListParams::default().labels(labels);
        Ok(self.call(|| say::<K>("list", labels), self.api::<K>(namespace).list(&params)).await?.items)
    }

    /// As [`Self::list`], of their metadata, in pages.
    pub async fn list_metadata<K: Kind>(
        &self,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<PartialObjectMeta<K>>, Failed> {
        let (api, mut found) = (self.api::<K>(namespace), vec![]);
        let mut params = ListParams::default().labels(labels).limit(PAGE);
        loop {
            let page = self.call(|| say::<K>("list", labels), api.list_metadata(&params)).await?;
            found.extend(page.items);
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => params.continue_token = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// As [`Self::get`], of an object that may be unreadable.
    pub async fn get_readable<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        salvage: Salvage<K>,
    ) -> Result<Option<K>, Failed> {
        let api = Api::<Guard<K>>::namespaced(self.client.clone(), namespace);
        let found = self.call(|| say::<K>("read", name), api.get_opt(name)).await?;
        found.map(|found| found.readable(salvage)).transpose()
    }

    /// As [`Self::list`], of objects that may be unreadable: one of which no part is of use is a failure, since what is
    /// decided must not rest on a list that lacks it.
    pub async fn list_readable<K: Kind>(
        &self,
        namespace: &str,
        labels: &str,
        salvage: Salvage<K>,
    ) -> Result<Vec<K>, Failed> {
        let api = Api::<Guard<K>>::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels(labels);
        let found = self.call(|| say::<K>("list", labels), api.list(&params)).await?;
        found.items.into_iter().map(|found| found.readable(salvage)).collect()
    }

    pub async fn create<K: Kind>(&self, object: &K) -> Result<K, Failed> {
        self.writes::<K>("create").await;
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let params = PostParams { field_manager: Some(MANAGER_COORDINATOR.into()), ..PostParams::default() };
        self.call(|| say::<K>("create", &object.name_any()), api.create(&params, object)).await
    }

    /// Asks whether an object would be taken; it is not made.
    pub async fn rehearse<K: Kind>(&self, object: &K) -> Result<(), Failed> {
        self.writes::<K>("rehearse").await;
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let name = object.meta().generate_name.clone().unwrap_or_else(|| object.name_any());
        self.call(|| say::<K>("rehearse", &name), api.create(&params, object)).await.map(drop)
    }

    /// Replaces an object, if it still has this resourceVersion.
    pub async fn replace<K: Kind>(&self, object: &K) -> Result<K, Failed> {
        if K::kind(&()) != "Lease" {
            self.writes::<K>("replace").await;
        }
        let name = object.name_any();
        let params = PostParams { field_manager: Some(MANAGER_COORDINATOR.into()), ..PostParams::default() };
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        self.call(|| say::<K>("replace", &name), api.replace(&name, &params, object)).await
    }

    /// Asks whether an object that is there could be replaced by this one; it is not.
    pub async fn rehearse_replace<K: Kind>(&self, object: &K) -> Result<(), Failed> {
        self.writes::<K>("rehearse").await;
        let name = object.name_any();
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        self.call(|| say::<K>("rehearse", &name), api.replace(&name, &params, object)).await.map(drop)
    }

    /// Server-side apply: what is named is ours, by force. Gives the metadata after it.
    pub async fn apply<K: Kind, T: Serialize + Debug>(
        &self,
        namespace: &str,
        name: &str,
        object: &T,
    ) -> Result<PartialObjectMeta<K>, Failed> {
        self.writes::<K>("apply").await;
        let params = PatchParams::apply(MANAGER_COORDINATOR).force();
        let api = self.api::<K>(namespace);
        self.call(|| say::<K>("apply", name), api.patch_metadata(name, &params, &Patch::Apply(object))).await
    }

    /// Merge patch. Gives the metadata after it.
    pub async fn merge<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<PartialObjectMeta<K>, Failed> {
        self.writes::<K>("patch").await;
        let params = PatchParams { field_manager: Some(MANAGER_COORDINATOR.into()), ..PatchParams::default() };
        let api = self.api::<K>(namespace);
        self.call(|| say::<K>("patch", name), api.patch_metadata(name, &params, &Patch::Merge(patch))).await
    }

    /// Merge patch of the status.
    pub async fn merge_status<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<K, Failed> {
        self.metrics.wrote(&K::kind(&()), "status");
        let params = PatchParams { field_manager: Some(MANAGER_COORDINATOR.into()), ..PatchParams::default() };
        let api = self.api::<K>(namespace);
        self.call(|| say::<K>("write the status of", name), api.patch_status(name, &params, &Patch::Merge(patch))).await
    }

    /// Replaces the status, if the object still has this resourceVersion.
    pub async fn replace_status<K: Kind>(&self, object: &K) -> Result<K, Failed> {
        self.metrics.wrote(&K::kind(&()), "status");
        let name = object.name_any();
        let params = PostParams { field_manager: Some(MANAGER_COORDINATOR.into()), ..PostParams::default() };
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        self.call(|| say::<K>("write the status of", &name), api.replace_status(&name, &params, object)).await
    }

    /// Bounds a call and notes that the API server answered, be it with a refusal.
    pub async fn call<T>(
        &self,
        attempt: impl FnOnce() -> String,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failed> {
        let cause = match timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(done)) => {
                self.heard();
                return Ok(done);
            }
            Ok(Err(error)) => Cause::from(error),
            Err(_) => Cause::Timeout,
        };
        if !matches!(cause, Cause::Timeout | Cause::Broken(_)) {
            self.heard();
        }
        Err(Failed { attempt: attempt(), cause })
    }

    /// Counts a write that is about to go out, and keeps the pace.
    pub(super) async fn writes<K: Kind>(&self, verb: &'static str) {
        self.metrics.wrote(&K::kind(&()), verb);
        self.pace.keep().await;
    }

    fn heard(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn api<K: Kind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

impl<K: Kind> Guard<K> {
    fn readable(self, salvage: Salvage<K>) -> Result<K, Failed> {
        let Self(read) = self;
        read.or_else(|unreadable| {
            let name = unreadable.metadata.name.clone().unwrap_or_default();
            let failed =
                || Failed { attempt: say::<K>("read", &name), cause: Cause::Unreadable(unreadable.words.clone()) };
            salvage(&unreadable).ok_or_else(failed)
        })
    }
}

pub(super) fn say<K: Resource<DynamicType = ()>>(verb: &str, name: &str) -> String {
    format!("{verb} {} {name}", K::kind(&()))
}
