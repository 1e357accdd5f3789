//! Looks at a cluster's authorities, where something rests on them: a member waits for certificates, what applications are to
//! believe is not shown, their Secret was not there when all were looked at, or a change of them is wanted or under way.

use etcd_operator_shared::{
    api::{EtcdUser, cluster::Incarnation},
    validate::{self, Encryption},
};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    apiserver::{Cause, Failed, applied::Wanted},
    cluster::{
        build,
        context::Context,
        decide::{certificates, rotation},
        facts::{
            Facts,
            certificates::{Held, Known, User},
        },
        incarnation::whose,
        outcome::Seen,
    },
    ownership::Owner,
    pki::{Act, Move},
};

/// Notes what is known of the authorities. Where they cannot be looked at, all else of the cluster goes on.
pub async fn look(ctx: &Context, seen: &mut Seen) -> Result<(), Failed> {
    let Some((present, encryption)) = encrypted(seen) else { return Ok(()) };
    if !is_due(ctx, seen, &present, &encryption) {
        return Ok(());
    }
    let known = ctx.authorities.of(&ctx.api, &Owner::of(&seen.cluster).life).await?;
    let held = |pair| Known::Held(Box::new(Held::of(pair, Timestamp::now())));
    seen.facts.authorities = Some(known.as_deref().map_or(Known::Missing, held));
    let with_nobody = Facts { certified: Some(vec![]), ..seen.facts.clone() };
    let then = rotation::next(&seen.cluster, &encryption, &present, &with_nobody);
    if then.again.is_some() || then.act.is_some_and(|act| act.step == Move::Retire) {
        // It is up to them.
        seen.facts.certified = Some(users(ctx, seen).await?);
    }
    Ok(())
}

/// Takes a change of them one step further.
pub async fn change(ctx: &Context, seen: &Seen, act: Act, encryption: &Encryption) -> Result<Seen, Failed> {
    let taken = ctx.authorities.take(&ctx.api, &whose(&seen.cluster), act, encryption.authority).await?;
    let held = |pair| Known::Held(Box::new(Held::of(pair, Timestamp::now())));
    let authorities = Some(taken.as_deref().map_or(Known::Missing, held));
    Ok(Seen { cluster: seen.cluster.clone(), facts: Facts { authorities, ..seen.facts.clone() } })
}

/// The life of its data and what the spec says, where its traffic is encrypted.
fn encrypted(Seen { cluster, facts: _ }: &Seen) -> Option<(Incarnation, Encryption)> {
    let present = cluster.status.as_ref()?.incarnation.clone()?;
    let begun = !present.encrypted.is_off() && present.members_created && present.ended.is_none();
    let encryption = validate::encryption(cluster.spec.security.as_ref()).ok()?;
    begun.then_some((present, encryption))
}

fn is_due(ctx: &Context, Seen { cluster, facts }: &Seen, present: &Incarnation, encryption: &Encryption) -> bool {
    let shown = || ctx.applied.holds_such(&Wanted::of(build::authority::config_map(cluster, "")));
    ctx.authorities.is_missed(&Owner::of(cluster).life)
        || (present.encrypted.client && !shown())
        || rotation::looks(cluster, encryption, Timestamp::now())
        || certificates::asks(cluster, encryption, present, facts)
}

/// The cluster's EtcdUsers that have a certificate. A server without this kind has none.
async fn users(ctx: &Context, Seen { cluster, facts: _ }: &Seen) -> Result<Vec<User>, Failed> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let all = match ctx.api.list::<EtcdUser>(&namespace, "").await {
        Err(Failed { cause: Cause::Missing, .. }) => vec![],
        all => all?,
    };
    Ok(all.iter().filter_map(|user| User::of(user, &name, Timestamp::now())).collect())
}
