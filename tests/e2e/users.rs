//! Promise: an application that is let in gets a certificate that is renewed in time, and no Secret of anybody else's is touched; the
//! authorities behind it are made once, and their loss is said and mended by putting them back.

use crate::harness::demo::{spec, spec_with};
use crate::harness::{Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::{EtcdUser, EtcdUserSpec};
use etcd_operator_shared::names;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// A certificate of ten seconds is renewed twice in that time.
const RENEWED: Duration = Duration::from_secs(30);
/// A coordinator that begins looks at all authorities within this.
const LOOKED: Duration = Duration::from_secs(90);

fn encrypted(leaf: &str) -> Value {
    let security = json!({"peer": {"mode": "Auto"}, "client": {"mode": "Auto"}, "ca": {"leafDuration": leaf}});
    spec_with(1, json!({ "security": security }))
}

#[test]
fn an_application_gets_a_certificate_that_is_renewed_and_goes_with_its_user() {
    play("user", Manner::Beside, async |stage| {
        user(stage, "app", "demo", None).await?;
        says(stage, "app", "False", "NoSuchCluster").await?;
        let _demo = Demo::create(stage, "demo", encrypted("10s")).await?;
        says(stage, "app", "True", "Issued").await?;
        let secret = stage.api::<Secret>().get("app").await?;
        ensure!(secret.type_.as_deref() == Some(names::SECRET_CLIENT), "its type is {:?}", secret.type_);
        let endpoints = text(&secret, "endpoints")?;
        ensure!(endpoints == format!("https://demo-client.{}.svc:2379", stage.namespace), "endpoints: {endpoints}");
        let map = stage.api::<ConfigMap>().get(&names::ca_config_map("demo")).await?;
        let shown = map.data.and_then(|data| data.get("ca.crt").cloned());
        ensure!(shown.as_ref() == Some(&text(&secret, "ca.crt")?), "another authority is shown to people");

        let (first, key) = (text(&secret, "tls.crt")?, text(&secret, "tls.key")?);
        until("the certificate is renewed, with another key", RENEWED, async || {
            let now = stage.api::<Secret>().get("app").await?;
            ensure!(text(&now, "tls.crt")? != first && text(&now, "tls.key")? != key, "it is the first one");
            ensure!(text(&now, "ca.crt")? == text(&secret, "ca.crt")?, "another authority has signed it");
            Ok(())
        })
        .await?;
        stage.api::<EtcdUser>().delete("app", &DeleteParams::default()).await?;
        until("the Secret goes with its EtcdUser", PATIENCE, async || {
            ensure!(stage.api::<Secret>().get_opt("app").await?.is_none(), "it is there");
            Ok(())
        })
        .await
    });
}

#[test]
fn what_stands_in_an_applications_way_is_said_and_nobody_elses_secret_is_touched() {
    play("users", Manner::Beside, async |stage| {
        let foreign = Secret {
            metadata: ObjectMeta { name: Some("other".into()), ..ObjectMeta::default() },
            data: Some([("a".to_owned(), ByteString(b"b".to_vec()))].into()),
            ..Secret::default()
        };
        let foreign = stage.api::<Secret>().create(&PostParams::default(), &foreign).await?;
        let _demo = Demo::create(stage, "demo", encrypted("1h")).await?;
        let _plain = Demo::create(stage, "plain", spec(1)).await?;
        user(stage, "app", "demo", None).await?;
        says(stage, "app", "True", "Issued").await?;
        user(stage, "other", "demo", None).await?;
        user(stage, "second", "demo", Some("app")).await?;
        user(stage, "idle", "plain", None).await?;
        says(stage, "other", "False", "ForeignSecret").await?;
        says(stage, "second", "False", "SecretTaken").await?;
        says(stage, "idle", "False", "PlainTraffic").await?;
        let now = stage.api::<Secret>().get("other").await?;
        ensure!(now.resource_version() == foreign.resource_version(), "somebody else's Secret was written");
        ensure!(stage.api::<Secret>().get_opt("idle").await?.is_none(), "a certificate that is of no use was made");
        stage.api::<Secret>().delete("other", &DeleteParams::default()).await?;
        says(stage, "other", "True", "Issued").await
    });
}

#[test]
fn authorities_that_are_lost_are_said_and_never_made_anew() {
    play("authorities", Manner::Beside, async |stage| {
        let demo = Demo::create(stage, "demo", encrypted("1h")).await?;
        let secrets = stage.api::<Secret>();
        let uid = demo.get().await?.uid().context("it has a UID")?;
        // The coordinator of a test has its Lease in the test's own namespace.
        let name = names::authorities(&uid);
        let mut kept = until("the authorities are made", PATIENCE, async || Ok(secrets.get(&name).await?)).await?;
        until("the cluster has begun", PATIENCE, async || {
            let begun = demo.get().await?.status.and_then(|status| status.incarnation);
            ensure!(begun.is_some_and(|begun| begun.members_created), "its members are not made");
            Ok(())
        })
        .await?;
        secrets.delete(&name, &DeleteParams::default()).await?;
        stage.stop_coordinator().await?;
        stage.start_coordinator(&crate::harness::stage::agent_image())?;
        let stalled = |status: &'static str, reason: &'static str| {
            let demo = &demo;
            async move || {
                let found = demo.condition("Stalled").await?;
                ensure!(found.status == status && found.reason == reason, "it says {found:?}");
                Ok(())
            }
        };
        until("it is said", LOOKED, stalled("True", "AuthorityLost")).await?;
        ensure!(secrets.get_opt(&name).await?.is_none(), "others were made, which no member believes");
        kept.metadata = ObjectMeta { name: kept.metadata.name, labels: kept.metadata.labels, ..ObjectMeta::default() };
        secrets.create(&PostParams::default(), &kept).await?;
        until("it is mended", PATIENCE, stalled("False", "NotStalled")).await
    });
}

async fn user(stage: &Stage, name: &str, cluster: &str, secret: Option<&str>) -> Result<()> {
    let spec =
        EtcdUserSpec { cluster: cluster.to_owned(), secret_name: secret.map(str::to_owned), ..EtcdUserSpec::default() };
    stage.api::<EtcdUser>().create(&PostParams::default(), &EtcdUser::new(name, spec)).await?;
    Ok(())
}

async fn says(stage: &Stage, name: &str, status: &str, reason: &str) -> Result<()> {
    until(&format!("EtcdUser {name} says {reason}"), PATIENCE, async || {
        let user = stage.api::<EtcdUser>().get(name).await?;
        let conditions = user.status.map(|status| status.conditions).unwrap_or_default();
        let ready = conditions.into_iter().find(|one| one.type_ == "Ready").context("it says nothing")?;
        ensure!(ready.status == status && ready.reason == reason, "it says {ready:?}");
        Ok(())
    })
    .await
}

fn text(secret: &Secret, key: &str) -> Result<String> {
    let data = secret.data.as_ref().and_then(|data| data.get(key)).with_context(|| format!("it has no {key}"))?;
    Ok(String::from_utf8(data.0.clone())?)
}
