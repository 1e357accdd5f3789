//! Does what was decided for a restore.

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdRestore},
    validate,
};
use kube::ResourceExt;

use super::{
    decide::{Objection, Task},
    facts::Reading,
};
use crate::{
    apiserver::{Cause, Failed},
    authorities::{Made, Whose},
    backup::context::Context,
    cluster::{
        build::proof::{Served, What},
        decide::incarnation,
    },
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
    let (owner, what) = (proofs::owner(one), What::Stored { question, secret });
    let proof = Proof { cluster, wanted: &wanted, incarnation: &incarnation, owner, what };
    match proofs::begin(&ctx.clusters, proof, Some(&served)).await {
        Ok(()) => Ok(None),
        Err(Failed { cause: Cause::Refused(words), .. }) => Ok(Some(Objection::PodRefused(words))),
        Err(failed) => Err(failed),
    }
}

/// Makes the pods that read these members' volumes; one that is there, and is to try again, makes room first.
pub async fn read(
    ctx: &Context,
    one: &EtcdRestore,
    cluster: &EtcdCluster,
    readings: &[Reading],
    members: &[String],
) -> Result<Option<Objection>, Failed> {
    let Ok(wanted) = validate::cluster(cluster) else { return Ok(Some(Objection::Invalid(cluster.name_any()))) };
    let Some(incarnation) = cluster.status.as_ref().and_then(|status| status.incarnation.clone()) else {
        return Ok(Some(Objection::NotBegun(cluster.name_any())));
    };
    let namespace = one.namespace().unwrap_or_default();
    let asked = one.spec.source.survivors.as_ref().and_then(|survivors| survivors.incarnation);
    for reading in readings.iter().filter(|reading| members.contains(&reading.member)) {
        if reading.seen.is_there() {
            proofs::clear(&ctx.clusters.api, &namespace, &reading.seen).await?;
            continue;
        }
        let (owner, what) = (
            proofs::owner(one),
            What::Volume { member: &reading.member, incarnation: asked.unwrap_or(incarnation.number) },
        );
        let proof = Proof { cluster, wanted: &wanted, incarnation: &incarnation, owner, what };
        match proofs::begin(&ctx.clusters, proof, None).await {
            Ok(()) => {}
            Err(Failed { cause: Cause::Refused(words), .. }) => return Ok(Some(Objection::PodRefused(words))),
            Err(failed) => return Err(failed),
        }
    }
    Ok(None)
}
