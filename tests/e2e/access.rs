//! Promise: where the spec says so etcd asks what a client may do: an EtcdUser reads and writes its keys and no others,
//! one that is deleted nothing, and all that a cluster does for itself goes on.

use crate::encrypted::encrypted;
use crate::harness::etcd::{Etcd, User};
use crate::harness::{Demo, Loss, Manner, PATIENCE, Stage, play, until, user};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdUser;
use etcd_operator_shared::names::PORT_CLIENT;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;

/// Within this every member refuses who was deleted.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn each_user_may_do_what_it_is_permitted_and_the_cluster_goes_on_repairing_itself() {
    play("access", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", encrypted(3, &json!({"version": "v3.6.16"}))).await?;
        // As whom the tests themselves ask.
        demo.user().await?.context("its traffic is encrypted")?;
        permit(stage, &user::tester("demo"), json!({"admin": true})).await?;
        let app = user::make(stage, "demo", "app").await?;
        permit(stage, "app", json!({"permissions": [{"prefix": "/a/"}, {"key": "/shared", "access": "Read"}]})).await?;
        let gone = user::make(stage, "demo", "gone").await?;
        permit(stage, "gone", json!({"permissions": [{"prefix": ""}]})).await?;
        says(stage, "app", "False", "NotManaged").await?;
        may(&demo, &app, "/b/1", true).await?;

        demo.patch_spec(json!({"security": {"auth": true}})).await?;
        says(stage, "app", "True", "Granted").await?;
        demo.says("AuthEnabled", "True", "Enabled").await?;
        keeps_to_its_keys(&demo, &app).await?;
        may(&demo, &gone, "/b/1", true).await?;
        people_need_no_flags(&demo).await?;

        permit(stage, "app", json!({"permissions": [{"prefix": "/c/"}]})).await?;
        until("it may do something else", PATIENCE, async || {
            may(&demo, &app, "/c/1", true).await?;
            may(&demo, &app, "/a/1", false).await
        })
        .await?;
        permit(stage, "app", json!({"permissions": [{"prefix": "/a/"}, {"key": "/shared", "access": "Read"}]})).await?;
        says(stage, "app", "True", "Granted").await?;

        stage.api::<EtcdUser>().delete("gone", &DeleteParams::default()).await?;
        until("a user that was deleted is refused by every member", SOON, async || {
            for ordinal in 0..demo.size {
                ensure!(open(&demo, ordinal, &gone).await?.get("/b/1").await.is_err(), "{ordinal} lets it in");
            }
            Ok(())
        })
        .await?;
        until("etcd does not know it any more", PATIENCE, async || {
            let users = demo.exec_cleanly(0, &["--", "etcdctl", "user", "list"]).await?;
            ensure!(!users.lines().any(|user| user == "gone"), "it knows {users}");
            Ok(())
        })
        .await?;

        demo.lose(faults, 1, Loss::Claim).await?;
        demo.ready().await?;
        keeps_to_its_keys(&demo, &app).await?;
        let one = demo.scale(1).await?;
        keeps_to_its_keys(&one, &app).await?;
        let demo = one.scale(3).await?;
        demo.ready().await?;
        keeps_to_its_keys(&demo, &app).await?;
        people_need_no_flags(&demo).await?;

        demo.patch_spec(json!({"security": {"auth": false}})).await?;
        demo.says("AuthEnabled", "False", "Disabled").await?;
        says(stage, "app", "False", "AuthOff").await?;
        may(&demo, &app, "/b/1", true).await
    });
}

/// Changes what a user may do.
async fn permit(stage: &Stage, name: &str, fields: Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": fields }));
    stage.api::<EtcdUser>().patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn says(stage: &Stage, name: &str, status: &str, reason: &str) -> Result<()> {
    until(&format!("EtcdUser {name} says {reason}"), PATIENCE, async || {
        let user = stage.api::<EtcdUser>().get(name).await?;
        let generation = user.metadata.generation;
        let conditions = user.status.map(|status| status.conditions).unwrap_or_default();
        let found = conditions.into_iter().find(|one| one.type_ == "Granted").context("it says nothing")?;
        let said = (found.status.as_str(), found.reason.as_str(), found.observed_generation);
        ensure!(said == (status, reason, generation), "it says {found:?}");
        Ok(())
    })
    .await
}

async fn open(demo: &Demo<'_>, ordinal: u32, user: &User) -> Result<Etcd> {
    Etcd::for_user(&demo.ip(ordinal).await?, PORT_CLIENT, Some(user)).await
}

/// Whether a user can, or cannot, write and read a key, by every member.
async fn may(demo: &Demo<'_>, user: &User, key: &str, can: bool) -> Result<()> {
    for ordinal in 0..demo.size {
        let etcd = open(demo, ordinal, user).await?;
        let (put, got) = (etcd.put(key, "x").await, etcd.get(key).await);
        ensure!(put.is_ok() == can && got.is_ok() == can, "{key} by {ordinal}: {:?}, {:?}", put.err(), got.err());
    }
    Ok(())
}

async fn keeps_to_its_keys(demo: &Demo<'_>, app: &User) -> Result<()> {
    may(demo, app, "/a/1", true).await?;
    may(demo, app, "/b/1", false).await?;
    demo.etcd(0).await?.put("/shared", "by the admin").await?;
    let etcd = open(demo, 0, app).await?;
    ensure!(etcd.get("/shared").await?.as_deref() == Some("by the admin"), "it reads something else");
    ensure!(etcd.put("/shared", "by the app").await.is_err(), "it wrote what it may only read");
    Ok(())
}

/// etcdctl in a pod, as people type it: whoever may do that may do all.
async fn people_need_no_flags(demo: &Demo<'_>) -> Result<()> {
    demo.exec_cleanly(0, &["--", "etcdctl", "put", "typed", "by hand"]).await?;
    let read = demo.exec_cleanly(demo.size - 1, &["--", "etcdctl", "get", "typed"]).await?;
    ensure!(read.contains("by hand"), "etcdctl reads {read}");
    let list = demo.exec_cleanly(0, &["--", "etcdctl", "endpoint", "health", "--cluster"]).await?;
    ensure!(list.matches("is healthy").count() == demo.size as usize, "{list}");
    Ok(())
}
