//! Promise: a certificate that is revoked opens no member's port any more, within seconds, on each version of etcd;
//! nobody else is shut out, and a member that begins later, even alone, knows of it.

use crate::encrypted::encrypted;
use crate::harness::etcd::{Etcd, User};
use crate::harness::{Demo, Manner, PATIENCE, play, until, user};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdUser;
use etcd_operator_shared::names::PORT_CLIENT;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use std::time::{Duration, Instant};

/// Within this every member refuses what was revoked.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn what_is_revoked_is_refused_by_every_member_and_by_those_that_begin_later() {
    play("revoked", Manner::Beside, async |stage| {
        let older = Demo::create(stage, "older", encrypted(1, &json!({"version": "v3.5.21"}))).await?;
        let newer = Demo::create(stage, "newer", encrypted(1, &json!({"version": "v3.7.3"}))).await?;
        let (demo, _) = Demo::up(stage, "demo", encrypted(3, &json!({"version": "v3.6.16"}))).await?;
        let users = stage.api::<EtcdUser>();
        let app = user::make(stage, "demo", "app").await?;
        let former = user::make(stage, "demo", "web").await?;
        is_let_in(&demo, &app).await?;
        is_let_in(&demo, &former).await?;

        let patch = Patch::Merge(json!({"spec": {"reissue": 1}}));
        users.patch("web", &PatchParams::default(), &patch).await?;
        let web = until("another certificate is in the Secret", PATIENCE, async || {
            // The former may be written once more where an answer was lost: under the same number, which is revoked too.
            let status = users.get("web").await?.status.unwrap_or_default();
            let newest = status.certificates.iter().find(|one| Some(&one.serial) == status.serial.as_ref());
            ensure!(newest.is_some_and(|one| one.reissue == 1), "it is the former: {newest:?}");
            let now = user::read(stage, "demo", "web").await?;
            ensure!(now.certificate != former.certificate, "it is the former");
            Ok(now)
        })
        .await?;
        until("the one before it is refused", SOON, async || is_refused(&demo, &former).await).await?;
        is_let_in(&demo, &web).await?;

        let began = Instant::now();
        users.delete("app", &DeleteParams::default()).await?;
        until("a user that was deleted is refused", SOON, async || is_refused(&demo, &app).await).await?;
        stage.say(format!("refused by every member after {:.2} s", began.elapsed().as_secs_f64()));
        until("the EtcdUser is gone", PATIENCE, async || {
            ensure!(users.get_opt("app").await?.is_none(), "it is there");
            Ok(())
        })
        .await?;
        is_let_in(&demo, &web).await?;
        demo.exec_cleanly(0, &["--", "etcdctl", "get", "any"]).await?;

        stage.kill_coordinator().await?;
        let before = demo.pod(1).await?.uid();
        demo.delete_pod(1, 1).await?;
        until("the pod comes back without a coordinator", PATIENCE, async || {
            ensure!(demo.pod(1).await?.uid() != before, "it is the former");
            lets_in(&demo, 1, &web).await
        })
        .await?;
        until("all refuse who was revoked", PATIENCE, async || is_refused(&demo, &app).await).await?;
        stage.start_coordinator(&crate::harness::stage::agent_image())?;
        demo.ready().await?;

        for other in [older, newer] {
            other.ready().await?;
            let gone = user::make(stage, &other.name, &format!("{}-app", other.name)).await?;
            is_let_in(&other, &gone).await?;
            users.delete(&format!("{}-app", other.name), &DeleteParams::default()).await?;
            until("it is refused", SOON, async || is_refused(&other, &gone).await).await?;
            other.exec_cleanly(0, &["--", "etcdctl", "get", "any"]).await?;
        }
        let five = demo.scale(5).await?;
        is_refused(&five, &app).await?;
        is_let_in(&five, &web).await
    });
}

async fn lets_in(demo: &Demo<'_>, ordinal: u32, user: &User) -> Result<()> {
    Etcd::for_user(&demo.ip(ordinal).await?, PORT_CLIENT, Some(user)).await?.serves().await
}

async fn is_let_in(demo: &Demo<'_>, user: &User) -> Result<()> {
    for ordinal in 0..demo.size {
        lets_in(demo, ordinal, user).await.with_context(|| format!("{} does not let it in", demo.member(ordinal)))?;
    }
    Ok(())
}

async fn is_refused(demo: &Demo<'_>, user: &User) -> Result<()> {
    for ordinal in 0..demo.size {
        let refused = lets_in(demo, ordinal, user).await.is_err();
        ensure!(refused, "{} lets it in", demo.member(ordinal));
        // Not for want of an answer.
        demo.etcd(ordinal).await?.serves().await?;
    }
    Ok(())
}
