//! Promise: a pod that was deleted but still runs, on a node that was cut off, soon cannot speak for its member any more.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, play, until};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::api::EtcdMember;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Error, ResourceExt};
use serde_json::json;
use std::time::{Duration, Instant};

/// An API server remembers for 10 s that a token was good.
const REFUSED: Duration = Duration::from_secs(60);

#[test]
fn a_deleted_pod_is_refused_by_the_api_server() {
    play("twin", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let victim = demo.follower().await?;
        let pod = demo.pod(victim).await?;
        let twin = Api::<EtcdMember>::namespaced(stage.client_of(token(&demo, &pod).await?).await?, &stage.namespace);
        let member = demo.member(victim);
        let speaks = async || twin.patch_status(&member, &PatchParams::default(), &Patch::Merge(json!({}))).await;
        speaks().await.context("a pod that is there may speak")?;

        demo.delete_pod(victim, 0).await?;
        let deleted = Instant::now();
        until("the deleted pod is refused", REFUSED, async || match speaks().await {
            Err(Error::Api(status)) if status.code == 401 => Ok(()),
            Err(error) => bail!("{error}"),
            Ok(_) => bail!("it may still write"),
        })
        .await?;
        stage.say(format!("the deleted pod is refused after {:.1} s", deleted.elapsed().as_secs_f64()));
        demo.ready().await?;
        let successor = demo.pod(victim).await?;
        ensure!(successor.uid() != pod.uid(), "the pod is the same");
        Ok(())
    });
}

/// A token as kubelet gives it to the pod: bound to it.
async fn token(demo: &Demo<'_>, pod: &Pod) -> Result<String> {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    };
    let spec = TokenRequestSpec { bound_object_ref: Some(bound), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let accounts: Api<ServiceAccount> = demo.stage.api();
    let given = accounts
        .create_token_request(account.context("the pod has an account")?, &PostParams::default(), &request)
        .await?;
    Ok(given.status.context("the API server gives a token")?.token)
}
