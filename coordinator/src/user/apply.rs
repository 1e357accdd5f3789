//! Issues a certificate into a Secret that nobody here may read.
//!
//! ```text
//!   PUT, with our own type ─┬─ 200: it was ours, or is by now
//!                           ├─ 404 ──▶ POST ── 409: another turn
//!                           └─ 422: a Secret never changes its type, so it is somebody else's: left alone
//! ```
//! A crash anywhere costs one more certificate, and no application anything: what it has read stays valid.

use etcd_operator_shared::{api::EtcdUser, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::{
    build::{Contents, secret},
    context::Context,
    decide::{Objection, Order},
};
use crate::{
    apiserver::{Cause, Failed},
    pki::{Leaf, PkiError, PrivateKey, Side, Usage},
};

/// Why nothing was issued.
#[derive(Debug)]
pub enum Unissued {
    /// Until a person has changed something.
    Objection(Objection),
    /// The same may go well a moment later.
    Failed(Failed),
}

/// What was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    pub not_after: Timestamp,
    /// Number of the authorities that have signed.
    pub generation: i64,
}

/// Issues one.
pub async fn issue(ctx: &Context, user: &EtcdUser, order: &Order) -> Result<Issued, Unissued> {
    let (api, now) = (&ctx.clusters.api, Timestamp::now());
    let life = &order.cluster.life;
    let lost = || Unissued::Objection(Objection::AuthorityLost(names::authorities(life)));
    let pair = ctx.clusters.authorities.of(api, life).await.map_err(Unissued::Failed)?.ok_or_else(lost)?;
    if pair.history.generation < order.cluster.signing.0 {
        // They were changed by another coordinator, and are read again soon.
        let attempt = format!("sign a certificate for EtcdUser {}", user.name_any());
        let cause = Cause::Unavailable("the authorities have just been changed".to_owned());
        return Err(Unissued::Failed(Failed { attempt, cause }));
    }
    let unable = |error: PkiError| match error {
        PkiError::Over(_) => Unissued::Objection(Objection::AuthorityExpired),
        error @ (PkiError::Broken(_) | PkiError::NoAuthority | PkiError::NotItsKey) => {
            let attempt = format!("sign a certificate for EtcdUser {}", user.name_any());
            Unissued::Failed(Failed { attempt, cause: Cause::Unavailable(error.to_string()) })
        }
    };
    let (key, name) = (PrivateKey::make().map_err(unable)?, user.name_any());
    let leaf = Leaf { common: &name, names: &[], usage: Usage::Client };
    let signed = pair.sign(Side::Client, leaf, &key.public(), order.cluster.leaf, now).map_err(unable)?;
    let authority = pair.shown();
    let contents = Contents { authority, chain: signed.chain, key: key.pem() };
    put(ctx, &secret(user, &order.secret, contents)).await.map_err(|failed| sort(&order.secret, failed))?;
    Ok(Issued { not_after: signed.not_after, generation: pair.history.generation })
}

async fn put(ctx: &Context, secret: &Secret) -> Result<(), Failed> {
    let api = &ctx.clusters.api;
    match api.replace(secret).await {
        Err(Failed { cause: Cause::Missing, .. }) => api.create(secret).await.map(drop),
        written => written.map(drop),
    }
}

/// Whether a Secret is there that we may write; asked without writing.
pub async fn is_there(ctx: &Context, user: &EtcdUser, name: &str) -> Result<bool, Unissued> {
    let empty = Contents { authority: String::new(), chain: String::new(), key: String::new() };
    match ctx.clusters.api.rehearse_replace(&secret(user, name, empty)).await {
        Ok(()) => Ok(true),
        Err(Failed { cause: Cause::Missing, .. }) => Ok(false),
        Err(failed) => Err(sort(name, failed)),
    }
}

fn sort(secret: &str, failed: Failed) -> Unissued {
    match &failed.cause {
        Cause::Refused(words) => Unissued::Objection(Objection::of_refusal(secret, words)),
        Cause::Conflict
        | Cause::Exists
        | Cause::Foreign(_)
        | Cause::Missing
        | Cause::Timeout
        | Cause::Unavailable(_)
        | Cause::Unreadable(_)
        | Cause::Dropped
        | Cause::Broken(_) => Unissued::Failed(failed),
    }
}
