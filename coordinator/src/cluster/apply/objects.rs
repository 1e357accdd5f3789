//! Everything but members and StatefulSet.

use kube::ResourceExt;

use crate::{
    apiserver::{
        Failed, Kind,
        applied::{Key, fingerprint},
    },
    cluster::{
        build::{Blueprint, Objects},
        context::Context,
    },
};

/// Applies everything but members and StatefulSet, all at once. One that fails does not keep the others from being
/// applied. Gives what failed: first what a pod needs, then what only people and applications do.
pub async fn objects(ctx: &Context, plan: &Blueprint<'_>) -> (Vec<Failed>, Vec<Failed>) {
    let Objects { peer_service, client_service, config_map, budget, account, role, binding } = plan.objects();
    // One who binds a role must hold all that it grants, so it must be there to be looked at.
    let rights = async {
        put(ctx, &role).await?;
        put(ctx, &binding).await
    };
    let (peers, clients, options, drains, account, rights) = futures::join!(
        put(ctx, &peer_service),
        put(ctx, &client_service),
        put(ctx, &config_map),
        put(ctx, &budget),
        put(ctx, &account),
        rights,
    );
    let failed = |all: [Result<(), Failed>; 3]| all.into_iter().filter_map(Result::err).collect();
    (failed([account, rights, peers]), failed([clients, options, drains]))
}

/// Applies one object, unless the very same was applied before and nobody has touched it since.
async fn put<K: Kind>(ctx: &Context, object: &K) -> Result<(), Failed> {
    let (key, print) = (Key::of(object), fingerprint(object));
    if ctx.applied.holds(&key, print) {
        return Ok(());
    }
    let after = ctx.api.apply::<K, K>(&object.namespace().unwrap_or_default(), &object.name_any(), object).await?;
    ctx.applied.note(key, print, &after);
    Ok(())
}
