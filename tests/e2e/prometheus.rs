//! Promise: a real Prometheus that reads a real cluster answers each query of the dashboard, and a real fault fires its alert.

use crate::encrypted::encrypted;
use crate::harness::backup::verified;
use crate::harness::demo::merge;
use crate::harness::prometheus::{Prometheus, Target, rules};
use crate::harness::{Bucket, Client, Demo, Manner, PATIENCE, Part, Stage, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::{PORT_AGENT, PORT_METRICS};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use testbed::store::Traffic;

const DASHBOARD: &str = "../manifests/monitoring/dashboard.json";
/// Over how many seconds a rate is taken: some scrapes.
const RATE: &str = "10s";
/// In place of minutes: a fault has to be seen twice.
const WAITS: &str = "2s";
/// How long the picture looks back, in seconds, and the distance of its points.
const PICTURE: (i64, u32) = (120, 1);

#[test]
fn each_query_of_the_dashboard_is_answered_and_a_silent_agent_fires_its_alert() {
    play("prometheus", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        bucket.admit(stage, "demo-store").await?;
        let mut spec = encrypted(3, &json!({"version": "v3.6.16", "maintenance": {"compareEvery": "10s"}}));
        merge(&mut spec, json!({"backup": {"store": bucket.store()}}));
        let (demo, _) = Demo::up(stage, "demo", spec).await?;
        let prometheus = Prometheus::start(&targets(stage, &demo).await?, &rules(WAITS)?).await?;
        let client = Client::start(&demo).await?;
        verified(stage, "first", "demo").await?;
        let panels = panels(&stage.namespace)?;
        until("each query of the dashboard is answered", PATIENCE, async || {
            for Panel { title, expression, .. } in &panels {
                let found = prometheus.now(expression).await.with_context(|| title.clone())?;
                ensure!(!found.is_empty(), "{title}: nothing comes of {expression}");
            }
            Ok(())
        })
        .await?;
        stage.say(format!("{} queries of the dashboard are answered", panels.len()));
        picture(&demo, &prometheus, &panels).await?;
        client.finish(&demo).await?;
        a_silent_agent_is_told_of(&demo, &prometheus).await
    });
}

/// Frozen it answers nothing, and etcd goes on.
async fn a_silent_agent_is_told_of(demo: &Demo<'_>, prometheus: &Prometheus) -> Result<()> {
    let Some(faults) = demo.stage.faults_or_skip() else { return Ok(()) };
    const FIRING: &str = r#"ALERTS{alertname="EtcdMemberAgentSilent",alertstate="firing"}"#;
    let firing = async || -> Result<Vec<Value>> {
        Ok(prometheus.now(FIRING).await?.iter().map(|one| one["metric"]["pod"].clone()).collect())
    };
    ensure!(firing().await?.is_empty(), "it fires before its fault");
    let ordinal = demo.follower().await?;
    let agent = demo.process(faults, ordinal, Part::Sidecar).await?;
    agent.signal(Signal::SIGSTOP);
    let fired = until("the alert fires", PATIENCE, async || {
        let pods = firing().await?;
        ensure!(pods == [json!(demo.member(ordinal))], "it fires for {pods:?}");
        Ok(())
    })
    .await;
    agent.signal(Signal::SIGCONT);
    fired?;
    until("the alert clears", PATIENCE, async || {
        let pods = firing().await?;
        ensure!(pods.is_empty(), "it fires for {pods:?}");
        Ok(())
    })
    .await
}

/// What PodMonitors would find.
async fn targets(stage: &Stage, demo: &Demo<'_>) -> Result<Vec<Target>> {
    let operator = format!("127.0.0.1:{}", stage.coordinator_port()?);
    let mut targets = vec![Target {
        job: "etcd-coordinator",
        address: operator,
        labels: json!({"namespace": "etcd-operator-system"}),
    }];
    for ordinal in 0..demo.size {
        let ip = demo.ip(ordinal).await?;
        for (job, port) in [("etcd-agent", PORT_AGENT), ("etcd-member", PORT_METRICS)] {
            let labels = json!({"namespace": stage.namespace, "cluster": demo.name, "pod": demo.member(ordinal)});
            targets.push(Target { job, address: format!("{ip}:{port}"), labels });
        }
    }
    Ok(targets)
}

/// One query of the dashboard.
struct Panel {
    id: Value,
    title: String,
    legend: Value,
    expression: String,
}

/// All of them, with what a person would choose above.
fn panels(namespace: &str) -> Result<Vec<Panel>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(DASHBOARD);
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().context("it has panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let said = target["expr"].as_str().context("a target asks something")?;
            let expression = said.replace("$__rate_interval", RATE).replace("$namespace", namespace);
            let expression = expression.replace("$cluster", "demo");
            ensure!(!expression.contains('$'), "{expression} has a variable that nobody sets");
            let title = panel["title"].as_str().unwrap_or_default().to_owned();
            all.push(Panel { id: panel["id"].clone(), title, legend: target["legendFormat"].clone(), expression });
        }
    }
    Ok(all)
}

/// Where `E2E_PICTURE` names a file: what there is to be drawn (`make picture`), after some minutes in which something happens.
async fn picture(demo: &Demo<'_>, prometheus: &Prometheus, panels: &[Panel]) -> Result<()> {
    let Some(file) = std::env::var_os("E2E_PICTURE") else { return Ok(()) };
    tokio::time::sleep(Duration::from_secs(40)).await;
    let faults = demo.stage.faults_or_skip().context("the picture shows what happens when a leader is killed")?;
    demo.process(faults, demo.leader().await?, Part::Etcd).await?.signal(Signal::SIGKILL);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut drawn = Vec::new();
    for Panel { id, legend, expression, title: _ } in panels {
        let series = prometheus.lately(expression, PICTURE.0, PICTURE.1).await?;
        drawn.push(json!({"panel": id, "legend": legend, "series": series}));
    }
    std::fs::write(file, serde_json::to_vec(&drawn)?).context("write what is to be drawn")
}
