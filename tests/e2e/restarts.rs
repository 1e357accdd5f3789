//! Promise: a coordinator that is restarted or takes over writes nothing that is as it should be, and puts right what was changed while none
//! ran; one that loses its Lease stands by and leads again, without a restart.

use crate::harness::demo::spec;
use crate::harness::stage::agent_image;
use crate::harness::{Demo, Manner, PATIENCE, Stage, counters, holds, http, play, until};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

/// What follows from becoming Ready has happened by then.
const SETTLE: Duration = Duration::from_secs(5);
/// Long enough for whatever a start brings with it.
const AFTER: Duration = Duration::from_secs(5);
const LABEL: &str = "app.kubernetes.io/instance";

#[test]
fn a_coordinator_that_begins_anew_writes_only_what_is_not_as_it_should_be() {
    play("restarts", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(1)).await?;
        holds("the cluster settles and is Ready", SETTLE, async || demo.is_ready().await).await?;
        nothing_is_written_after_a_restart(stage).await?;
        what_was_changed_meanwhile_is_put_right(stage).await?;
        a_lost_lease_is_no_end(stage, &demo).await
    });
}

async fn nothing_is_written_after_a_restart(stage: &Stage) -> Result<()> {
    restart(stage, async || Ok(())).await?;
    holds("nothing is written", AFTER, async || {
        let writes = counters::writes(stage).await?;
        ensure!(writes == 0.0, "{writes} writes");
        Ok(())
    })
    .await?;
    let passes = counters::sum(stage, "etcd_coordinator_reconciles_total").await?;
    stage.say(format!("a restart costs {passes} reconciliations of one cluster and no write"));
    ensure!(passes <= 2.0, "one pass is enough, and there were {passes}");
    Ok(())
}

async fn what_was_changed_meanwhile_is_put_right(stage: &Stage) -> Result<()> {
    let (services, maps) = (stage.api::<Service>(), stage.api::<ConfigMap>());
    let patch = PatchParams::default();
    restart(stage, async || {
        let bare = json!({"metadata": {"labels": {LABEL: null}, "ownerReferences": null}});
        services.patch("demo-client", &patch, &Patch::Merge(bare)).await?;
        maps.patch("demo-etcd", &patch, &Patch::Merge(json!({"data": {"etcd.yaml": "mine"}}))).await?;
        let more = json!({"metadata": {"annotations": {"example.com/note": "not ours"}}});
        services.patch("demo-peer", &patch, &Patch::Merge(more)).await?;
        Ok(())
    })
    .await?;
    until("both are put right", PATIENCE, async || {
        let service = services.get("demo-client").await?;
        ensure!(service.labels().get(LABEL).map(String::as_str) == Some("demo"), "the label is gone");
        ensure!(!service.owner_references().is_empty(), "the owner is gone");
        let map = maps.get("demo-etcd").await?;
        ensure!(
            map.data.and_then(|data| data.get("etcd.yaml").cloned()).as_deref() != Some("mine"),
            "the options differ"
        );
        Ok(())
    })
    .await?;
    holds("no more is written than that", AFTER, async || {
        // Fields that were created are made fields of our applies first: two writes each.
        let writes = counters::writes(stage).await?;
        ensure!(writes <= 4.0, "{writes} writes");
        Ok(())
    })
    .await
}

async fn a_lost_lease_is_no_end(stage: &Stage, demo: &Demo<'_>) -> Result<()> {
    let stolen = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 15}});
    let leases = stage.api::<Lease>();
    leases.patch("etcd-coordinator", &PatchParams::default(), &Patch::Merge(stolen)).await?;
    leads(stage, 0.0, Duration::from_secs(5)).await?;
    let ready = http::get("127.0.0.1", stage.coordinator_port()?, "/readyz").await?;
    ensure!(ready.status == 200, "a standby is ready: {}", ready.body);
    let note = json!({"service": {"annotations": {"example.com/asked": "while nobody leads"}}});
    demo.patch_spec(note).await?;
    holds("nobody acts on a change", AFTER, async || {
        let service = stage.api::<Service>().get("demo-client").await?;
        ensure!(!service.annotations().contains_key("example.com/asked"), "somebody did");
        Ok(())
    })
    .await?;
    leads(stage, 1.0, PATIENCE).await?;
    until("the change is made", PATIENCE, async || {
        let service = stage.api::<Service>().get("demo-client").await?;
        service.annotations().get("example.com/asked").map(drop).context("it is not")
    })
    .await
}

async fn leads(stage: &Stage, wanted: f64, within: Duration) -> Result<()> {
    until(&format!("the coordinator says is_leader {wanted}"), within, async || {
        let says = counters::sum(stage, "etcd_coordinator_is_leader").await?;
        ensure!(says == wanted, "it says {says}");
        Ok(())
    })
    .await
}

/// Ends the coordinator, does something meanwhile, and starts another one, which has looked at everything then.
async fn restart(stage: &Stage, meanwhile: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    stage.stop_coordinator().await?;
    meanwhile().await?;
    stage.start_coordinator(&agent_image())?;
    until("the new coordinator has looked at everything", PATIENCE, async || {
        let passes = counters::sum(stage, "etcd_coordinator_reconciles_total").await?;
        ensure!(passes > 0.0, "it has not");
        let ready = http::get("127.0.0.1", stage.coordinator_port()?, "/readyz").await?;
        ensure!(ready.status == 200, "it is not ready: {}", ready.body);
        Ok(())
    })
    .await
}
