//! Everything but members and StatefulSet.
//!
//! ```text
//!   not heard of ──▶ create ──exists──▶ read: ours? ──no──▶ left alone, and told
//!   ours         ──▶ apply, with its UID                ──▶ another one, or gone: forgotten, and asked again
//! ```
//! An apply that carries a UID never creates, and never hits a successor that somebody else made.

use kube::{ResourceExt, core::PartialObjectMeta};
use serde_json::json;

use crate::{
    apiserver::{
        Cause, Failed, Kind,
        applied::{There, Wanted},
    },
    cluster::{
        build::{Blueprint, Objects},
        context::Context,
    },
    ownership::stranger,
};

/// Applies everything but members and StatefulSet, all at once. One that fails does not keep the others from being
/// applied. Gives what failed: first what a pod needs, then what only people and applications do.
pub async fn objects(ctx: &Context, plan: &Blueprint<'_>) -> (Vec<Failed>, Vec<Failed>) {
    let Objects { peer_service, client_service, config_map, authority, budget, account, role, binding } =
        plan.objects();
    // One who binds a role must hold all that it grants, so it must be there to be looked at.
    let rights = async {
        put(ctx, plan, &role).await?;
        put(ctx, plan, &binding).await
    };
    let trust = async {
        match &authority {
            Some(authority) => put(ctx, plan, authority).await,
            None => Ok(()),
        }
    };
    let (peers, clients, options, trust, drains, account, rights) = futures::join!(
        put(ctx, plan, &peer_service),
        put(ctx, plan, &client_service),
        put(ctx, plan, &config_map),
        trust,
        put(ctx, plan, &budget),
        put(ctx, plan, &account),
        rights,
    );
    let failed = |all: Vec<Result<(), Failed>>| all.into_iter().filter_map(Result::err).collect();
    (failed(vec![account, rights, peers]), failed(vec![clients, options, trust, drains]))
}

/// Brings one object about, unless the very same was before and nobody has touched it since.
async fn put<K: Kind>(ctx: &Context, plan: &Blueprint<'_>, object: &K) -> Result<(), Failed> {
    let (wanted, ours) = (Wanted::of(object.clone()), plan.owner());
    if ctx.applied.holds(&wanted) {
        return Ok(());
    }
    let there = match ctx.applied.there(&wanted.key) {
        Some(there) if there.marks.are_of(&ours) => there,
        Some(_) => ours_or_foreign(ctx, plan, object).await?,
        None => match ctx.api.create(&wanted.object).await {
            Ok(made) => {
                ctx.applied.note(wanted, &made);
                return Ok(());
            }
            Err(Failed { cause: Cause::Exists, .. }) => ours_or_foreign(ctx, plan, object).await?,
            Err(failed) => return Err(failed),
        },
    };
    match apply(ctx, &wanted.object, &there).await {
        Ok(after) => ctx.applied.note(wanted, &after),
        Err(failed) => {
            if matches!(failed.cause, Cause::Conflict | Cause::Missing) {
                ctx.applied.forget(&wanted.key);
            }
            return Err(failed);
        }
    }
    Ok(())
}

/// Looks with the API server's own eyes at what has our name.
async fn ours_or_foreign<K: Kind>(ctx: &Context, plan: &Blueprint<'_>, object: &K) -> Result<There, Failed> {
    let (kind, name) = (K::kind(&()), object.name_any());
    let attempt = || format!("apply {kind} {name}");
    let found = ctx.api.get_metadata::<K>(&object.namespace().unwrap_or_default(), &name).await?;
    // Gone again: the next turn creates it.
    let found = found.ok_or_else(|| Failed { attempt: attempt(), cause: Cause::Conflict })?;
    let there = There::of(&found);
    if there.marks.are_of(&plan.owner()) {
        return Ok(there);
    }
    let cause = Cause::Foreign(stranger(&kind, &plan.name(), &found));
    Err(Failed { attempt: attempt(), cause })
}

/// Applies over our own object.
async fn apply<K: Kind>(ctx: &Context, object: &K, there: &There) -> Result<PartialObjectMeta<K>, Failed> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if there.as_created {
        take_over(ctx, object).await?;
    }
    let mut sent = object.clone();
    sent.meta_mut().uid = Some(there.uid.to_string());
    ctx.api.apply::<K, K>(&namespace, &name, &sent).await
}

/// Makes the fields that a create has set fields of our applies. Else one that is not wanted any more would stay:
/// created fields are owned by the write that created them, whatever is applied later. client-go's `csaupgrade` does the
/// same.
async fn take_over<K: Kind>(ctx: &Context, object: &K) -> Result<(), Failed> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let Some(found) = ctx.api.get_metadata::<K>(&namespace, &name).await? else { return Ok(()) };
    let mut fields = found.managed_fields().to_vec();
    let manager = Some(etcd_operator_shared::names::MANAGER_COORDINATOR);
    let created = fields.iter_mut().filter(|one| one.manager.as_deref() == manager && one.subresource.is_none());
    created.for_each(|one| one.operation = Some("Apply".into()));
    let patch = json!({"metadata": {"resourceVersion": found.resource_version(), "managedFields": fields}});
    ctx.api.merge::<K>(&namespace, &name, &patch).await.map(|_| ())
}
