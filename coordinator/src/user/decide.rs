//! What is done for a user, decided: who gets no certificate and why, and when the next one is due.
//!
//! ```text
//!   a name that may not be, no cluster, a plain one, a Secret of somebody else's ──▶ Refused: nothing is written
//!   nothing was issued, or for something else, or its time is up                ──▶ Issue
//!   it was issued anew on request, or for another authority                     ──▶ Revoke what was before
//!   else                                                                        ──▶ Rests, until it is
//!
//!   it is on its way out ──▶ all that may be out is revoked, the members are told, and it may go
//! ```

use std::time::Duration;

use etcd_operator_shared::{
    api::{EtcdUser, user::IssuedCertificate},
    names,
    validate::{self, UserError},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use thiserror::Error;

use super::facts::{Cluster, Facts};

/// A certificate is renewed after this part of its time.
const RENEWED: (i32, i32) = (2, 3);
/// Not more often, however little time an authority has left.
const LEAST: SignedDuration = SignedDuration::from_secs(2);

/// As many certificates of one user may be valid before another is issued that revokes none; the schema takes twice as
/// many.
const MANY: usize = 32;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Refused(Objection),
    Issue(Order),
    /// These are not to be let in any more.
    Revoke(Order, Vec<IssuedCertificate>),
    /// Nothing, for so long: this was issued.
    Rests(Order, Duration),
}

/// A certificate to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub cluster: Cluster,
    /// Name of the Secret.
    pub secret: String,
    /// Fingerprint of what it is issued for.
    pub print: String,
}

/// Why there is no certificate.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Objection {
    #[error("{0}")]
    Invalid(#[from] UserError),
    #[error("there is no EtcdCluster {0} in this namespace")]
    NoSuchCluster(String),
    #[error("EtcdCluster {0} has not begun yet")]
    NotBegun(String),
    #[error(
        "traffic of EtcdCluster {0} with its clients is plain, so that no certificate is of use: who reaches its port may do \
         everything"
    )]
    Plain(String),
    #[error("Secret {secret} is that of EtcdUser {by}: name another in spec.secretName")]
    SecretTaken { secret: String, by: String },
    #[error(
        "Secret {0} with the keys of the cluster's certificate authorities is gone: see the EtcdCluster's condition Stalled"
    )]
    AuthorityLost(String),
    #[error("the cluster's certificate authority is not valid any more: see the EtcdCluster's condition Stalled")]
    AuthorityExpired,
    #[error(
        "Secret {secret} exists, was not made for an EtcdUser and is left alone: name another in spec.secretName, or remove it if \
         nobody needs it ({words})"
    )]
    Foreign { secret: String, words: String },
    #[error(
        "the operator may not write Secrets here: bind its ClusterRole etcd-coordinator-users in this namespace, or in all ({0})"
    )]
    NotPermitted(String),
    #[error("the API server refuses Secret {secret}: {words}")]
    Refused { secret: String, words: String },
    #[error(
        "{MANY} of its certificates have not ended, as many as are kept account of: raise spec.reissue, which revokes them"
    )]
    TooMany,
    #[error("its certificates cannot be revoked: {0}")]
    NotRevoked(String),
}

impl Objection {
    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(UserError::Root | UserError::LongName) => "InvalidName",
            Self::Invalid(UserError::Permission | UserError::Role(_)) => "InvalidPermission",
            Self::NoSuchCluster(_) => "NoSuchCluster",
            Self::NotBegun(_) => "ClusterNotBegun",
            Self::Plain(_) => "PlainTraffic",
            Self::SecretTaken { .. } => "SecretTaken",
            Self::AuthorityLost(_) => "AuthorityLost",
            Self::AuthorityExpired => "AuthorityExpired",
            Self::Foreign { .. } => "ForeignSecret",
            Self::NotPermitted(_) => "NotPermitted",
            Self::Refused { .. } => "Refused",
            Self::TooMany => "TooManyCertificates",
            Self::NotRevoked(_) => "NotRevoked",
        }
    }

    /// Whether it lasts until a person acts.
    #[must_use]
    pub fn stalls(&self) -> bool {
        match self {
            Self::NotBegun(_) => false,
            Self::Invalid(_)
            | Self::NoSuchCluster(_)
            | Self::Plain(_)
            | Self::SecretTaken { .. }
            | Self::AuthorityLost(_)
            | Self::AuthorityExpired
            | Self::Foreign { .. }
            | Self::NotPermitted(_)
            | Self::Refused { .. }
            | Self::TooMany
            | Self::NotRevoked(_) => true,
        }
    }

    /// What the API server means by refusing to write a Secret. The words of a refusal for want of rights are those of its
    /// authorizer; a Secret of another type refuses ours.
    #[must_use]
    pub fn of_refusal(secret: &str, words: &str) -> Self {
        let (secret, words) = (secret.to_owned(), words.to_owned());
        if words.contains("forbidden") && words.contains(" cannot ") {
            Self::NotPermitted(words)
        } else if words.contains("immutable") {
            Self::Foreign { secret, words }
        } else {
            Self::Refused { secret, words }
        }
    }
}

/// What is due of one user.
#[must_use]
pub fn decide(user: &EtcdUser, facts: &Facts, now: Timestamp) -> Verdict {
    match order(user, facts) {
        Err(objection) => Verdict::Refused(objection),
        Ok(order) => match (rests(user, &order, now), outdated(user, &order)) {
            (Some(rest), outdated) if outdated.is_empty() => Verdict::Rests(order, rest),
            (Some(_), outdated) => Verdict::Revoke(order, outdated),
            (None, _) if valid(user, now).len() >= MANY && !is_reissue(user) => Verdict::Refused(Objection::TooMany),
            (None, _) => Verdict::Issue(order),
        },
    }
}

/// What is to be issued, now or later.
fn order(user: &EtcdUser, facts: &Facts) -> Result<Order, Objection> {
    let (secret, of) = (user.secret().to_owned(), user.spec.cluster.clone());
    validate::user(&user.name_any(), &user.spec)?;
    if let Some(by) = facts.elder.clone() {
        return Err(Objection::SecretTaken { secret, by });
    }
    let Some(cluster) = &facts.cluster else { return Err(Objection::NoSuchCluster(of)) };
    match cluster {
        Cluster { incarnation: None, .. } => Err(Objection::NotBegun(of)),
        Cluster { encrypted: false, .. } => Err(Objection::Plain(of)),
        Cluster { begun: false, .. } => Err(Objection::NotBegun(of)),
        _ => Ok(Order { print: cluster.print(user), cluster: cluster.clone(), secret }),
    }
}

/// How long what was issued last is good; `None`: it is not.
fn rests(user: &EtcdUser, order: &Order, now: Timestamp) -> Option<Duration> {
    let status = user.status.as_ref().filter(|status| status.issued_for.as_ref() == Some(&order.print))?;
    let renewed = status.renew_after.as_ref()?.parse::<Timestamp>().ok()?;
    Duration::try_from(renewed.duration_since(now)).ok().filter(|rest| !rest.is_zero())
}

/// What was issued before another was asked for, or for other data: the present one stands in the Secret by then.
fn outdated(user: &EtcdUser, order: &Order) -> Vec<IssuedCertificate> {
    let old = |one: &&IssuedCertificate| one.reissue < user.spec.reissue || one.authority != order.cluster.life;
    user.status.iter().flat_map(|status| &status.certificates).filter(old).cloned().collect()
}

/// Whether another certificate is asked for than all that were issued.
fn is_reissue(user: &EtcdUser) -> bool {
    user.status.iter().flat_map(|status| &status.certificates).all(|one| one.reissue < user.spec.reissue)
}

/// Its certificates that have not ended. One whose end cannot be read has not.
#[must_use]
pub fn valid(user: &EtcdUser, now: Timestamp) -> Vec<IssuedCertificate> {
    let ended = |one: &IssuedCertificate| one.not_after.parse::<Timestamp>().is_ok_and(|end| end <= now);
    user.status.iter().flat_map(|status| &status.certificates).filter(|one| !ended(one)).cloned().collect()
}

/// The serial number that the next certificate gets, and what is written down before it is issued; `None`: it is
/// written down already, since an attempt before this one has failed, or its answer was lost. `end`: when the
/// certificate ends at the latest.
#[must_use]
pub fn account(
    user: &EtcdUser,
    order: &Order,
    drawn: &str,
    end: Timestamp,
    now: Timestamp,
) -> (String, Option<Vec<IssuedCertificate>>) {
    let mut all = valid(user, now);
    let written = user.status.as_ref().and_then(|status| status.serial.as_ref());
    let covers = |one: &&IssuedCertificate| {
        let ends = one.not_after.parse::<Timestamp>().is_ok_and(|noted| noted >= end);
        let same = one.authority == order.cluster.life && one.reissue == user.spec.reissue;
        Some(&one.serial) != written && same && ends
    };
    if let Some(pending) = all.last().filter(covers) {
        return (pending.serial.clone(), None);
    }
    // Another attempt may come a little later.
    let slack = order.cluster.leaf / 10;
    all.push(IssuedCertificate {
        serial: drawn.to_owned(),
        authority: order.cluster.life.clone(),
        not_after: end.checked_add(slack).unwrap_or(Timestamp::MAX).to_string(),
        reissue: user.spec.reissue,
    });
    (drawn.to_owned(), Some(all))
}

/// When a certificate that ends then is renewed.
#[must_use]
pub fn renewal(now: Timestamp, not_after: Timestamp) -> Timestamp {
    let (part, of) = RENEWED;
    let rest = (not_after.duration_since(now) / of * part).max(LEAST);
    now.checked_add(rest).unwrap_or(not_after)
}

/// Where the cluster is reached.
#[must_use]
pub fn endpoints(user: &EtcdUser) -> String {
    let (service, namespace) = (names::client_service(&user.spec.cluster), user.namespace().unwrap_or_default());
    format!("https://{service}.{namespace}.svc:{}", names::PORT_CLIENT)
}

#[cfg(test)]
mod tests;
