//! Promise: a stopped cluster keeps its membership and its data, or begins anew where its volumes were to go; it wakes at any size.

use crate::harness::demo::{spec, spec_with};
use crate::harness::length::either;
use crate::harness::{Client, Demo, Manner, play, until};
use anyhow::{Context, ensure};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_stopped_cluster_wakes_with_its_data_and_ids() {
    play("stop_wake", Manner::Beside, async |stage| {
        let (mut demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let (id, claims) = (demo.all_vote().await?, demo.claims().await?);
        let members = demo.etcd(0).await?.members().await?;
        let client = Client::start(&demo).await?;
        for _ in 0..either(1, 10) {
            let stopped = demo.scale(0).await?;
            ensure!(stopped.claims().await? == claims, "volumes are gone or new");
            demo = stopped.scale(3).await?;
            client.next(Duration::from_secs(30)).await?;
            ensure!(demo.all_vote().await? == id, "the cluster ID changed");
            ensure!(demo.etcd(0).await?.members().await? == members, "the membership changed");
        }
        client.finish(&demo).await.map(drop)
    });
}

#[test]
fn a_stopped_cluster_wakes_at_another_size() {
    play("wake_resized", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        let stopped = demo.scale(0).await?;
        let one = stopped.scale(1).await?;
        one.has_claims(1).await?;
        let stopped = one.scale(0).await?;
        let three = stopped.scale(3).await?;
        let report = client.finish(&three).await?;
        ensure!(report.cluster == id && three.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn a_cluster_whose_volumes_go_when_it_stops_begins_anew() {
    play("stop_deletes", Manner::Beside, async |stage| {
        let delete = json!({"storage": {"retention": {"whenStopped": "Delete"}}});
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, delete)).await?;
        let id = demo.all_vote().await?;
        demo.etcd(0).await?.put("former", "life").await?;
        let stopped = demo.scale(0).await?;
        stopped.has_claims(0).await?;
        let objects = until("the EtcdMembers are gone", Duration::from_secs(30), async || {
            let left = stopped.objects().await?;
            ensure!(left.is_empty(), "{left:?} are there");
            Ok(left)
        });
        objects.await?;
        let woken = stopped.scale(3).await?;
        ensure!(woken.all_vote().await? != id, "the new life has the old cluster ID");
        ensure!(woken.etcd(0).await?.get("former").await?.is_none(), "data of the former life is there");
        let life = woken.get().await?.status.and_then(|status| status.incarnation).context("it has a life")?;
        ensure!(life.number == 2, "it is life {}", life.number);
        Ok(())
    });
}
