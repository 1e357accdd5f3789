//! Tries every part of the testbed on a real etcd: `testbed check`.

mod faults;
mod stage;
mod store;
mod volumes;

use crate::bare_etcd::BareEtcd;
use crate::faults::Faults;
use crate::machine::Testbed;
use crate::progress::Progress;
use crate::storage::{LOCAL, NETWORK};
use crate::toolchain::ETCD_VERSIONS;
use anyhow::{Result, ensure};
use stage::Stage;

/// Runs every check, in a namespace of its own that is removed at the end; prints evidence when one fails.
///
/// # Errors
/// The first that fails.
pub async fn check(testbed: &Testbed, progress: Progress) -> Result<()> {
    let stage = Stage::build(testbed, progress, "testbed-check").await?;
    let result = perform(testbed, &stage).await;
    if result.is_err() {
        println!("{}", crate::evidence::gather(stage.client.clone(), &stage.namespace).await);
    }
    stage.strike().await?;
    result
}

async fn perform(testbed: &Testbed, stage: &Stage) -> Result<()> {
    let faults = Faults::new(testbed, stage.client.clone());
    let etcd =
        BareEtcd { name: "etcd".to_owned(), members: 3, version: ETCD_VERSIONS[2].to_owned(), class: LOCAL.to_owned() };
    let took = etcd.create(&stage.client, &stage.namespace).await?;
    stage.say(format!("3 members on class {LOCAL} ready after {:.2} s", took.as_secs_f64()));
    stage.put_and_get(&etcd.pod(0), &etcd.pod(2), "hello").await?;
    reach_services(stage).await?;
    store::reach(stage, &faults, &etcd).await?;
    faults::processes(stage, &faults, &etcd).await?;
    faults::pod_cut(stage, &faults, &etcd).await?;
    faults::node_cut(stage, &faults, &etcd).await?;
    volumes::faults(stage, &faults, &etcd).await?;
    faults::control_plane(stage, &faults, &etcd).await?;
    faults::node_power(stage, &faults, &etcd).await?;
    volumes::moves(stage, &faults).await?;
    for version in ETCD_VERSIONS {
        let name = format!("one-{}", version.replace('.', "-"));
        let etcd = BareEtcd { name, members: 1, version: version.to_owned(), class: NETWORK.to_owned() };
        let took = etcd.create(&stage.client, &stage.namespace).await?;
        stage.say(format!("1 member of {version} on class {NETWORK} ready after {:.2} s", took.as_secs_f64()));
    }
    Ok(())
}

/// A ClusterIP from the host and from a pod, and the stock name server.
async fn reach_services(stage: &Stage) -> Result<()> {
    let address = stage.cluster_ip("front", "etcd").await?;
    let endpoint = format!("{address}:2379");
    stage.until("the Service answers on the host", async || stage.etcdctl_here(&endpoint, "get hello").is_ok()).await?;
    let inside = stage.etcdctl("etcd-1", &format!("--endpoints={endpoint} get hello")).await?;
    ensure!(inside.contains("hello"), "the Service answers `{inside}` in a pod");
    stage.say("a ClusterIP is reached from the host and from a pod");
    Ok(())
}
