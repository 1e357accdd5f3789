//! Pods in which another etcd opens a snapshot: looked at, made and taken away, for backups and restores alike.
//!
//! No watch shows them: while one is under way it is looked at each second, and there are few at a time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Incarnation},
    names,
    validate::Wanted,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{Resource, ResourceExt};
use tokio::time::Instant;
use tracing::info;

use crate::{
    apiserver::{ApiServer, Cause, Failed, gone},
    cluster::{
        build::{
            Blueprint, ServerVersion,
            proof::{self, Served, What},
        },
        context::Context,
        decide::membership::Desired,
        facts::proof::Seen,
    },
};

/// Proofs at a time, of one installation: each reads a whole snapshot from the store and runs an etcd, and schedules of
/// many clusters have the same minute.
const AT_ONCE: usize = 8;
/// The same of one namespace: no tenant keeps all others waiting.
const OF_ONE: usize = 4;
/// One that takes longer, because it finds no room or its store is slow, keeps nobody else waiting any more.
const HOLDS: Duration = Duration::from_secs(300);
/// First wait after a proof that says nothing of the snapshot; it doubles up to [`LONGEST`].
const FIRST: SignedDuration = SignedDuration::from_secs(5);
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// Which are under way, by UID of their EtcdBackup: in which namespace, and since when.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<HashMap<String, (String, Instant)>>);

/// What is proven, of which cluster.
pub struct Proof<'a> {
    pub cluster: &'a EtcdCluster,
    /// Which etcd opens it.
    pub wanted: &'a Wanted,
    pub incarnation: &'a Incarnation,
    pub owner: OwnerReference,
    pub what: What<'a>,
}

impl Proofs {
    /// Whether one more may be under way; it is from now on.
    pub fn may_begin(&self, namespace: &str, uid: &str, now: Instant) -> bool {
        let mut all = self.lock();
        let holding = || all.values().filter(|(_, since)| now.duration_since(*since) < HOLDS);
        let of_one = holding().filter(|(other, _)| other == namespace).count();
        let may = all.contains_key(uid) || (holding().count() < AT_ONCE && of_one < OF_ONE);
        if may {
            all.entry(uid.to_owned()).or_insert_with(|| (namespace.to_owned(), now));
        }
        may
    }

    /// It is over.
    pub fn end(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Forgets those whose object is gone.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| is_there(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whose sake a pod reads the volume of this member: it has a name of its own beside those of the others.
#[must_use]
pub fn of_volume(uid: &str, member: &str) -> String {
    let ordinal = member.rsplit_once('-').map_or(member, |(_, ordinal)| ordinal);
    format!("{ordinal}-{uid}")
}

/// What is seen of the pod for an object of this UID.
pub async fn look(api: &ApiServer, namespace: &str, cluster: &str, uid: &str) -> Result<Seen, Failed> {
    let name = names::proof(cluster, uid);
    let pod = api.get::<Pod>(namespace, &name).await?;
    Ok(Seen::of(name, uid, pod.as_ref()))
}

/// Makes the pod. One that is there already is looked at next time.
pub async fn begin(ctx: &Context, proof: Proof<'_>, served: Option<&Served<'_>>) -> Result<(), Failed> {
    let Proof { cluster, wanted, incarnation, owner, what } = proof;
    let desired = Desired::default();
    let plan = Blueprint {
        cluster,
        wanted,
        incarnation,
        agent_image: &ctx.agent_image,
        pod_user: ctx.pod_user,
        server: ServerVersion(ctx.api.minor_version()),
        account: None,
        desired: &desired,
        voters: 0,
        learner: false,
        storage: None,
        authority: None,
    };
    let whose = match what {
        What::Stored { .. } => owner.uid.clone(),
        What::Volume { member, incarnation: _ } => of_volume(&owner.uid, member),
    };
    let name = names::proof(&cluster.name_any(), &whose);
    let proof = proof::Proof { name, owner, whose, what };
    let Some(pod) = proof::pod(&plan, proof, served) else { return Ok(()) };
    match ctx.api.create::<Pod>(&pod).await {
        Ok(_) => info!(namespace = pod.namespace(), pod = pod.name_any(), "another etcd opens a snapshot"),
        Err(Failed { cause: Cause::Exists, .. }) => {}
        Err(failed) => return Err(failed),
    }
    Ok(())
}

/// Takes the pod away.
pub async fn clear(api: &ApiServer, namespace: &str, seen: &Seen) -> Result<(), Failed> {
    if seen.is_there() { gone(api.delete::<Pod>(namespace, &seen.name, &seen.uid).await) } else { Ok(()) }
}

/// How long until a proof that said nothing is tried again.
#[must_use]
pub fn wait(failures: i32, since: Option<Timestamp>, now: Timestamp) -> SignedDuration {
    let doubled = (0..failures.clamp(0, 16)).fold(FIRST, |wait, _| (wait * 2).min(LONGEST));
    since.map_or(SignedDuration::ZERO, |since| (since + doubled).duration_since(now)).max(SignedDuration::ZERO)
}

/// Whose a pod is.
#[must_use]
pub fn owner<K: Resource<DynamicType = ()>>(object: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        controller: Some(true),
        // That would take a right of its own.
        block_owner_deletion: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_says_nothing_is_tried_less_and_less_often() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let waits = [0, 1, 2, 7, 100].map(|failures| wait(failures, Some(now), now).as_secs());
        assert_eq!(waits, [5, 10, 20, 640, 900]);
        assert_eq!(wait(3, Some(now - SignedDuration::from_hours(1)), now), SignedDuration::ZERO);
    }

    #[test]
    fn no_more_than_a_few_are_under_way_and_no_tenant_has_them_all() {
        let (proofs, now) = (Proofs::default(), Instant::now());
        let began = |namespace: &str, now| {
            let uid = |number: u32| format!("{namespace}-{number}-{now:?}");
            (0..20).filter(|number| proofs.may_begin(namespace, &uid(*number), now)).count()
        };
        assert_eq!((began("a", now), began("b", now), began("c", now)), (OF_ONE, AT_ONCE - OF_ONE, 0));
        let one = format!("a-0-{now:?}");
        assert!(proofs.may_begin("a", &one, now), "one that is under way goes on");
        proofs.end(&one);
        assert!(proofs.may_begin("c", "c", now) && !proofs.may_begin("a", &one, now));
        assert_eq!(began("d", now + HOLDS), OF_ONE, "those that find no room keep nobody waiting for ever");
    }
}
