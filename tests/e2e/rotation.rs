//! Promise: a cluster's authorities are changed under its clients. While the new ones issue nothing restarts, whoever comes meanwhile is let
//! in, each etcd is started once when the former are given up, and who has a certificate of theirs is refused from then on.

use crate::encrypted::encrypted;
use crate::harness::etcd::{Etcd, User};
use crate::harness::stage::agent_image;
use crate::harness::{Client, Demo, Manner, PATIENCE, play, until};
use crate::operator_upgrade::etcds;
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::Word;
use etcd_operator_shared::api::cluster::{Authorities, AuthorityPhase};
use etcd_operator_shared::names::PORT_CLIENT;
use serde_json::json;
use std::time::Instant;

/// The longest that an application may wait on a busy machine while one member after the other is started once more.
const GAP_MS: f64 = 10_000.0;

#[test]
fn authorities_are_changed_under_a_client_and_those_of_before_are_refused_afterwards() {
    play("rotation", Manner::Beside, async |stage| {
        let (demo, _) = Demo::up(stage, "demo", encrypted(3, &json!({}))).await?;
        let id = demo.all_vote().await?;
        let before = etcds(&demo).await?;
        let members = ids(&demo).await?;
        let former = demo.user().await?.context("its traffic is encrypted")?;
        let client = Client::start(&demo).await?;

        client.mark("issue").await?;
        let began = Instant::now();
        // Applications have a third of that time to take their new certificates.
        demo.patch_spec(json!({"security": {"ca": {"generation": 2, "leafDuration": "45s"}}})).await?;
        stage.kill_coordinator().await?;
        stage.start_coordinator(&agent_image())?;
        is_at(&demo, Some(AuthorityPhase::Retire)).await?;
        stage.say(format!("all have new certificates after {:.1} s", began.elapsed().as_secs_f64()));
        ensure!(before == etcds(&demo).await?, "an etcd was started again, or its pod is another");
        lets_in(&demo, &former, true)
            .await
            .context("a certificate of the former, which are believed as long as etcd runs")?;

        client.mark("join").await?;
        let five = demo.scale(5).await?;
        five.all_vote().await?;
        let joined = etcds(&five).await?;
        ensure!(before == joined[..3], "an etcd was started again, or its pod is another");

        client.mark("retire").await?;
        let began = Instant::now();
        five.patch_spec(json!({"security": {"ca": {"retire": "Now"}}})).await?;
        is_at(&five, None).await?;
        stage.say(format!("the former are believed no more after {:.1} s", began.elapsed().as_secs_f64()));
        let after = etcds(&five).await?;
        for (ordinal, (was, is)) in joined.iter().zip(&after).enumerate() {
            ensure!(was.0 == is.0, "the pod of demo-{ordinal} is another");
            let started = is.1.is_some() && was.1 != is.1;
            ensure!(is.1.is_none() || started == (ordinal < 3), "etcd of demo-{ordinal} was {was:?} and is {is:?}");
        }
        lets_in(&five, &former, false).await?;
        let own = five.user().await?.context("its traffic is encrypted")?;
        ensure!(own.authority != former.authority, "applications are told to believe the former authority");
        lets_in(&five, &own, true).await?;
        five.ready().await?;

        let report = client.finish(&five).await?;
        for interval in &report.intervals {
            stage.say(format!("{}: {:.1} s, longest gap {:.0} ms", interval.name, interval.seconds, interval.gap_ms));
        }
        ensure!(report.gap_ms < GAP_MS, "an application waited for {:.0} ms", report.gap_ms);
        ensure!(report.cluster == id && five.all_vote().await? == id, "the cluster ID changed");
        ensure!(ids(&five).await?[..3] == members, "a member's ID changed");
        Ok(())
    });
}

/// The IDs of its members, in the order of their names.
async fn ids(demo: &Demo<'_>) -> Result<Vec<(String, u64)>> {
    let mut all: Vec<(String, u64)> =
        demo.one_cluster().await?.1.into_iter().map(|member| (member.name, member.id)).collect();
    all.sort();
    Ok(all)
}

/// Waits until the second authorities are so far; `None`: nothing is left of the first.
async fn is_at(demo: &Demo<'_>, phase: Option<AuthorityPhase>) -> Result<()> {
    until(&format!("the change of authorities is at {phase:?}"), PATIENCE, async || {
        let said = demo.get().await?.status.and_then(|status| status.authorities).context("nothing is said of them")?;
        let Authorities { generation, phase: now, waits, .. } = said;
        ensure!((generation, now.clone()) == (2, phase.map(Word::Known)), "{generation} {now:?}, it waits {waits:?}");
        Ok(())
    })
    .await
}

/// Whether each member answers a user, who believes whom applications are to believe now.
async fn lets_in(demo: &Demo<'_>, user: &User, expected: bool) -> Result<()> {
    let own = demo.user().await?.context("its traffic is encrypted")?;
    let user = User { authority: own.authority, ..user.clone() };
    for ordinal in 0..demo.size {
        let answered = Etcd::for_user(&demo.ip(ordinal).await?, PORT_CLIENT, Some(&user)).await?.said().await;
        ensure!(answered.is_ok() == expected, "demo-{ordinal} said {answered:?}");
    }
    Ok(())
}
