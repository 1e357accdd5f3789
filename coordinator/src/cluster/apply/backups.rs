//! Writes down what schedules have taken, and takes the record of the oldest away.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdBackupSpec},
    backup, names,
};
use futures::future::join_all;
use kube::ResourceExt;

use crate::{
    apiserver::{Cause, Failed, gone},
    cluster::{
        build::Blueprint,
        context::Context,
        decide::backups::{Due, Reported},
    },
};

/// Does what is due.
pub async fn keep(ctx: &Context, plan: &Blueprint<'_>, due: &Due) -> Vec<Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let made = join_all(due.make.iter().map(async |one| make(ctx, &record(plan, one)).await)).await;
    let forgotten =
        due.forget.iter().map(async |(name, uid)| gone(ctx.api.delete::<EtcdBackup>(&namespace, name, uid).await));
    made.into_iter().chain(join_all(forgotten).await).filter_map(Result::err).collect()
}

/// One that is there already is the same, whoever made it: its name has the slot in it.
async fn make(ctx: &Context, record: &EtcdBackup) -> Result<(), Failed> {
    match ctx.api.create(record).await {
        Ok(_) | Err(Failed { cause: Cause::Exists, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// It belongs to nobody: backups are there for when the cluster is gone.
fn record(plan: &Blueprint<'_>, Reported { schedule, slot, member: _, taken: _ }: &Reported) -> EtcdBackup {
    let cluster = plan.name();
    let name = format!("{cluster}-{}", backup::scheduled(schedule, slot).to_lowercase());
    let spec = EtcdBackupSpec { cluster: cluster.clone(), schedule: Some(schedule.clone()), slot: Some(slot.clone()) };
    let labels =
        [("app.kubernetes.io/managed-by", names::MANAGER_COORDINATOR.to_owned()), (names::LABEL_CLUSTER, cluster)];
    let labels: BTreeMap<String, String> = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut record = EtcdBackup::new(&name, spec);
    record.metadata.namespace = plan.cluster.namespace();
    record.metadata.labels = Some(labels);
    record
}
