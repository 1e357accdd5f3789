//! The leader's pod is deleted, turn by turn with a bare StatefulSet: the time from then until all three members serve again,
//! and how many requests waited while leadership moved.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use testbed::{bare_etcd::BareEtcd, etcd::Etcd};
use tokio::time::sleep;

use crate::{
    create,
    figure::Figure,
    operator::Operator,
    writers::{self, Writers},
};

/// Seconds until all serve; requests that waited for over a second, of a hundred hand-overs.
pub const FIGURES: [&str; 2] = ["pod-delete", "handover-stall"];
const MEMBERS: usize = 3;
const CLIENT_PORT: u16 = 2379;
/// Between two looks at three members.
const LOOK: Duration = Duration::from_millis(20);
/// Far beyond every goal.
const PATIENCE: Duration = Duration::from_secs(180);
/// etcd changes nothing before its voters have been connected for 5 s, and a person waits too.
const REST: Duration = Duration::from_secs(6);

/// Deletes the leader's pod `runs` times in each.
pub async fn measure(operator: &Operator, runs: usize, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let bare = BareEtcd { name: "bare".into(), members: MEMBERS, version: "v3.5.21".into(), class: "local".into() };
    bare.create(&operator.client(), &operator.namespace).await?;
    operator.create("deleted", MEMBERS).await?;
    let [back, stall] = FIGURES;
    if wanted(back) {
        let mut figure = Figure::of(back, "s", vec![]);
        for _ in 0..runs {
            figure.floor.push(once(operator, &bare.name).await?);
            figure.values.push(once(operator, "deleted").await?);
        }
        figure.print();
    }
    if wanted(stall) {
        let (mut floor, mut ours) = (0, 0);
        for _ in 0..runs {
            floor += stalled(operator, &bare.name).await?;
            ours += stalled(operator, "deleted").await?;
        }
        let of_a_hundred = |requests: usize| vec![requests as f64 * 100.0 / runs as f64];
        let figure = Figure { floor: of_a_hundred(floor), ..Figure::of(stall, "requests", of_a_hundred(ours)) };
        figure.print();
    }
    create::remove(operator, &bare).await?;
    operator.delete("deleted").await
}

/// Requests that waited for long, of a writer at each member, while the leader's pod is deleted and comes back.
async fn stalled(operator: &Operator, name: &str) -> Result<usize> {
    let pods: Api<Pod> = Api::namespaced(operator.client(), &operator.namespace);
    let writers = Writers::start(&pods, (0..MEMBERS).map(|ordinal| format!("{name}-{ordinal}")));
    let outcome = once(operator, name).await;
    let waits = writers.end().await;
    outcome?;
    Ok(waits.into_iter().filter(|wait| *wait > writers::LONG).count())
}

async fn once(operator: &Operator, name: &str) -> Result<f64> {
    let pods: Api<Pod> = Api::namespaced(operator.client(), &operator.namespace);
    sleep(REST).await;
    let leader = leader(&pods, name).await?;
    let former = pods.get(&leader).await?.uid();
    let deleted = Instant::now();
    pods.delete(&leader, &DeleteParams::default()).await?;
    loop {
        match all_serve(&pods, name, &leader, former.as_deref()).await {
            Ok(()) => return Ok(deleted.elapsed().as_secs_f64()),
            Err(why) if deleted.elapsed() > PATIENCE => bail!("{name} does not serve again: {why:#}"),
            Err(_) => sleep(LOOK).await,
        }
    }
}

async fn leader(pods: &Api<Pod>, name: &str) -> Result<String> {
    for ordinal in 0..MEMBERS {
        let pod = format!("{name}-{ordinal}");
        let said = etcd(pods, &pod).await?.said().await?;
        if said.leader == said.member_id {
            return Ok(pod);
        }
    }
    bail!("{name} has no leader")
}

/// Fails until the deleted pod has a successor and every member gives a linearizable read.
async fn all_serve(pods: &Api<Pod>, name: &str, deleted: &str, former: Option<&str>) -> Result<()> {
    let now = pods.get(deleted).await?.uid();
    ensure!(now.as_deref() != former, "the deleted pod is there");
    for ordinal in 0..MEMBERS {
        etcd(pods, &format!("{name}-{ordinal}")).await?.serves().await?;
    }
    Ok(())
}

async fn etcd(pods: &Api<Pod>, pod: &str) -> Result<Etcd> {
    let address = pods.get(pod).await?.status.and_then(|status| status.pod_ip);
    Etcd::at(&address.with_context(|| format!("{pod} has no address"))?, CLIENT_PORT).await
}
