//! A store of objects on this machine is reached from a pod.

use super::stage::Stage;
use crate::bare_etcd::BareEtcd;
use crate::command::run;
use crate::faults::Faults;
use crate::layout::HOST_IP;
use crate::store::{Store, Traffic};
use anyhow::{Context, Result, ensure};
use std::process::Command;

pub(super) async fn reach(stage: &Stage, faults: &Faults, etcd: &BareEtcd) -> Result<()> {
    let store = Store::start(HOST_IP.into(), Traffic::Plain).await?;
    let inside = faults.processes(&stage.namespace, &etcd.pod(0)).await?;
    let network = format!("--net=/proc/{}/ns/net", inside.first().context("a pod has processes")?.pid());
    let connect = format!("exec 3<>/dev/tcp/{}/{}", store.address().ip(), store.address().port());
    let connects = || run(Command::new("nsenter").args([&network, "timeout", "5", "bash", "-c", &connect]));
    connects().context("reach a store from a pod")?;
    store.go_away().await?;
    ensure!(connects().is_err(), "a store that is away is reached");
    stage.say("a store of objects on this machine is reached from a pod");
    Ok(())
}
