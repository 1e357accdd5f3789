//! Reads that no cache may answer: the ground before founding, and everything before a step that cannot be taken back.

use etcd_operator_shared::{
    api::{EtcdCluster, EtcdMember},
    names, validate,
};
use futures::future::{try_join, try_join_all, try_join3, try_join4};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Event, PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    apiserver::{ApiServer, Cause, Failed},
    cluster::{
        build,
        decide::incarnation::initial_members,
        facts::{
            Claim, ClusterKey, Facts, Member, Of, Source, Stray,
            findings::Said,
            ground::{Class, FoundSet, FoundVolumeClaim, Ground},
            places::{Places, Taken},
            rehearsal::{Answer, Rehearsal},
            shape,
        },
        salvage,
    },
    ownership::{Marks, Owner, stranger},
};

/// What marks the class that claims without a class get.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A cluster's facts, live. The StatefulSet is read first: a write with its resourceVersion then fails if anything that
/// was read after it rests on an older one.
pub async fn live(api: &ApiServer, cluster: &EtcdCluster) -> Result<Facts, Failed> {
    let (name, namespace, owner) = (cluster.name_any(), cluster.namespace().unwrap_or_default(), Owner::of(cluster));
    let set: Option<StatefulSet> = api.get(&namespace, &names::stateful_set(&name)).await?;
    let labels = format!("{}={name}", names::LABEL_CLUSTER);
    let ours = format!("{labels},{}={}", names::LABEL_CLUSTER_UID, owner.life);
    let (members, pods, claims) = try_join3(
        api.list_readable(&namespace, &labels, salvage::without_status),
        api.list::<Pod>(&namespace, &labels),
        api.list::<PersistentVolumeClaim>(&namespace, &ours),
    )
    .await?;
    let now = Timestamp::now();
    let members = members.iter().map(|member| Member::of(member).into());
    let template = set.as_ref().and_then(|set| Some(&set.spec.as_ref()?.template));
    let unmarked = pods.iter().filter(|pod| shape::written(&pod.metadata).is_none());
    let fitting = unmarked.filter(|pod| template.is_some_and(|template| shape::fits(pod, template)));
    let fitting: Vec<String> = fitting.filter_map(ResourceExt::uid).collect();
    let set = set.as_ref().map(|set| Of::set(set).into());
    let pods = pods.iter().map(|pod| Of::pod(pod).into());
    let claims = claims.iter().map(|claim| Claim::whole(claim, &owner.uid, now));
    let facts = Facts::of(&ClusterKey::cluster(cluster), set, members, pods, claims, now).fitted(&fitting);
    let strays = strays(api, cluster, &facts).await?;
    Ok(Facts { source: Source::Live, strays, ..facts })
}

/// The EtcdCluster as it is now. One that is gone or going gets nothing, and neither does one on which another
/// installation acts by now: a watch may be late to tell.
pub async fn cluster(api: &ApiServer, seen: &EtcdCluster) -> Result<EtcdCluster, Failed> {
    let (name, namespace, uid) = identity(seen);
    let failed = |cause| Failed { attempt: format!("find EtcdCluster {name}"), cause };
    let there = api.get::<EtcdCluster>(&namespace, &name).await?;
    let there = there
        .filter(|there| there.uid().as_ref() == Some(&uid) && there.metadata.deletion_timestamp.is_none())
        .ok_or_else(|| failed(Cause::Missing))?;
    let operator = |cluster: &EtcdCluster| cluster.status.as_ref().and_then(|status| status.operator.clone());
    if operator(&there) == operator(seen) { Ok(there) } else { Err(failed(Cause::Conflict)) }
}

/// Pods of these ordinals that are there, and that no selector finds.
async fn strays(api: &ApiServer, cluster: &EtcdCluster, facts: &Facts) -> Result<Vec<Stray>, Failed> {
    let (name, namespace, life) = identity_of_life(cluster);
    let one = async |ordinal| api.get::<Pod>(&namespace, &names::member(&name, ordinal)).await;
    let pods = try_join_all(facts.podless().map(one)).await?;
    Ok(pods.into_iter().flatten().filter_map(|pod| Stray::of(&pod, &life)).collect())
}

/// Whether a pod of the newest template would be taken.
pub async fn rehearsal(api: &ApiServer, cluster: &EtcdCluster) -> Result<Rehearsal, Failed> {
    let (name, namespace, owner) = (cluster.name_any(), cluster.namespace().unwrap_or_default(), Owner::of(cluster));
    let missing = || Failed { attempt: format!("find StatefulSet {name}"), cause: Cause::Missing };
    let set: Option<StatefulSet> = api.get(&namespace, &names::stateful_set(&name)).await?;
    let set = set.filter(|set| owner.owns(set)).ok_or_else(missing)?;
    let pod = build::rehearsal::pod(&set);
    let shape = shape::written(&pod.metadata).unwrap_or_default().to_owned();
    let answer = match api.rehearse(&pod).await {
        Ok(()) => Answer::Taken,
        Err(Failed { cause: Cause::Refused(words), .. }) => Answer::refusal(&words),
        Err(failed) => return Err(failed),
    };
    Ok(Rehearsal { shape, answer })
}

/// What lies where the pods of these ordinals are to be.
pub async fn places(api: &ApiServer, cluster: &EtcdCluster, from: u32, to: u32) -> Result<Places, Failed> {
    let (name, namespace, life) = identity_of_life(cluster);
    let one = async |ordinal: u32| {
        let member = names::member(&name, ordinal);
        let object = api.get_readable::<EtcdMember>(&namespace, &member, salvage::without_status);
        let (claim, object) = try_join(claim(api, &namespace, names::volume_claim(&member)), object).await?;
        let retiring = object.is_some_and(|object| object.spec.cluster_uid == life && object.spec.retiring);
        let taken = match claim {
            Some(claim) if claim.deleting => Some(Taken::Leaving(claim.name)),
            Some(claim) if claim.cluster_uid.as_ref() != Some(&life) => Some(Taken::Foreign(claim.name)),
            Some(_) | None => retiring.then_some(Taken::Retiring(member)),
        };
        Ok(taken.map(|taken| (ordinal, taken)))
    };
    let taken = try_join_all((from..to).map(one)).await?.into_iter().flatten().collect();
    Ok(Places { from, to, taken })
}

/// What the events of one object say.
pub async fn events(api: &ApiServer, namespace: &str, uid: &str) -> Result<Vec<Said>, Failed> {
    let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    let events = Api::<Event>::namespaced(api.client(), namespace);
    let found = api.call(|| format!("list the events of {uid}"), events.list(&about)).await?;
    let said = |event: Event| {
        let time = event.last_timestamp.or(event.metadata.creation_timestamp.clone()).map(|time| time.0);
        let at = event.event_time.map(|time| time.0).max(time).map_or(0, Timestamp::as_second);
        let warns = event.type_.as_deref() == Some("Warning");
        Said { reason: event.reason.unwrap_or_default(), message: event.message.unwrap_or_default(), warns, at }
    };
    Ok(found.items.into_iter().map(said).collect())
}

/// What lies where the cluster is to be. All at once: the user waits.
pub async fn ground(api: &ApiServer, cluster: &EtcdCluster) -> Result<Ground, Failed> {
    let (name, namespace, uid) = identity(cluster);
    let founded = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref());
    let size = validate::cluster(cluster).map_or(0, |wanted| wanted.size);
    let members = match founded {
        Some(founded) => founded.initial_members.clone(),
        // Whatever a former cluster has left.
        None if cluster.spec.storage.adopt => initial_members(&name, names::MAX_MEMBERS),
        None => initial_members(&name, size),
    };
    let claims = members.iter().map(|member| claim(api, &namespace, names::volume_claim(member)));
    let set = async { api.get_metadata::<StatefulSet>(&namespace, &names::stateful_set(&name)).await };
    let class = async {
        match founded {
            // The volumes are there.
            Some(_) => Ok(Class::Found),
            None => class(api, cluster.spec.storage.storage_class_name.as_deref()).await,
        }
    };
    let there = async { api.get_metadata::<EtcdCluster>(&namespace, &name).await };
    let (class, set, there, claims) = try_join4(class, set, there, try_join_all(claims)).await?;
    if there.is_none_or(|c| c.metadata.uid.as_ref() != Some(&uid) || c.metadata.deletion_timestamp.is_some()) {
        // Nothing is made for a cluster that is gone: a watch may be late to tell.
        return Err(Failed { attempt: format!("found EtcdCluster {name}"), cause: Cause::Missing });
    }
    let owner = Owner::of(cluster);
    let set = set.map(|set| match (owner.owns(&set), stranger("StatefulSet", &name, &set), Marks::of(&set).orphan()) {
        (true, ..) => FoundSet::Ours,
        (false, set, Some(uid)) => FoundSet::Orphan { uid, set },
        (false, set, None) => FoundSet::Foreign(set),
    });
    Ok(Ground { class, claims: claims.into_iter().flatten().collect(), set })
}

async fn claim(api: &ApiServer, namespace: &str, name: String) -> Result<Option<FoundVolumeClaim>, Failed> {
    let found = api.get_metadata::<PersistentVolumeClaim>(namespace, &name).await?;
    Ok(found.map(|claim| FoundVolumeClaim {
        name,
        cluster: claim.labels().get(names::LABEL_CLUSTER).cloned(),
        note: claim.annotations().get(names::ANNOTATION_INCARNATION).cloned(),
        cluster_uid: claim.labels().get(names::LABEL_CLUSTER_UID).cloned(),
        deleting: claim.metadata.deletion_timestamp.is_some(),
    }))
}

/// StorageClasses belong to no namespace: a coordinator with rights in one only may not look at them.
async fn class(api: &ApiServer, name: Option<&str>) -> Result<Class, Failed> {
    let classes = Api::<StorageClass>::all(api.client());
    let looked = match name {
        // Volumes of no class are made by hand.
        Some("") => return Ok(Class::Found),
        Some(name) => {
            let found = api.call(|| format!("read StorageClass {name}"), classes.get_metadata_opt(name)).await;
            found.map(|found| found.is_some())
        }
        None => {
            let found = api.call(|| "list StorageClasses".into(), classes.list_metadata(&ListParams::default())).await;
            let default = |c: &kube::core::PartialObjectMeta<StorageClass>| {
                c.annotations().get(DEFAULT_CLASS).is_some_and(|v| v == "true")
            };
            found.map(|found| found.items.iter().any(default))
        }
    };
    match looked {
        Ok(true) => Ok(Class::Found),
        Ok(false) => Ok(Class::Missing(name.map(str::to_owned))),
        Err(Failed { cause: Cause::Refused(_), .. }) => Ok(Class::Unknown),
        Err(failed) => Err(failed),
    }
}

fn identity_of_life(cluster: &EtcdCluster) -> (String, String, String) {
    (cluster.name_any(), cluster.namespace().unwrap_or_default(), Owner::of(cluster).life)
}

fn identity(cluster: &EtcdCluster) -> (String, String, String) {
    (cluster.name_any(), cluster.namespace().unwrap_or_default(), cluster.uid().unwrap_or_default())
}
