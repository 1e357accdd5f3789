//! Promise: what is not ours is never touched, what is in the way is named, and what is ours comes back.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdCluster;
use etcd_operator_shared::api::cluster::Phase;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::Role;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::{Duration, Instant};

#[test]
fn objects_of_the_user_with_our_names_are_named_and_left_alone_until_they_go() {
    play("strangers", Manner::Beside, async |stage| {
        let theirs = Theirs::make(stage).await?;
        let demo = Demo::create(stage, "shop", spec(3)).await?;
        for kind in ["ServiceAccount", "Role", "Service", "ConfigMap"] {
            let sentence = until(&format!("Stalled names the {kind}"), PATIENCE, async || {
                let found = demo.condition("Stalled").await?;
                let named = found.status == "True" && found.reason == "ForeignObject";
                ensure!(named, "Stalled is {}: {} {}", found.status, found.reason, found.message);
                Ok(found.message)
            })
            .await?;
            stage.say(format!("Stalled: {sentence}"));
            theirs.are_untouched(stage).await?;
            let named = theirs.remove_the_named(stage, &sentence).await?;
            until(&format!("{named} is not named any more"), Duration::from_secs(10), async || {
                let found = demo.condition("Stalled").await?;
                ensure!(!found.message.contains(&named), "{}", found.message);
                Ok(())
            })
            .await?;
        }
        demo.ready().await?;
        demo.all_vote().await?;

        // One that outlives the cluster has never been the cluster's.
        let kept = make::<ConfigMap>(stage, "kept-etcd", json!({"data": {"mine": "1"}})).await?;
        let other = Demo::create(stage, "kept", spec(1)).await?;
        other.says("Stalled", "True", "ForeignObject").await?;
        until("kept-0 serves all the same", PATIENCE, async || {
            let ready = other.get().await?.status.and_then(|status| status.ready);
            ensure!(ready.as_deref() == Some("1/1"), "ready is {ready:?}");
            Ok(())
        })
        .await?;
        other.delete().await?;
        demo.delete().await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let there = stage.api::<ConfigMap>().get("kept-etcd").await.context("the user's ConfigMap is gone")?;
        ensure!(there.metadata.resource_version == kept.metadata.resource_version, "it was written to: {there:?}");
        Ok(())
    });
}

#[test]
fn what_of_ours_somebody_changes_comes_back_restarts_nothing_and_a_claim_in_the_way_stops_a_scaling() {
    play("ours", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let before = uids(&demo).await?;
        let kubectl = async |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            stage.kubectl.run(&[&["-n", &stage.namespace], &words[..]].concat()).await
        };
        for line in [
            "set env sts/demo -c etcd ETCD_FORCE_NEW_CLUSTER=true",
            "label sts/demo service/demo-client etcdm/demo-1 etcd.etcd.io/cluster-",
            "patch configmap/demo-etcd --type=merge -p {\"metadata\":{\"ownerReferences\":null}}",
            "patch service/demo-client --type=merge -p {\"spec\":{\"selector\":{\"etcd.etcd.io/incarnation\":\"9\"}}}",
            "label pod/demo-2 etcd.etcd.io/cluster-uid-",
            "delete poddisruptionbudget/demo role/demo-agent",
        ] {
            stage.say(kubectl(line).await?.trim().replace('\n', "; "));
        }
        let started = Instant::now();
        until("all but the pod is back", Duration::from_secs(15), async || {
            let env = kubectl("get sts/demo -o jsonpath={.spec.template.spec.containers[?(@.name==\"etcd\")].env}").await?;
            ensure!(env.trim().is_empty(), "etcd's environment is {env}");
            let objects = "sts/demo service/demo-client etcdm/demo-1 configmap/demo-etcd poddisruptionbudget/demo role/demo-agent";
            for object in objects.split(' ') {
                let get = format!("get {object} -o jsonpath={{.metadata.labels.etcd\\.etcd\\.io/cluster}}/{{.metadata.ownerReferences[0].kind}}");
                let marks = kubectl(&get).await?;
                ensure!(marks.trim() == "demo/EtcdCluster", "{object} has {marks}");
            }
            let selects = kubectl("get service/demo-client -o jsonpath={.spec.selector.etcd\\.etcd\\.io/incarnation}").await?;
            ensure!(selects.trim() == "1", "the Service selects incarnation {selects}");
            Ok(())
        })
        .await?;
        stage.say(format!("objects are back after {:.1} s", started.elapsed().as_secs_f64()));
        until("the pod has its label and its owner again", Duration::from_secs(60), async || {
            let marks = kubectl("get pod/demo-2 -o jsonpath={.metadata.labels.etcd\\.etcd\\.io/cluster-uid}/{.metadata.ownerReferences[0].kind}").await?;
            ensure!(marks.trim().len() > 20 && marks.contains("/StatefulSet"), "demo-2 has {marks}");
            Ok(())
        })
        .await?;
        stage.say(format!("the pod is back after {:.1} s", started.elapsed().as_secs_f64()));
        demo.ready().await?;
        ensure!(uids(&demo).await? == before && demo.restarts().await? == 0, "pods were replaced or restarted");
        claim_in_the_way(stage, &demo).await?;
        deleted_and_held(stage, &demo).await
    });
}

/// A claim of somebody else at a place beyond the members is neither mounted nor touched, and told.
async fn claim_in_the_way(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}});
    let claim = make::<PersistentVolumeClaim>(stage, "data-demo-4", json!({"spec": spec})).await?;
    demo.patch_spec(json!({"size": 5})).await?;
    let sentence = demo.says("Stalled", "True", "StaleVolume").await?;
    stage.say(format!("Stalled: {sentence}"));
    ensure!(sentence.contains("data-demo-4") && !sentence.contains("delete"), "it says: {sentence}");
    holds("no further pod", Duration::from_secs(8), async || {
        let pods = demo.pods().await?.len();
        ensure!(pods == 3, "there are {pods} pods");
        Ok(())
    })
    .await?;
    let there = stage.api::<PersistentVolumeClaim>().get("data-demo-4").await?;
    ensure!(there.owner_references().is_empty() && there.uid() == claim.uid(), "the claim was taken: {there:?}");
    demo.patch_spec(json!({"size": 3})).await?;
    demo.ready().await
}

/// A cluster that somebody's finalizer keeps says for what it waits, and goes when that is gone.
async fn deleted_and_held(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let clusters = stage.api::<EtcdCluster>();
    let finalizers = |all: Value| Patch::Merge(json!({"metadata": {"finalizers": all}}));
    clusters.patch("demo", &PatchParams::default(), &finalizers(json!(["example.com/backup"]))).await?;
    clusters.delete("demo", &DeleteParams::default()).await?;
    let sentence = demo.says("Reconciling", "True", "Deleting").await?;
    stage.say(format!("Reconciling: {sentence}"));
    ensure!(sentence.contains("example.com/backup"), "it says: {sentence}");
    let phase = demo.get().await?.status.and_then(|status| status.phase);
    ensure!(phase == Some(Phase::Deleting), "its phase is {phase:?}");
    clusters.patch("demo", &PatchParams::default(), &finalizers(json!([]))).await?;
    until("the cluster is gone", PATIENCE, async || {
        ensure!(clusters.get_opt("demo").await?.is_none() && demo.pods().await?.is_empty(), "it is there");
        Ok(())
    })
    .await
}

async fn uids(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    Ok(demo.pods().await?.iter().map(ResourceExt::uid).collect())
}

/// What a user has made before, with its version: any write would raise it.
struct Theirs(Vec<(&'static str, &'static str, String)>);

impl Theirs {
    async fn make(stage: &Stage) -> Result<Self> {
        let map = make::<ConfigMap>(stage, "shop-etcd", json!({"data": {"mine": "1"}})).await?;
        let account =
            make::<ServiceAccount>(stage, "shop-agent", json!({"automountServiceAccountToken": true})).await?;
        let rules = json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
        let role = make::<Role>(stage, "shop-agent", rules).await?;
        let ports = json!({"spec": {"ports": [{"port": 80}], "selector": {"app": "shop"}}});
        let service = make::<Service>(stage, "shop-client", ports).await?;
        let version = |object: Option<String>| object.unwrap_or_default();
        Ok(Self(vec![
            ("ConfigMap", "shop-etcd", version(map.resource_version())),
            ("ServiceAccount", "shop-agent", version(account.resource_version())),
            ("Role", "shop-agent", version(role.resource_version())),
            ("Service", "shop-client", version(service.resource_version())),
        ]))
    }

    /// Those that are still there are what they were.
    async fn are_untouched(&self, stage: &Stage) -> Result<()> {
        for (kind, name, version) in &self.0 {
            let get = ["-n", &stage.namespace, "get", kind, name, "-o", "jsonpath={.metadata.resourceVersion}"];
            let now = stage.kubectl.run(&[&get[..], &["--ignore-not-found"]].concat()).await?;
            let owned = ["-n", &stage.namespace, "get", kind, name, "-o", "jsonpath={.metadata.ownerReferences}"];
            let owners = stage.kubectl.run(&[&owned[..], &["--ignore-not-found"]].concat()).await?;
            let (now, owners) = (now.trim(), owners.trim());
            let gone_or_ours = now.is_empty() || owners.contains("EtcdCluster");
            ensure!(gone_or_ours || now == version, "{kind} {name} was written to: {version} before, {now} now");
            let was_taken = owners.contains("EtcdCluster") && now == version;
            ensure!(!was_taken, "{kind} {name} was taken over");
        }
        Ok(())
    }

    /// Removes the one that a sentence names, and gives its name.
    async fn remove_the_named(&self, stage: &Stage, sentence: &str) -> Result<String> {
        let (kind, name, _) = self
            .0
            .iter()
            .find(|(kind, name, _)| sentence.starts_with(&format!("{kind} {name} ")))
            .with_context(|| format!("the sentence names none of them: {sentence}"))?;
        let params = DeleteParams::default();
        match *kind {
            "ConfigMap" => drop(stage.api::<ConfigMap>().delete(name, &params).await?),
            "ServiceAccount" => drop(stage.api::<ServiceAccount>().delete(name, &params).await?),
            "Role" => drop(stage.api::<Role>().delete(name, &params).await?),
            _ => drop(stage.api::<Service>().delete(name, &params).await?),
        }
        Ok(format!("{kind} {name} "))
    }
}

async fn make<K>(stage: &Stage, name: &str, fields: Value) -> Result<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + serde::Serialize + DeserializeOwned,
{
    let mut object = json!({"metadata": {"name": name}});
    object.as_object_mut().context("an object")?.extend(fields.as_object().cloned().unwrap_or_default());
    Ok(stage.api::<K>().create(&kube::api::PostParams::default(), &serde_json::from_value(object)?).await?)
}
