//! Promise: what others put into the environment of etcd's container reaches no etcd: no member founds a cluster of its own, nothing
//! acknowledged is lost.

use crate::harness::demo::spec;
use crate::harness::resize::STEP;
use crate::harness::{Client, Demo, Manner, play, until};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::names::CONTAINER_ETCD;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PodSpec;
use std::time::Duration;

/// Each makes an etcd that reads it another etcd: one that forms a cluster of its own, one with none of its flags.
const FOREIGN: [&str; 2] = ["ETCD_FORCE_NEW_CLUSTER=true", "ETCD_CONFIG_FILE=/foreign.yml"];

#[test]
fn words_for_etcd_in_its_containers_environment_do_nothing() {
    play("foreign_env", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        client.keeps_on(Duration::from_secs(2)).await?;

        let mut args = vec!["-n", &stage.namespace, "set", "env", "statefulset/demo", "-c", CONTAINER_ETCD];
        args.extend(FOREIGN);
        stage.kubectl.run(&args).await?;

        let outcome =
            until("the words are taken back, or are in every pod", STEP, async || settled(&demo).await).await?;
        stage.say(outcome);
        client.keeps_on(Duration::from_secs(2)).await?;
        client.finish(&demo).await?;
        ensure!(demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

/// Fails while the cluster is on its way: the coordinator may take the words back, or roll the pods with them.
async fn settled(demo: &Demo<'_>) -> Result<&'static str> {
    demo.is_ready().await?;
    let set = demo.stage.api::<StatefulSet>().get(&demo.name).await?;
    let template = set.spec.and_then(|spec| spec.template.spec).context("it has a template")?;
    let pods = demo.pods().await?;
    let told: Vec<bool> = pods.iter().filter_map(|pod| pod.spec.as_ref()).map(is_told).collect();
    match (is_told(&template), told.as_slice()) {
        (true, told) if told.iter().all(|told| *told) => Ok("every pod has the words, and no etcd heard them"),
        (false, told) if !told.contains(&true) => Ok("the coordinator took the words back before a pod had them"),
        (wanted, told) => bail!("the template has them: {wanted}; the pods: {told:?}"),
    }
}

fn is_told(pod: &PodSpec) -> bool {
    let etcd = pod.containers.iter().find(|one| one.name == CONTAINER_ETCD);
    let names: Vec<&str> =
        etcd.and_then(|one| one.env.as_ref()).into_iter().flatten().map(|e| e.name.as_str()).collect();
    FOREIGN.iter().filter_map(|word| word.split_once('=')).any(|(name, _)| names.contains(&name))
}
