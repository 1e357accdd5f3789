//! Looks at a cluster's authorities, where something rests on them: a member waits for certificates, what applications are to
//! believe is not shown, or their Secret was not there when all were looked at.

use etcd_operator_shared::validate;
use jiff::Timestamp;

use crate::{
    apiserver::{Failed, applied::Wanted},
    cluster::{
        build,
        context::Context,
        decide::certificates,
        facts::certificates::{Held, Known},
        outcome::Seen,
    },
    ownership::Owner,
};

/// Notes what is known of the authorities. Where they cannot be looked at, all else of the cluster goes on.
pub async fn look(ctx: &Context, seen: &mut Seen) -> Result<(), Failed> {
    if !is_due(ctx, seen) {
        return Ok(());
    }
    let known = ctx.authorities.of(&ctx.api, &Owner::of(&seen.cluster).life).await?;
    let held = |pair| Known::Held(Held::of(pair, Timestamp::now()));
    seen.facts.authorities = Some(known.as_deref().map_or(Known::Missing, held));
    Ok(())
}

fn is_due(ctx: &Context, Seen { cluster, facts }: &Seen) -> bool {
    let Some(present) = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref()) else { return false };
    if present.encrypted.is_off() || !present.members_created || present.ended.is_some() {
        return false;
    }
    let shown = || ctx.applied.holds_such(&Wanted::of(build::authority::config_map(cluster, "")));
    let asks = || {
        let encryption = validate::encryption(cluster.spec.security.as_ref());
        encryption.is_ok_and(|encryption| certificates::asks(cluster, &encryption, present, facts))
    };
    ctx.authorities.is_missed(&Owner::of(cluster).life) || (present.encrypted.client && !shown()) || asks()
}
