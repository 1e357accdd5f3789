//! Promise: an idle cluster lets the API server be: at most 20 writes an hour.
//!
//! Counted twice: by the coordinator's own counter of writes, which sees also those that change nothing, and by a watch on every kind of object in the
//! namespace, which sees everybody's, the agents' above all. The coordinator's Lease is counted apart: it is one for all clusters.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, Stage, counters, holds, play};
use anyhow::{Result, ensure};
use futures::{TryStreamExt, pin_mut};
use kube::api::{ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::discovery::{Scope, verbs};
use kube::{Api, Discovery, ResourceExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What follows from becoming Ready has happened by then.
const SETTLE: Duration = Duration::from_secs(30);
const WATCHED: Duration = Duration::from_secs(90);
/// 20 an hour is one in 180 s: two in 90 s would be 80 an hour.
const ALLOWED: usize = 1;

#[test]
fn an_idle_cluster_writes_next_to_nothing() {
    play("quiet", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        holds("the cluster settles and is Ready", SETTLE, async || demo.is_ready().await).await?;
        let before = counters::writes(stage).await?;
        let watch = ChangeWatch::start(stage).await?;
        holds("the cluster is Ready", WATCHED, async || demo.is_ready().await).await?;
        let written = counters::writes(stage).await? - before;
        let (leases, others): (Vec<_>, Vec<_>) =
            watch.seen().into_iter().partition(|change| change.starts_with("Lease "));
        stage.say(format!(
            "in {WATCHED:?} of idleness: {} changes by anybody {others:?}, {written} writes by the coordinator; its Lease was renewed {} times",
            others.len(),
            leases.len()
        ));
        ensure!(others.len() <= ALLOWED, "an idle cluster changes objects: {others:?}");
        ensure!(written <= ALLOWED as f64, "the coordinator writes for an idle cluster: {written} times");
        Ok(())
    });
}

/// Notes every change of any object in the namespace, until dropped.
struct ChangeWatch {
    seen: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl ChangeWatch {
    async fn start(stage: &Stage) -> Result<Self> {
        let discovery = Discovery::new(stage.client()).run().await?;
        let mut watch = Self { seen: Arc::default(), tasks: vec![] };
        for (kind, can) in discovery.groups().flat_map(|group| group.recommended_resources()) {
            if can.scope == Scope::Namespaced
                && can.supports_operation(verbs::WATCH)
                && can.supports_operation(verbs::LIST)
            {
                watch.follow(stage, kind).await?;
            }
        }
        ensure!(watch.tasks.len() > 10, "only {} kinds are watched", watch.tasks.len());
        Ok(watch)
    }

    async fn follow(&mut self, stage: &Stage, kind: ApiResource) -> Result<()> {
        let api = Api::<DynamicObject>::namespaced_with(stage.client(), &stage.namespace, &kind);
        let version = api.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        let seen = Arc::clone(&self.seen);
        self.tasks.push(tokio::spawn(async move {
            let Ok(events) = api.watch(&WatchParams::default().timeout(290), &version).await else { return };
            pin_mut!(events);
            while let Ok(Some(event)) = events.try_next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) = event {
                    let by = object.managed_fields().iter().max_by_key(|one| one.time.as_ref().map(|time| time.0));
                    let by = by.and_then(|one| one.manager.clone()).unwrap_or_default();
                    let change = format!("{} {} by {by}", kind.kind, object.name_any());
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(change);
                }
            }
        }));
        Ok(())
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ChangeWatch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
