//! Promise: creating and deleting succeeds every time, and leaves nothing.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Result, ensure};
use etcd_operator_shared::api::EtcdMember;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const TIMES: u32 = 20;

#[test]
fn twenty_creations_in_a_row_succeed_and_deletion_leaves_nothing() {
    play("creation_repeats", Manner::Beside, async |stage| {
        let mut times = Vec::new();
        for round in 0..TIMES {
            let size = if round % 2 == 0 { 1 } else { 3 };
            let (demo, took) = Demo::up(stage, "demo", spec(size)).await?;
            demo.all_vote().await?;
            demo.delete().await?;
            until("nothing of it is left", PATIENCE, async || nothing_left(stage).await).await?;
            times.push(format!("{:.1}", took.as_secs_f64()));
        }
        stage.say(format!("seconds until Ready, sizes 1 and 3 by turns: {}", times.join(" ")));
        Ok(())
    });
}

async fn nothing_left(stage: &Stage) -> Result<()> {
    none::<EtcdMember>(stage).await?;
    none::<StatefulSet>(stage).await?;
    none::<Service>(stage).await?;
    none::<PersistentVolumeClaim>(stage).await?;
    none::<PodDisruptionBudget>(stage).await?;
    none::<Role>(stage).await?;
    none::<RoleBinding>(stage).await?;
    // Each namespace has one of either from Kubernetes itself.
    let own = |name: &str| name != "kube-root-ca.crt" && name != "default";
    left::<ConfigMap>(stage, own).await?;
    left::<ServiceAccount>(stage, own).await
}

async fn none<K>(stage: &Stage) -> Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    left::<K>(stage, |_| true).await
}

async fn left<K>(stage: &Stage, counts: impl Fn(&str) -> bool) -> Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let all = stage.api::<K>().list(&ListParams::default()).await?;
    let left: Vec<String> = all.iter().map(ResourceExt::name_any).filter(|name| counts(name)).collect();
    ensure!(left.is_empty(), "{} left: {left:?}", K::kind(&()));
    Ok(())
}
