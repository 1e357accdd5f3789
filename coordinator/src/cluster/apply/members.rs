//! EtcdMembers: made, told what is wanted, and cleared away when their members have left.

use std::collections::BTreeSet;

use etcd_operator_shared::api::EtcdMember;
use futures::future::join_all;
use kube::{Resource, ResourceExt};
use serde_json::json;
use tracing::info;

use super::{
    certificates::{Answered, answer},
    stateful_set::unless_told,
    volumes,
};
use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::{
        build::{Blueprint, member},
        context::Context,
        decide::{
            Care,
            cleanup::{Departed, Why},
            membership::Proof,
            volumes::Fate,
        },
        facts::{Facts, Member},
        salvage,
    },
    ownership::stranger,
};

/// Brings the EtcdMembers up to date: missing ones are made, and each gets the difference only. Those that are cleared
/// away in the same turn are left alone; all others are told, with or without a pod: the longest list of addresses is
/// the one known.
pub async fn all(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, care: &Care) -> Vec<Failed> {
    let there = facts.slots.iter().filter(|(_, slot)| slot.member.is_some()).map(|(ordinal, _)| *ordinal);
    let mut all: BTreeSet<u32> = there.chain(0..care.members).collect();
    all.retain(|ordinal| care.departed.iter().all(|departed| departed.ordinal != *ordinal));
    let (answers, mut failed) = answer(ctx, plan, facts, care).await;
    let one = async |ordinal: u32| {
        let member = match facts.slot(ordinal).member {
            Some(member) => member,
            // One that is there, and that no watch shows: it has lost its label.
            None => make(ctx, plan, ordinal).await?.into(),
        };
        tell(ctx, plan, &member, answers.get(&ordinal)).await
    };
    failed.extend(join_all(all.into_iter().map(one)).await.into_iter().filter_map(Result::err));
    failed
}

/// Tells one member what is wanted, if nobody else has told it anything since it was read.
async fn tell(ctx: &Context, plan: &Blueprint<'_>, member: &Member, answer: Option<&Answered>) -> Result<(), Failed> {
    let mut patch = member::update(plan, member).unwrap_or_else(|| json!({}));
    if let Some(Answered { uid, certificates }) = answer {
        // The request of another EtcdMember of this name is none of its own.
        patch["metadata"]["uid"] = json!(uid);
        patch["spec"]["certificates"] = certificates.clone();
    }
    if patch == json!({}) {
        return Ok(());
    }
    let (namespace, Member { name, version: read, .. }) = (plan.cluster.namespace().unwrap_or_default(), member);
    while let Err(failed) = ctx.api.merge::<EtcdMember>(&namespace, name, &patch).await {
        let since = unless_told::<EtcdMember>(ctx, &namespace, name, read, failed).await?;
        patch["metadata"]["resourceVersion"] = json!(since);
    }
    Ok(())
}

/// Makes one EtcdMember. One that exists is fine if it is this incarnation's; one of an earlier incarnation makes room.
pub async fn make(ctx: &Context, plan: &Blueprint<'_>, ordinal: u32) -> Result<Member, Failed> {
    let member = member::member(plan, ordinal);
    let (name, namespace) = (member.name_any(), member.namespace().unwrap_or_default());
    let failed = match create(ctx, &member).await {
        Err(failed @ Failed { cause: Cause::Exists, .. }) => failed,
        made => return made,
    };
    let there = ctx.api.get_readable::<EtcdMember>(&namespace, &name, salvage::without_status).await?;
    let Some(there) = there else { return Err(failed) };
    if there.spec.cluster_uid != plan.life() {
        let cause = Cause::Foreign(stranger(&EtcdMember::kind(&()), &plan.name(), &there));
        return Err(Failed { cause, ..failed });
    }
    match there.spec.incarnation {
        number if number == plan.incarnation.number => Ok(Member::of(&there)),
        number if number < plan.incarnation.number => {
            ctx.api.delete::<EtcdMember>(&namespace, &name, &there.uid().unwrap_or_default()).await?;
            create(ctx, &member).await
        }
        _ => Err(failed),
    }
}

async fn create(ctx: &Context, member: &EtcdMember) -> Result<Member, Failed> {
    let made = ctx.api.create(member).await?;
    info!(namespace = made.namespace(), name = made.name_any(), initial = made.spec.initial, "EtcdMember created");
    Ok(Member::of(&made))
}

/// Clears away what members that are gone have left: marks the EtcdMember, then the volume goes, then the EtcdMember.
pub async fn clear_away(ctx: &Context, plan: &Blueprint<'_>, departed: &[Departed]) -> Vec<Failed> {
    let all = join_all(departed.iter().map(|one| clear_one_away(ctx, plan, one))).await;
    all.into_iter().filter_map(Result::err).collect()
}

async fn clear_one_away(ctx: &Context, plan: &Blueprint<'_>, departed: &Departed) -> Result<(), Failed> {
    let Departed { ordinal: _, name, uid, version, why, volume } = departed;
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let retire = json!({"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"retiring": true}});
    let retiring = match ctx.api.merge::<EtcdMember>(&namespace, name, &retire).await {
        // Somebody else has finished it.
        Err(Failed { cause: Cause::Missing, .. }) => return Ok(()),
        retiring => retiring?,
    };
    match why {
        Why::Gone(Proof::Absent) => ctx.events.note(plan.cluster, Note::removed(name)),
        Why::Gone(Proof::Left) | Why::Stopped => {}
    }
    match volume {
        Fate::Gone => {}
        Fate::Kept(claim) => ctx.events.note(plan.cluster, Note::volume_kept(claim)),
        Fate::Deleted(change) => volumes::change(ctx, plan, change).await?,
    }
    let version = retiring.resource_version();
    match ctx.api.delete_unchanged::<EtcdMember>(&namespace, name, uid, version).await {
        Ok(()) | Err(Failed { cause: Cause::Missing, .. }) => {}
        failed => return failed,
    }
    info!(%namespace, member = name, "EtcdMember deleted: its member has left");
    Ok(())
}
