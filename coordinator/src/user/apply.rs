//! Issues a certificate into a Secret that nobody here may read, and revokes it.
//!
//! ```text
//!   finalizer ──▶ serial number into the status ──▶ signed
//!   PUT, with our own type ─┬─ 200: it was ours, or is by now
//!                           ├─ 404 ──▶ POST ── 409: another turn
//!                           └─ 422: a Secret never changes its type, so it is somebody else's: left alone
//! ```
//! A crash anywhere costs one more certificate, and no application anything: what it has read stays valid. What was
//! signed can be revoked, whatever crashed: its number was written down before, and stands there until it has ended or
//! is on the list. The list stands beside the authority (`authorities`), where it outlives the EtcdUser and the
//! EtcdCluster.

use etcd_operator_shared::{
    api::{EtcdUser, user::IssuedCertificate},
    names,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;

use super::{
    build::{Contents, secret},
    context::Context,
    decide::{Objection, Order, account},
};
use crate::{
    apiserver::{Cause, Failed},
    cluster::apply::certificates::whole,
    pki::{Leaf, PkiError, PrivateKey, Revoked, Serial, Side, Usage},
};

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    pub serial: String,
    pub not_after: Timestamp,
    /// Number of the authorities that have signed.
    pub generation: i64,
    /// The user as it was written last.
    pub user: EtcdUser,
}

/// Why nothing was issued.
#[derive(Debug)]
pub enum Unissued {
    /// Until a person has changed something.
    Objection(Objection),
    /// The same may go well a moment later.
    Failed(Failed),
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
        error @ (PkiError::Broken(_) | PkiError::NoAuthority | PkiError::NotItsKey | PkiError::Full { .. }) => {
            let attempt = format!("sign a certificate for EtcdUser {}", user.name_any());
            Unissued::Failed(Failed { attempt, cause: Cause::Unavailable(error.to_string()) })
        }
    };
    let (key, name) = (PrivateKey::make().map_err(unable)?, user.name_any());
    let leaf = Leaf { common: &name, names: &[], usage: Usage::Client };
    let end = now.checked_add(order.cluster.leaf).unwrap_or(Timestamp::MAX).min(pair.client.end());
    let (serial, user) = write_down(ctx, user, order, end, now).await.map_err(Unissued::Failed)?;
    let number = serial.parse().map_err(unable)?;
    let signed = pair.sign_as(Side::Client, number, leaf, &key.public(), order.cluster.leaf, now).map_err(unable)?;
    let authority = pair.shown();
    let contents = Contents { authority, chain: signed.chain, key: key.pem() };
    put(ctx, &secret(&user, &order.secret, contents)).await.map_err(|failed| sort(&order.secret, failed))?;
    Ok(Issued { serial, not_after: signed.not_after, generation: pair.history.generation, user })
}

/// Writes down which number the next certificate has, where that is not there yet, and that the user does not go before
/// it is revoked. Both only if nobody has written since it was read: what is written down must not be lost.
async fn write_down(
    ctx: &Context,
    user: &EtcdUser,
    order: &Order,
    end: Timestamp,
    now: Timestamp,
) -> Result<(String, EtcdUser), Failed> {
    let (namespace, name) = (user.namespace().unwrap_or_default(), user.name_any());
    let (serial, all) = account(user, order, &Serial::draw().to_string(), end, now);
    let mut user = user.clone();
    if !holds(&user) {
        let finalizers: Vec<&str> =
            user.finalizers().iter().map(String::as_str).chain([names::FINALIZER_REVOKE]).collect();
        let patch = json!({"metadata": {"resourceVersion": user.resource_version(), "finalizers": finalizers}});
        user.metadata = ctx.clusters.api.merge::<EtcdUser>(&namespace, &name, &patch).await?.metadata;
    }
    if let Some(all) = all {
        let version = json!({"resourceVersion": user.resource_version()});
        let patch = json!({"metadata": version, "status": {"certificates": all}});
        user = ctx.clusters.api.merge_status::<EtcdUser>(&namespace, &name, &patch).await?;
    }
    Ok((serial, user))
}

/// Whether a user waits for what is revoked before it goes.
#[must_use]
pub fn holds(user: &EtcdUser) -> bool {
    user.finalizers().iter().any(|one| one == names::FINALIZER_REVOKE)
}

/// Revokes certificates of one user for good. Gives which list has them, where they are of this life's authority. Of
/// authorities that are gone nothing is believed any more; `present` is the life whose members still do.
pub async fn revoke(
    ctx: &Context,
    user: &EtcdUser,
    present: Option<&str>,
    all: &[IssuedCertificate],
    now: Timestamp,
) -> Result<Option<i64>, Unissued> {
    let mut number = None;
    if let Some(life) = present.filter(|_| !all.is_empty()) {
        catch_up(ctx, user, life).await.map_err(Unissued::Failed)?;
    }
    let mut lives: Vec<&str> = all.iter().map(|one| one.authority.as_str()).collect();
    lives.sort_unstable();
    lives.dedup();
    for life in lives {
        let news: Vec<Revoked> =
            all.iter().filter(|one| one.authority == life).filter_map(|one| revoked(one, now)).collect();
        let written = ctx.clusters.authorities.revoke(&ctx.clusters.api, life, &news).await;
        let pair = written.map_err(|failed| match &failed.cause {
            Cause::Refused(words) => Unissued::Objection(Objection::NotRevoked(words.clone())),
            Cause::Conflict
            | Cause::Exists
            | Cause::Foreign(_)
            | Cause::Missing
            | Cause::Timeout
            | Cause::Unavailable(_)
            | Cause::Unreadable(_)
            | Cause::Dropped
            | Cause::Broken(_) => Unissued::Failed(failed),
        })?;
        match pair {
            // Of one that is over nothing is believed, and no list is signed.
            Some(pair) if Some(life) == present && pair.client.end() > now => number = Some(pair.revoked.number),
            Some(_) => {}
            None if Some(life) == present => {
                return Err(Unissued::Objection(Objection::AuthorityLost(names::authorities(life))));
            }
            None => {}
        }
    }
    Ok(number)
}

/// The list is to be later than what members were told, or they would not take it.
async fn catch_up(ctx: &Context, user: &EtcdUser, life: &str) -> Result<(), Failed> {
    let (clusters, namespace) = (&ctx.clusters, user.namespace().unwrap_or_default());
    let Some(cluster) = clusters.caches.clusters.get(&namespace, &user.spec.cluster) else { return Ok(()) };
    whole(clusters, life, &namespace, &clusters.caches.facts(&cluster)).await.map(drop)
}

/// One whose number is none was not signed here.
fn revoked(one: &IssuedCertificate, now: Timestamp) -> Option<Revoked> {
    let until = one.not_after.parse().unwrap_or(Timestamp::MAX);
    Some(Revoked { serial: one.serial.parse().ok()?, since: now, until })
}

/// Lets a user go whose certificates are revoked.
pub async fn let_go(ctx: &Context, user: &EtcdUser) -> Result<(), Failed> {
    let (namespace, name) = (user.namespace().unwrap_or_default(), user.name_any());
    let finalizers: Vec<&String> = user.finalizers().iter().filter(|one| *one != names::FINALIZER_REVOKE).collect();
    let metadata = json!({"uid": user.uid(), "resourceVersion": user.resource_version(), "finalizers": finalizers});
    match ctx.clusters.api.merge::<EtcdUser>(&namespace, &name, &json!({ "metadata": metadata })).await {
        Ok(_) | Err(Failed { cause: Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
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
