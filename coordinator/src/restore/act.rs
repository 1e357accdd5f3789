//! Does what was decided for a restore.

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdRestore},
    validate,
};
use kube::ResourceExt;

use super::decide::{Objection, Task};
use crate::{
    apiserver::{Cause, Failed},
    authorities::{Made, Whose},
    backup::context::Context,
    cluster::{build::proof::Served, decide::incarnation},
    ownership::Owner,
    proofs::{self, Proof},
};

/// Makes the pod that opens the data and serves it.
pub async fn prove(
    ctx: &Context,
    one: &EtcdRestore,
    cluster: &EtcdCluster,
    task: &Task,
) -> Result<Option<Objection>, Failed> {
    let Ok(wanted) = validate::cluster(cluster) else { return Ok(Some(Objection::Invalid(cluster.name_any()))) };
    let present = cluster.status.as_ref().and_then(|status| status.incarnation.clone());
    let incarnation = present.unwrap_or_else(|| incarnation::first(cluster, &wanted));
    let (api, life) = (&ctx.clusters.api, Owner::of(cluster).life);
    let peers = match incarnation.encrypted.peer {
        false => None,
        // They are made when a cluster is founded, which this one is not yet: whoever comes first makes them.
        true if !incarnation.members_created => {
            let whose = Whose { life, cluster: cluster.name_any(), namespace: cluster.namespace().unwrap_or_default() };
            Some(ctx.clusters.authorities.found(api, &whose, Made::of(&wanted.encryption)).await?)
        }
        true => ctx.clusters.authorities.of(api, &life).await?,
    };
    let served = Served { peers: peers.as_ref().map(|pair| pair.peer.certificate()) };
    let Task { question, secret } = task;
    let (owner, secret) = (proofs::owner(one), secret.clone());
    let proof = Proof { cluster, wanted: &wanted, incarnation: &incarnation, owner, question, secret };
    match proofs::begin(&ctx.clusters, proof, Some(&served)).await {
        Ok(()) => Ok(None),
        Err(Failed { cause: Cause::Refused(words), .. }) => Ok(Some(Objection::PodRefused(words))),
        Err(failed) => Err(failed),
    }
}
