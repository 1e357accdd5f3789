//! Which members are answered that ask for certificates, and what is wrong.
//!
//! ```text
//!   its agent asks (status, a request) ── in the very pod that is there, of our StatefulSet ──▶ Answer, once a key
//!   the key is answered, with other names or authorities than are wanted now               ──▶ Answer again, for the same key
//!   certificates were revoked that a member was not told of                                ──▶ it is told the list, and nothing else
//!   the request is nonsense                                                                ──▶ said, and nobody else waits
//!   the authorities are gone, or others than the members believe                           ──▶ nobody is answered: a person acts
//! ```
//! Answers ride on the write that tells the addresses. While a cluster forms, both wait for the last pod's address alike.

use std::collections::BTreeMap;

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Encrypted, Incarnation},
    },
    certificates, names,
    validate::Encryption,
};
use jiff::Timestamp;
use kube::ResourceExt;
use thiserror::Error;

use crate::{
    cluster::facts::{
        Facts, Member, Slot,
        certificates::{Answered, Asked, Certificates, Held, Known},
    },
    ownership::Owner,
    pki::{PublicKey, Unsuitable},
    print,
};

/// What is due of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    pub answers: Vec<Answer>,
    /// UIDs of the EtcdMembers that are told the list of revoked certificates, by ordinal.
    pub lists: BTreeMap<u32, String>,
    /// What is wrong with what members ask for, by ordinal.
    pub nonsense: BTreeMap<u32, Unsuitable>,
}

/// A member that gets certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub ordinal: u32,
    /// UID of its EtcdMember.
    pub uid: String,
    pub key: Key,
    pub names: Names,
}

/// What its certificates are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Asked(PublicKey),
    /// The key of the certificates that it has.
    Answered,
}

/// The names in a member's certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub peer: Vec<String>,
    pub server: Vec<String>,
}

/// Why nobody is answered.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Unvouched {
    #[error(
        "Secret {0} with the keys of its certificate authorities is gone from the coordinator's namespace: members go on with the \
         certificates that they have, and none can be renewed. No other is made, since they would not believe it: put that Secret \
         back from a copy"
    )]
    Missing(String),
    #[error(
        "Secret {0} in the coordinator's namespace holds other certificate authorities than the members believe, so nothing is \
         signed with them: put the former Secret back"
    )]
    Exchanged(String),
    #[error(
        "the certificate authorities in Secret {secret} were valid until {end}: nothing is signed with them any more"
    )]
    Over { secret: String, end: Timestamp },
}

impl Unvouched {
    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "AuthorityLost",
            Self::Exchanged(_) => "AuthorityExchanged",
            Self::Over { .. } => "AuthorityExpired",
        }
    }
}

impl Names {
    #[must_use]
    pub fn of(cluster: &EtcdCluster, member: &str, further: &[String]) -> Self {
        let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
        Self {
            peer: certificates::peer(member, &name, &namespace),
            server: certificates::server(member, &name, &namespace, further),
        }
    }

    /// A fingerprint of them, and of the authorities that sign. Of the first authorities nothing is in it, as before there were others.
    #[must_use]
    pub fn print(&self, generation: i64) -> String {
        let mut all = [self.peer.join(","), self.server.join(",")].join(";");
        if generation > 1 {
            all = format!("{all};{generation}");
        }
        format!("{:016x}", print::of(&all))
    }
}

/// How a member stands.
enum Standing {
    /// It asks for nothing that it was not answered, or nobody may be answered in its place now.
    Rests,
    Waits(Key),
    Nonsense(Unsuitable),
}

/// Whether the authorities must be known: some member waits for an answer.
#[must_use]
pub fn asks(cluster: &EtcdCluster, encryption: &Encryption, incarnation: &Incarnation, facts: &Facts) -> bool {
    let waits =
        |slot: &Slot| matches!(standing(cluster, encryption, incarnation, slot, facts), Some((Standing::Waits(_), _)));
    facts.slots.values().any(|slot| waits(slot) || lacks_list(slot, incarnation, facts.revoked))
}

/// Whether a member is to be told the list of revoked certificates: it knows of none, or not of this one.
fn lacks_list(slot: &Slot, incarnation: &Incarnation, number: Option<i64>) -> bool {
    let Some(Certificates { answered: Some(answered), .. }) =
        slot.member.as_ref().and_then(|member| member.certificates.as_deref())
    else {
        return false;
    };
    let lets_in = incarnation.encrypted.client && incarnation.members_created && answered.client.is_some();
    lets_in && answered.revoked.is_none_or(|told| number.is_some_and(|number| told < number))
}

/// What is due of a cluster that has begun.
#[must_use]
pub fn due(cluster: &EtcdCluster, encryption: &Encryption, incarnation: &Incarnation, facts: &Facts) -> Due {
    let mut due = Due::default();
    let list = match &facts.authorities {
        Some(Known::Held(held)) if unvouched(cluster, incarnation, facts).is_none() => Some(held.revoked),
        Some(Known::Held(_) | Known::Missing) | None => None,
    };
    let held = list.is_some();
    let uid = |slot: &Slot| slot.member.as_ref().and_then(|member| member.version.uid.clone()).unwrap_or_default();
    for (ordinal, slot) in &facts.slots {
        if held && lacks_list(slot, incarnation, list) {
            due.lists.insert(*ordinal, uid(slot));
        }
        match standing(cluster, encryption, incarnation, slot, facts) {
            Some((Standing::Waits(key), names)) if held => {
                due.answers.push(Answer { ordinal: *ordinal, uid: uid(slot), key, names });
            }
            Some((Standing::Nonsense(why), _)) => drop(due.nonsense.insert(*ordinal, why)),
            Some((Standing::Waits(_) | Standing::Rests, _)) | None => {}
        }
    }
    due
}

/// How a member stands, and the names that its certificates are to have; `None` where it has nothing to do with certificates.
fn standing(
    cluster: &EtcdCluster,
    encryption: &Encryption,
    incarnation: &Incarnation,
    slot: &Slot,
    facts: &Facts,
) -> Option<(Standing, Names)> {
    let Incarnation { encrypted, members_created, .. } = incarnation;
    let member = slot.member.as_ref().filter(|_| !encrypted.is_off() && *members_created)?;
    let Certificates { asked, answered } = member.certificates.as_deref()?;
    let names = Names::of(cluster, &member.name, &encryption.names);
    let signing = Signing::of(cluster, facts);
    let fits = answered.as_ref().filter(|answered| fits(answered, *encrypted, &names, signing));
    let standing = match (asked, answered) {
        (Some(Asked::Nonsense(why)), _) => Standing::Nonsense(*why),
        _ if !is_of_set(slot, facts) => Standing::Rests,
        (Some(Asked::Key { digest, .. }), _) if fits.is_some_and(|answered| answered.key == *digest) => Standing::Rests,
        (Some(Asked::Key { key, .. }), _) => Standing::Waits(Key::Asked(key.clone())),
        (None, Some(_)) if fits.is_none() => Standing::Waits(Key::Answered),
        (None, _) => Standing::Rests,
    };
    Some((standing, names))
}

/// Why nobody is answered, although there are members that may ask.
#[must_use]
pub fn unvouched(cluster: &EtcdCluster, incarnation: &Incarnation, facts: &Facts) -> Option<Unvouched> {
    if incarnation.encrypted.is_off() || !incarnation.members_created || incarnation.ended.is_some() {
        return None;
    }
    let secret = names::authorities(&Owner::of(cluster).life);
    match facts.authorities.as_ref()? {
        Known::Missing => Some(Unvouched::Missing(secret)),
        Known::Held(held) if is_other(held, facts) => Some(Unvouched::Exchanged(secret)),
        Known::Held(held) if held.over => Some(Unvouched::Over { secret, end: held.end }),
        Known::Held(_) => None,
    }
}

/// Whether some member was told to believe other authorities than these.
fn is_other(held: &Held, facts: &Facts) -> bool {
    let mut answered =
        facts.slots.values().filter_map(|slot| slot.member.as_ref()?.certificates.as_ref()?.answered.as_ref());
    let ours = |answered: &Answered| {
        let known = [Some(&held.trust), held.change.as_ref().map(|change| &change.other)];
        let told = known.into_iter().flatten().map(|pools| pools.are_told(answered.peer, answered.client));
        told.fold((false, false), |(peer, client), (p, c)| (peer || p, client || c)) == (true, true)
    };
    answered.any(|answered| !ours(answered))
}

/// Whether an answer has all that is encrypted, the names that are wanted now, and is of the authorities of now.
fn fits(answered: &Answered, encrypted: Encrypted, names: &Names, authorities: Signing<'_>) -> bool {
    let Answered { key: _, names: have, digest: _, pools: _, peer, client, revoked: _ } = answered;
    let believes = authorities.held.is_none_or(|held| held.trust.are_told(*peer, *client) == (true, true));
    let whole = (peer.is_some(), client.is_some()) == (encrypted.peer, encrypted.client);
    whole && **have == *names.print(authorities.generation) && believes
}

/// Who signs now.
#[derive(Clone, Copy)]
struct Signing<'a> {
    generation: i64,
    held: Option<&'a Held>,
}

impl<'a> Signing<'a> {
    /// As the Secret says; where that was not looked at, as it was said last: an answer that does not fit is then reason to look.
    fn of(cluster: &EtcdCluster, facts: &'a Facts) -> Self {
        match &facts.authorities {
            Some(Known::Held(held)) => Self { generation: held.generation, held: Some(held) },
            Some(Known::Missing) | None => {
                let said = cluster.status.as_ref().and_then(|status| status.authorities.as_ref());
                Self { generation: said.map_or(1, |said| said.generation), held: None }
            }
        }
    }
}

/// Whether a member was answered as is wanted now; and the digest by which it says that this is in use.
#[must_use]
pub fn answered<'a>(
    cluster: &EtcdCluster,
    encryption: &Encryption,
    incarnation: &Incarnation,
    member: &'a Member,
    held: &Held,
) -> Option<&'a str> {
    let names = Names::of(cluster, &member.name, &encryption.names);
    let answered = member.certificates.as_ref()?.answered.as_ref()?;
    let signing = Signing { generation: held.generation, held: Some(held) };
    fits(answered, incarnation.encrypted, &names, signing).then_some(&*answered.digest)
}

/// Whether the member speaks from a pod of our StatefulSet that stays: one that somebody else has made under that name is none.
fn is_of_set(slot: &Slot, facts: &Facts) -> bool {
    let set = facts.set.as_ref().and_then(|set| set.version.uid.as_deref());
    let pod = slot.pod.as_ref().filter(|pod| !pod.deleting && slot.report().is_some());
    pod.is_some_and(|pod| set.is_some() && pod.controller.as_deref() == set)
}

#[cfg(test)]
mod tests;
