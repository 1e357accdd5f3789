//! When the authorities are changed, and when the change goes a step further. What each step means for chains and pools: [`crate::pki::Pair`].
//!
//! ```text
//!   rest ── the spec asks for it, or two thirds of their time are over ──▶ Issue   new ones sign, the former are believed
//!     ▲                                                                     │ every member has in use, and on its volume, what the
//!     │                                                                     │ new ones have signed, is let in by all others, and every
//!     │                                                                     │ EtcdUser has it too; Later: applications had time to take it
//!     │                                                                     ▼
//!     └── every member's etcd was started since ───────────────────────── Retire  the new ones alone are believed by whoever starts
//! ```
//! How far a change is stands in the Secret with the keys: each arrow is one write of it, by compare-and-swap, decided on live reads. A
//! member that is silent, away or behind makes the change wait, and is named. Nothing of a change restarts an etcd but a turn in Retire
//! ([`super::reload`]).

use std::time::Duration;

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Authorities, AuthorityPhase, Incarnation, Retire},
        member::Certificates as Said,
    },
    names,
    validate::Encryption,
};
use jiff::Timestamp;

use crate::{
    cluster::{
        decide::certificates::{answered, unvouched},
        facts::{
            Facts, Slot,
            certificates::{Changing, Held, Known},
        },
    },
    pki::{Act, Move},
};

/// An application that goes on with what it read once has a third of its certificate's time to read it again; for long ones, a week.
const TO_TAKE: Duration = Duration::from_secs(7 * 86_400);
const TO_TAKE_PART: u32 = 3;
/// Former authorities are given up so long before they end, or a sixth of their time before, whether or not members were started meanwhile.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);
const AHEAD_PART: u32 = 6;
/// The agent's notice that other members do not let its own in.
const SHUT_OUT: &str = "HandshakeFailed";

/// How a change goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    pub act: Option<Act>,
    /// What it waits for, in words.
    pub waits: Option<String>,
    /// Whether that is under way and needs no person and no restart: what is waited for by choice is not.
    pub is_busy: bool,
    /// Look again after this time.
    pub again: Option<Duration>,
}

impl Rotation {
    fn act(held: &Held, step: Move) -> Self {
        Self { act: Some(Act { generation: held.generation, step }), ..Self::default() }
    }

    fn waits(words: String) -> Self {
        Self { waits: Some(words), is_busy: true, ..Self::default() }
    }
}

/// Whether the authorities must be known for it: a change is wanted or under way, or nothing was said of them yet.
#[must_use]
pub fn looks(cluster: &EtcdCluster, encryption: &Encryption, now: Timestamp) -> bool {
    let said = cluster.status.as_ref().and_then(|status| status.authorities.as_ref());
    let aged = |said: &Authorities| said.renew_after.parse::<Timestamp>().map_or(true, |due| due <= now);
    said.is_none_or(|said| said.phase.is_some() || encryption.generation > said.asked || aged(said))
}

/// How a change goes on now.
#[must_use]
pub fn next(cluster: &EtcdCluster, encryption: &Encryption, incarnation: &Incarnation, facts: &Facts) -> Rotation {
    let Some(Known::Held(held)) = &facts.authorities else { return Rotation::default() };
    let begun = incarnation.members_created && incarnation.ended.is_none() && !incarnation.encrypted.is_off();
    if !begun || cluster.spec.paused || unvouched(cluster, incarnation, facts).is_some() {
        return Rotation::default();
    }
    match &held.change {
        None if encryption.generation > held.asked => Rotation::act(held, Move::Issue { asked: encryption.generation }),
        None if held.aged => Rotation::act(held, Move::Issue { asked: held.asked }),
        None => Rotation::default(),
        Some(change) => match change.phase {
            AuthorityPhase::Issue => issuing((cluster, encryption, incarnation), held, change, facts),
            AuthorityPhase::Retire => retiring(encryption, incarnation, held, change, facts),
        },
    }
}

/// Whether members are to be started for it.
#[must_use]
pub fn is_urgent(encryption: &Encryption, change: &Changing) -> bool {
    let ahead = AHEAD.min(encryption.authority / AHEAD_PART);
    encryption.retire == Retire::Now || change.left <= ahead
}

fn issuing(
    (cluster, encryption, incarnation): (&EtcdCluster, &Encryption, &Incarnation),
    held: &Held,
    change: &Changing,
    facts: &Facts,
) -> Rotation {
    let why = |slot: Option<&Slot>| {
        let Some(slot) = slot else { return Some("it is missing") };
        let member = slot.member.as_deref();
        not_issued(slot, member.and_then(|member| answered(cluster, encryption, incarnation, member, held)))
    };
    let behind = members(facts).filter_map(|(name, slot)| Some(format!("{name} ({})", why(slot)?)));
    let behind: Vec<String> = behind.collect();
    if !behind.is_empty() {
        return Rotation::waits(format!("until it has certificates of the new ones: {}", behind.join(", ")));
    }
    let Some(users) = &facts.certified else { return Rotation::waits("until the EtcdUsers are known".to_owned()) };
    let urgent = is_urgent(encryption, change);
    // One that only a person can help keeps no key in use that is in wrong hands.
    let late: Vec<&str> = users
        .iter()
        .filter(|user| user.generation < held.generation && !(urgent && user.stalled))
        .map(|user| user.name.as_str())
        .collect();
    if !late.is_empty() {
        return Rotation::waits(format!(
            "until a certificate of the new ones is in the Secret of EtcdUser {}",
            late.join(", ")
        ));
    }
    let to_take = TO_TAKE.min(encryption.leaf / TO_TAKE_PART);
    match to_take.checked_sub(change.lasts).filter(|rest| !urgent && !rest.is_zero()) {
        Some(rest) => {
            let waits = "until applications have had time to take their new certificates into use".to_owned();
            Rotation { waits: Some(waits), again: Some(rest), ..Rotation::default() }
        }
        None => Rotation::act(held, Move::Retire),
    }
}

fn retiring(
    encryption: &Encryption,
    incarnation: &Incarnation,
    held: &Held,
    change: &Changing,
    facts: &Facts,
) -> Rotation {
    let wanted = held.trust.digest(incarnation.encrypted);
    let behind = members(facts).filter(|(_, slot)| slot.is_none_or(|slot| loaded(slot) != Some(&wanted)));
    let behind: Vec<String> = behind.map(|(name, _)| name).collect();
    if behind.is_empty() {
        return Rotation::act(held, Move::Forget);
    }
    let waits =
        Some(format!("until etcd was started once more, and believes the new ones alone: {}", behind.join(", ")));
    Rotation { waits, is_busy: is_urgent(encryption, change), ..Rotation::default() }
}

/// Everybody who is a member, or has a place: by name, and what is known of it.
fn members(facts: &Facts) -> impl Iterator<Item = (String, Option<&Slot>)> {
    let places = facts.replicas().max(facts.slots.keys().max().map_or(0, |highest| highest + 1));
    let there = move |ordinal: &u32| *ordinal < facts.replicas() || facts.slots.contains_key(ordinal);
    (0..places).filter(there).map(|ordinal| {
        let slot = facts.slots.get(&ordinal).filter(|slot| slot.member.is_some());
        (names::member(&facts.cluster, ordinal), slot)
    })
}

/// Why a member is not known to have in use what it was answered; `wanted`: the digest of that, where it was answered as is wanted now.
fn not_issued(slot: &Slot, wanted: Option<&str>) -> Option<&'static str> {
    let Some(said) = said(slot) else { return Some(if slot.pod.is_some() { "it is silent" } else { "it has no pod" }) };
    if slot.is_deaf() {
        return Some("it is silent");
    }
    if wanted.is_none() || said.used.as_deref() != wanted {
        return Some("it has not taken them yet");
    }
    let shut_out = slot.report().is_some_and(|said| said.notices.iter().any(|notice| notice.reason == SHUT_OUT));
    shut_out.then_some("another member does not let it in")
}

/// What the agent of the very pod that is there says of its certificates.
fn said(slot: &Slot) -> Option<&Said> {
    slot.pod.as_ref().filter(|pod| !pod.deleting)?;
    slot.report()?.certificates.as_ref()
}

/// Digest of the authorities that a member's etcd is known to believe.
#[must_use]
pub fn loaded(slot: &Slot) -> Option<&String> {
    said(slot)?.loaded.as_ref()
}

#[cfg(test)]
pub mod tests;
