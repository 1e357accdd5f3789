//! Promise: switching etcd's authentication on takes no member out of the Service, and is said; so is an alarm, of the member
//! that it is raised for and of no other.

use crate::harness::demo::{spec, spec_with};
use crate::harness::http;
use crate::harness::{Demo, Manner, PATIENCE, holds, play, until};
use anyhow::{Context, Result, ensure};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, Client};
use etcd_operator_shared::api::EtcdMember;
use etcd_operator_shared::names::{PORT_AGENT, PORT_CLIENT};
use serde_json::{Value, json};
use std::time::Duration;

/// The members left the Service 4 s after the command, and kubelet needs three failed probes to see it.
const STAYS: Duration = Duration::from_secs(20);

#[test]
fn authentication_takes_no_member_out_of_the_service() {
    play("authentication", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({"version": "v3.6.16"}))).await?;
        let readiness = demo.watch_readiness();
        let etcdctl = async |words: &str| {
            let words: Vec<&str> = ["--", "etcdctl"].into_iter().chain(words.split(' ')).collect();
            demo.exec(0, &words).await
        };
        etcdctl("user add root --new-user-password=secret").await?;
        etcdctl("user grant-role root root").await?;
        etcdctl("auth enable").await?;
        until("each member says what its agent cannot do", PATIENCE, async || {
            for ordinal in 0..demo.size {
                let said = notice(&demo, ordinal).await?.context("nothing is said")?;
                ensure!(said.contains("authentication is on"), "it says: {said}");
            }
            Ok(())
        })
        .await?;
        holds("readiness", STAYS, async || {
            ensure!(readiness.lapses().is_empty(), "pods stopped being Ready: {:?}", readiness.lapses());
            Ok(())
        })
        .await?;
        let member = stage.api::<EtcdMember>().get(&demo.member(1)).await?.status.context("it tells how it is")?;
        let told = member.notices.iter().any(|notice| notice.reason == "AuthenticationOn");
        ensure!(member.ready && told, "the object says {member:?}");

        // An agent that was not there before, and an etcd that starts with it on.
        crate::process_faults::kill(faults, &demo, 1, crate::harness::Part::Sidecar).await?;
        demo.delete_pod(2, 5).await?;
        until("both are ready again", PATIENCE, async || {
            for ordinal in [1, 2] {
                let reply = http::get(&demo.ip(ordinal).await?, PORT_AGENT, "/readyz").await?;
                ensure!(reply.status == 200, "{}", reply.body);
                ensure!(notice(&demo, ordinal).await?.is_some(), "nothing is said");
            }
            Ok(())
        })
        .await?;

        etcdctl("--user root:secret auth disable").await?;
        until("nothing is left to say", PATIENCE, async || {
            for ordinal in 0..demo.size {
                let said = notice(&demo, ordinal).await?;
                ensure!(said.is_none(), "it says: {said:?}");
            }
            Ok(())
        })
        .await?;
        demo.ready().await?;
        demo.all_vote().await.map(drop)
    });
}

#[test]
fn an_alarm_is_shown_of_the_member_that_it_is_raised_for() {
    play("alarms", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        // Else the leader's agent would take back what has no cause.
        pause(&demo, true).await?;
        let id = demo.etcd(1).await?.said().await?.member_id;
        let mut etcd = Client::connect([format!("http://{}:{PORT_CLIENT}", demo.ip(0).await?)], None).await?;
        let of_it = || {
            let mut options = AlarmOptions::new();
            options.with_member(id);
            Some(options)
        };
        etcd.alarm(AlarmAction::Activate, AlarmType::Nospace, of_it()).await?;
        until("the alarm is shown of it", PATIENCE, async || alarms_are(&demo, [0, 1, 0]).await).await?;
        etcd.alarm(AlarmAction::Deactivate, AlarmType::Nospace, of_it()).await?;
        until("no alarm is shown", PATIENCE, async || alarms_are(&demo, [0, 0, 0]).await).await?;
        demo.ready().await?;

        pause(&demo, false).await?;
        etcd.alarm(AlarmAction::Activate, AlarmType::Nospace, of_it()).await?;
        etcd.alarm(AlarmAction::Activate, AlarmType::Corrupt, of_it()).await?;
        until("both are taken back", PATIENCE, async || {
            let raised = etcd.clone().alarm(AlarmAction::Get, AlarmType::None, None).await?;
            ensure!(raised.alarms().is_empty(), "{} are raised", raised.alarms().len());
            Ok(())
        })
        .await?;
        demo.ready().await
    });
}

async fn pause(demo: &Demo<'_>, paused: bool) -> Result<()> {
    demo.patch_spec(json!({ "paused": paused })).await?;
    until("each member is told", PATIENCE, async || {
        for member in demo.members() {
            let told = demo.stage.api::<EtcdMember>().get(&member).await?.spec.paused;
            ensure!(told == paused, "{member} is told {told}");
        }
        Ok(())
    })
    .await
}

async fn alarms_are(demo: &Demo<'_>, wanted: [usize; 3]) -> Result<()> {
    for (ordinal, wanted) in (0..).zip(wanted) {
        let member = demo.stage.api::<EtcdMember>().get(&demo.member(ordinal)).await?;
        let alarms = member.status.context("it tells how it is")?.alarms;
        ensure!(alarms == vec!["NOSPACE"; wanted], "{} has {alarms:?}", demo.member(ordinal));
    }
    Ok(())
}

/// What etcd refuses the agent, as its page shows it.
async fn notice(demo: &Demo<'_>, ordinal: u32) -> Result<Option<String>> {
    let page = http::get(&demo.ip(ordinal).await?, PORT_AGENT, "/status").await?.body;
    let page: Value = serde_json::from_str(&page)?;
    let notices = page["notices"].as_array().context("a page has notices")?;
    let rights = notices.iter().find(|one| one["name"] == "rights").context("a page tells of rights")?;
    Ok(rights["reason"].as_str().map(str::to_owned))
}
