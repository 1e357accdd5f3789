//! Promise: applications reach the cluster by its Service, from inside and outside, and people read its options and its disruption budget.

use crate::harness::demo::{spec, spec_with};
use crate::harness::etcd::Etcd;
use crate::harness::{Demo, Manner, PATIENCE, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{self, PORT_CLIENT};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use std::collections::BTreeSet;

#[test]
fn the_client_service_has_every_ready_member_and_can_become_a_node_port() {
    play("services", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        until("the Service has every member", PATIENCE, async || {
            let (have, want) = (endpoints(&demo).await?, addresses(&demo).await?);
            ensure!(have == want, "it has {have:?}, the pods are {want:?}");
            Ok(())
        })
        .await?;
        let service = service(&demo).await?;
        let ip = service.cluster_ip.clone().context("a Service has an address")?;
        ensure!(service.type_.as_deref() == Some("ClusterIP"), "it is a {:?}", service.type_);
        // The host routes to Services of the testbed; elsewhere only pods can.
        if stage.cluster().testbed().is_some() {
            until("the Service's address answers", PATIENCE, async || {
                Etcd::at(&ip, PORT_CLIENT).await?.put("through", "the Service").await.map(drop)
            })
            .await?;
        }
        let (revision, uids) = (demo.restarts().await?, addresses(&demo).await?);
        demo.patch_spec(json!({"service": {"type": "NodePort"}})).await?;
        reachable_from_outside(&demo).await?;
        demo.ready().await?;
        ensure!(
            addresses(&demo).await? == uids && demo.restarts().await? == revision,
            "pods were replaced for a Service"
        );
        Ok(())
    });
}

#[test]
fn a_node_port_can_be_chosen() {
    play("node_port", Manner::Beside, async |stage| {
        let (demo, _) =
            Demo::up(stage, "demo", spec_with(1, json!({"service": {"type": "NodePort", "nodePort": 32479}}))).await?;
        ensure!(reachable_from_outside(&demo).await? == 32479, "another port was chosen");
        Ok(())
    });
}

#[test]
fn options_and_disruption_budget_can_be_read() {
    play("objects", Manner::Beside, async |stage| {
        let (demo, _) =
            Demo::up(stage, "demo", spec_with(3, json!({"etcd": {"extraArgs": {"max-txn-ops": "256"}}}))).await?;
        let options = stage.api::<ConfigMap>().get(&names::config_map("demo")).await?.data.unwrap_or_default();
        let text = options.values().cloned().collect::<String>();
        ensure!(text.contains("max-txn-ops") && text.contains("quotaBackend: 128Mi"), "the ConfigMap says {text}");
        until("the budget allows one disruption", PATIENCE, async || {
            let budget = stage.api::<PodDisruptionBudget>().get("demo").await?;
            let least = budget.spec.and_then(|spec| spec.min_available);
            ensure!(least == Some(IntOrString::Int(2)), "minAvailable is {least:?}");
            let allowed = budget.status.map(|status| status.disruptions_allowed);
            ensure!(allowed == Some(1), "{allowed:?} disruptions are allowed");
            Ok(())
        })
        .await?;
        demo.ready().await
    });
}

/// Puts through a node's port, and returns the port.
async fn reachable_from_outside(demo: &Demo<'_>) -> Result<u16> {
    let nodes = Api::<Node>::all(demo.stage.client()).list(&ListParams::default()).await?;
    let addresses = nodes.items.iter().filter_map(|node| node.status.as_ref()?.addresses.as_ref());
    let node =
        addresses.flatten().find(|one| one.type_ == "InternalIP").context("a node has an address")?.address.clone();
    until("the cluster is reached on a node's port", PATIENCE, async || {
        let ports = service(demo).await?.ports.unwrap_or_default();
        let port = ports.first().and_then(|port| port.node_port).context("the Service has no node port")?;
        let port = u16::try_from(port)?;
        Etcd::at(&node, port).await?.put("from", "outside").await?;
        Ok(port)
    })
    .await
}

async fn service(demo: &Demo<'_>) -> Result<k8s_openapi::api::core::v1::ServiceSpec> {
    let service = demo.stage.api::<Service>().get(&names::client_service(&demo.name)).await?;
    service.spec.context("a Service has a spec")
}

async fn addresses(demo: &Demo<'_>) -> Result<BTreeSet<String>> {
    Ok(demo.pods().await?.iter().filter_map(crate::harness::pods::ip).collect())
}

async fn endpoints(demo: &Demo<'_>) -> Result<BTreeSet<String>> {
    let label = format!("kubernetes.io/service-name={}", names::client_service(&demo.name));
    let slices = demo.stage.api::<EndpointSlice>().list(&ListParams::default().labels(&label)).await?;
    let ready = slices.items.iter().flat_map(|slice| slice.endpoints.iter());
    let ready = ready.filter(|one| one.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true));
    Ok(ready.flat_map(|one| one.addresses.clone()).collect())
}
