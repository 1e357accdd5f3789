//! Promise: a ServiceAccount that is deleted and made anew costs no member anything; that its agents are not heard meanwhile is said
//! within a minute, and ends by itself.

use crate::harness::demo::spec;
use crate::harness::length::is_full;
use crate::harness::{Demo, Manner, PATIENCE, Stage, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdMember;
use etcd_operator_shared::api::cluster::Phase;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;
use kube::api::DeleteParams;
use std::time::{Duration, Instant};

const ACCOUNT: &str = "demo-agent";
/// Within this a person is told.
const TOLD: Duration = Duration::from_secs(60);
/// Kubelet renews the shorter token within 8 min, and looks at a pod's volumes each minute and a half.
const RENEWED: Duration = Duration::from_secs(11 * 60);

#[test]
fn agents_that_a_new_account_has_silenced_are_named_and_heard_again_and_no_member_is_touched() {
    play("account_made_anew", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let former = account(stage).await?;
        all_speak_as(stage, &demo, &former).await?;
        let before = uids(&demo).await?;

        stage.api::<ServiceAccount>().delete(ACCOUNT, &DeleteParams::default()).await?;
        let started = Instant::now();
        let new = until("the account is back", PATIENCE, async || {
            let new = account(stage).await?;
            ensure!(new != former, "it is the former one");
            Ok(new)
        })
        .await?;
        let sentence = until("the silence is told", TOLD, async || {
            let ready = demo.condition("Ready").await?;
            ensure!(ready.reason == "AgentDeaf" && ready.status == "Unknown", "Ready is {ready:?}");
            let phase = demo.get().await?.status.and_then(|status| status.phase);
            ensure!(phase != Some(Phase::Running), "its phase is {phase:?}");
            Ok(ready.message)
        })
        .await?;
        stage.say(format!("told after {:.1} s: {sentence}", started.elapsed().as_secs_f64()));
        ensure!(sentence.contains(ACCOUNT), "it does not name the account: {sentence}");
        until("an agent's log names the refusal", PATIENCE, async || {
            let log = ["-n", &stage.namespace, "logs", "demo-0", "-c", "agent"];
            ensure!(stage.kubectl.run(&log).await?.contains("401"), "it does not");
            Ok(())
        })
        .await?;
        holds("every member serves", Duration::from_secs(5), async || demo.serves(Duration::from_secs(2)).await)
            .await?;
        ensure!(uids(&demo).await? == before && demo.restarts().await? == 0, "pods were replaced or restarted");

        if is_full() {
            until("kubelet has renewed the tokens", RENEWED, async || all_speak_as(stage, &demo, &new).await).await?;
            stage.say(format!("heard again after {:.0} s", started.elapsed().as_secs_f64()));
            ensure!(uids(&demo).await? == before && demo.restarts().await? == 0, "pods were replaced or restarted");
            return demo.ready().await;
        }
        // Who does not want to wait deletes a pod, as the sentence says.
        for ordinal in 0..demo.size {
            demo.delete_pod(ordinal, 30).await?;
            until("its successor is heard", PATIENCE, async || speaks_as(stage, &demo.member(ordinal), &new).await)
                .await?;
            demo.serves(PATIENCE).await?;
        }
        demo.ready().await
    });
}

async fn account(stage: &Stage) -> Result<String> {
    stage.api::<ServiceAccount>().get(ACCOUNT).await?.uid().context("an account has a UID")
}

async fn all_speak_as(stage: &Stage, demo: &Demo<'_>, account: &str) -> Result<()> {
    for member in demo.members() {
        speaks_as(stage, &member, account).await?;
    }
    Ok(())
}

async fn speaks_as(stage: &Stage, member: &str, account: &str) -> Result<()> {
    let spoke = stage.api::<EtcdMember>().get(member).await?.status.and_then(|status| status.account);
    ensure!(spoke.as_deref() == Some(account), "{member} spoke last as {spoke:?}");
    Ok(())
}

async fn uids(demo: &Demo<'_>) -> Result<Vec<Option<String>>> {
    Ok(demo.pods().await?.iter().map(ResourceExt::uid).collect())
}
