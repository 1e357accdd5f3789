//! When a member asks for certificates, and when it takes them into use.
//!
//! ```text
//!   nothing in use ── Ask ──▶ asked ── the coordinator answers ── Take ──▶ in use ──┐
//!                               ▲                                                  │ two thirds of their time
//!                               └──────────────────────── Ask, with another key ◀──┘
//! ```
//!
//! What is in use stays in use until there is something better: late, rejected or missing answers cost nothing before
//! the certificates end, and an etcd whose certificates have ended keeps the connections that it has.

use std::collections::BTreeMap;

use etcd_operator_shared::api::{
    cluster::Encrypted,
    member::{Issued, ToldReload},
};
use jiff::{SignedDuration, Timestamp};

/// What is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used<'a> {
    pub issued: &'a Issued,
    /// When it was taken into use.
    pub taken: Timestamp,
    /// When the first of the certificates ends.
    pub not_after: Timestamp,
}

/// What it depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub encrypted: Encrypted,
    pub used: Option<Used<'a>>,
    /// SHA-256 of the public key that certificates are asked for, while they are.
    pub asked: Option<&'a str>,
    /// The coordinator's last answer.
    pub offered: Option<&'a Issued>,
    /// Number that differs between members: they do not all ask at the same moment.
    pub share: u32,
    pub now: Timestamp,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Make a key, and ask for certificates.
    Ask,
    /// Check the answer to the key that was asked for, and take it into use.
    Take,
    /// The same with an answer to the key that is in use: names or authorities are others.
    Change,
}

/// Decides it.
#[must_use]
pub fn certificates(facts: Facts<'_>) -> Step {
    let Facts { encrypted, used, asked, offered, share, now } = facts;
    if encrypted.is_off() {
        return Step::Nothing;
    }
    let answers = |key: &str| offered.is_some_and(|offered| offered.key == key);
    match (asked, used) {
        (Some(asked), _) if answers(asked) => Step::Take,
        (_, Some(used)) if answers(&used.issued.key) && offered != Some(used.issued) => Step::Change,
        (Some(_), _) => Step::Nothing,
        (None, None) => Step::Ask,
        (None, Some(used)) if now >= due(used, share) => Step::Ask,
        (None, Some(_)) => Step::Nothing,
    }
}

/// When other certificates are asked for: after two thirds of the time, a tenth of it earlier or later. Counted from
/// when they were taken, since they are valid from an hour earlier on.
#[must_use]
pub fn due(used: Used<'_>, share: u32) -> Timestamp {
    let Used { issued: _, taken, not_after } = used;
    let life = not_after.duration_since(taken).max(SignedDuration::ZERO);
    let percent = 57 + i32::try_from(share % 20).unwrap_or_default();
    taken.checked_add(life / 100 * percent).unwrap_or(not_after)
}

/// Whom an etcd believes: digests of authorities.
#[derive(Debug, Clone, Copy)]
pub struct Believed<'a> {
    pub pod_uid: &'a str,
    /// What the EtcdMember says, while it is heard.
    pub told: Option<&'a ToldReload>,
    /// Whom the next start would make it believe.
    pub used: Option<&'a str>,
    /// Whom the last start has made it believe, where that is known.
    pub loaded: Option<&'a str>,
}

/// Whether etcd is to be started once more: this very pod was told so, the start would bring what was told, and the last one is known to
/// have brought something else.
#[must_use]
pub fn reloads(Believed { pod_uid, told, used, loaded }: Believed<'_>) -> bool {
    let pools = told.filter(|told| told.pod == pod_uid).map(|told| told.pools.as_str());
    pools.is_some() && pools == used && loaded.is_some_and(|loaded| Some(loaded) != pools)
}

/// What a person should know when certificates are about to end and no others came: four fifths of their time are over.
#[must_use]
pub fn ending(used: Used<'_>, rejected: Option<&str>, now: Timestamp) -> Option<String> {
    let Used { issued: _, taken, not_after } = used;
    let life = not_after.duration_since(taken).max(SignedDuration::ZERO);
    let late = now.duration_since(taken) > life / 5 * 4;
    let why = rejected.unwrap_or("the coordinator has issued no others yet");
    let end = if now < not_after { "end" } else { "ended" };
    late.then(|| format!("the member's certificates {end} at {not_after}: {why}"))
}

/// What a person should know of members that do not let this one in, by their names.
#[must_use]
pub fn shut_out(refusals: &BTreeMap<String, String>) -> Option<String> {
    let all: Vec<String> = refusals.iter().map(|(member, why)| format!("{member}, {why}")).collect();
    (!all.is_empty())
        .then(|| format!("once connections are cut, members would not take each other's: {}", all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: Encrypted = Encrypted { peer: true, client: true };

    fn issued(key: &str) -> Issued {
        Issued { key: key.into(), ..Issued::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn facts(now: i64) -> Facts<'static> {
        Facts { encrypted: BOTH, used: None, asked: None, offered: None, share: 10, now: at(now) }
    }

    #[test]
    fn a_member_of_a_plain_cluster_asks_for_nothing() {
        assert_eq!(certificates(Facts { encrypted: Encrypted::default(), ..facts(0) }), Step::Nothing);
    }

    #[test]
    fn a_new_member_asks_once_and_takes_the_answer_to_its_own_key_only() {
        assert_eq!(certificates(facts(0)), Step::Ask);
        let asked = Facts { asked: Some("a"), ..facts(0) };
        assert_eq!(certificates(asked), Step::Nothing);
        let (former, own) = (issued("former"), issued("a"));
        assert_eq!(certificates(Facts { offered: Some(&former), ..asked }), Step::Nothing);
        assert_eq!(certificates(Facts { offered: Some(&own), ..asked }), Step::Take);
    }

    #[test]
    fn other_certificates_are_asked_for_after_two_thirds_of_the_time_and_the_old_ones_serve_meanwhile() {
        let own = issued("a");
        let used = Used { issued: &own, taken: at(0), not_after: at(3000) };
        let with = |now| Facts { used: Some(used), offered: Some(&own), ..facts(now) };
        assert_eq!((certificates(with(1700)), certificates(with(2100))), (Step::Nothing, Step::Ask));
        let next = issued("b");
        let asked = Facts { asked: Some("b"), ..with(2200) };
        assert_eq!(certificates(asked), Step::Nothing);
        assert_eq!(certificates(Facts { offered: Some(&next), ..asked }), Step::Take);
        assert_eq!(certificates(with(9999)), Step::Ask, "also when they have ended");
    }

    #[test]
    fn another_answer_to_the_key_in_use_is_taken_without_asking() {
        let (own, other) = (issued("a"), Issued { peer: Some(Default::default()), ..issued("a") });
        let used = Used { issued: &own, taken: at(0), not_after: at(3000) };
        let changed = Facts { used: Some(used), offered: Some(&other), ..facts(10) };
        assert_eq!(certificates(changed), Step::Change);
        assert_eq!(certificates(Facts { asked: Some("b"), ..changed }), Step::Change);
    }

    #[test]
    fn certificates_that_end_without_others_are_said_with_the_reason() {
        let own = issued("a");
        let used = Used { issued: &own, taken: at(0), not_after: at(3000) };
        assert_eq!(ending(used, None, at(2300)), None);
        let late = ending(used, None, at(2500)).unwrap();
        assert!(late.contains("end at 1970-01-01T00:50:00Z") && late.contains("no others"), "{late}");
        let over = ending(used, Some("wrong key"), at(3100)).unwrap();
        assert!(over.contains("ended at") && over.contains("wrong key"), "{over}");
    }

    #[test]
    fn etcd_is_started_once_more_only_where_its_very_pod_is_told_so_and_the_start_brings_what_was_told() {
        let told = ToldReload { pod: "p".into(), pools: "new".into() };
        let of = |told, used, loaded| Believed { pod_uid: "p", told, used, loaded };
        assert!(reloads(of(Some(&told), Some("new"), Some("old"))));
        assert!(!reloads(of(Some(&told), Some("new"), Some("new"))), "it was started since");
        assert!(!reloads(of(Some(&told), Some("old"), Some("old"))), "the new ones were not taken yet");
        assert!(!reloads(of(Some(&told), Some("new"), None)), "a launcher of before does not say");
        assert!(!reloads(of(None, Some("new"), Some("old"))), "with its next start, whenever that is");
        let other = ToldReload { pod: "former".into(), pools: "new".into() };
        assert!(!reloads(of(Some(&other), Some("new"), Some("old"))));
    }

    proptest! {
        #[test]
        fn members_ask_within_the_time_of_their_certificates(taken in 0_i64..1 << 37, life in 0_i64..1 << 30, share: u32) {
            let own = issued("a");
            let used = Used { issued: &own, taken: at(taken), not_after: at(taken + life) };
            let due = due(used, share);
            prop_assert!(due >= at(taken) && due <= at(taken + life * 4 / 5 + 1));
        }
    }
}
