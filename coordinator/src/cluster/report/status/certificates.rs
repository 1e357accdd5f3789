//! CertificatesReady: whether every member has the certificates that it needs, and when the first of them ends. Only an encrypted
//! cluster has it.

use std::time::Duration;

use etcd_operator_shared::api::member::Certificates as Said;
use jiff::{SignedDuration, Timestamp};

use super::{
    Input,
    authorities::changing,
    condition::{ConditionUpdate, Status},
};
use crate::cluster::{
    decide::{Care, certificates::unvouched},
    facts::{Slot, certificates::Asked, pod_trouble::shorten},
};

/// The condition's type.
pub const KIND: &str = "CertificatesReady";
/// Reason of members that have none yet: it passes by itself.
pub const WAITING: &str = "WaitingForCertificates";

/// A certificate is renewed after two thirds of its time. One that has less left than this is late: a fifth of its time, and for those
/// that are made for long, a week.
const LATE: SignedDuration = SignedDuration::from_hours(7 * 24);
const LATE_PART: u32 = 5;

/// What is wrong with one member.
enum Trouble {
    Nonsense(String),
    Rejected(String),
    Waits,
}

/// What to say, or `None` where nothing is encrypted.
pub fn certified(input: Input<'_>, care: &Care, now: Timestamp) -> Option<ConditionUpdate> {
    let incarnation = &care.incarnation;
    if incarnation.encrypted.is_off() {
        return None;
    }
    let says = |status, reason: &str, message| ConditionUpdate { kind: KIND, status, reason: reason.into(), message };
    let first = first(input);
    let mut ends =
        first.as_ref().map_or_else(String::new, |(name, end)| format!("; the first to end are {name}'s, at {end}"));
    ends.extend(changing(input));
    if let Some(why) = unvouched(input.cluster, incarnation, input.facts) {
        return Some(says(Status::False, why.reason(), format!("{why}{ends}")));
    }
    if let Some((reason, sentence)) = gravest(input) {
        return Some(says(Status::False, reason, sentence + &ends));
    }
    Some(match &first {
        Some((name, end)) if *end <= now => {
            says(Status::False, "Expired", format!("the certificates of {name} have ended, at {end}"))
        }
        Some((name, end)) if end.duration_since(now) < late(care.wanted.encryption.leaf) => says(
            Status::False,
            "RenewalOverdue",
            format!("the certificates of {name} end at {end} and are not renewed"),
        ),
        Some(_) => {
            let lenient = lenient(input).map_or_else(String::new, |names| {
                format!("; {names}: etcd lets revoked certificates in until it is started again")
            });
            says(Status::True, "AllCertified", format!("every member has its certificates{ends}{lenient}"))
        }
        None if input.facts.pods().next().is_none() => {
            says(Status::Unknown, "NoMemberRuns", "no member runs, and none needs a certificate".to_owned())
        }
        None => says(Status::Unknown, "MembersSilent", "no member says what certificates it has".to_owned()),
    })
}

fn late(leaf: Duration) -> SignedDuration {
    SignedDuration::try_from(leaf / LATE_PART).unwrap_or(LATE).min(LATE)
}

/// The member whose certificates end first, and when.
pub fn first(input: Input<'_>) -> Option<(String, Timestamp)> {
    let ends = input.facts.slots.values().filter_map(|slot| {
        let end = said(slot)?.not_after.as_ref()?.parse::<Timestamp>().ok()?;
        Some((slot.member.as_ref()?.name.clone(), end))
    });
    ends.min_by_key(|(_, end)| *end)
}

/// Members whose etcd was started without a list of revoked certificates, by an operator of before, where something was
/// revoked.
fn lenient(input: Input<'_>) -> Option<String> {
    /// The number of a list on which nothing ever stood.
    const FIRST: i64 = 1;
    let names = input.facts.slots.values().filter_map(|slot| {
        let member = slot.member.as_ref()?;
        let told = member.certificates.as_ref()?.answered.as_ref()?.revoked?;
        (told > FIRST && said(slot)?.revoked.is_none()).then(|| member.name.clone())
    });
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What the agent of the pod that is there says of its certificates.
fn said(slot: &Slot) -> Option<&Said> {
    slot.report()?.certificates.as_ref()
}

/// The gravest of what is wrong with members, and with which.
fn gravest(input: Input<'_>) -> Option<(&'static str, String)> {
    let all = input.facts.slots.values().filter_map(|slot| Some((slot.member.as_ref()?.name.clone(), trouble(slot)?)));
    let all: Vec<(String, Trouble)> = all.collect();
    let told = |words: &dyn Fn(&Trouble) -> Option<String>| {
        let some: Vec<String> =
            all.iter().filter_map(|(name, trouble)| Some(format!("{name}: {}", words(trouble)?))).collect();
        (!some.is_empty()).then(|| some.join("; "))
    };
    let nonsense = told(&|trouble| match trouble {
        Trouble::Nonsense(words) => Some(words.clone()),
        Trouble::Rejected(_) | Trouble::Waits => None,
    });
    let rejected = || {
        told(&|trouble| match trouble {
            Trouble::Rejected(words) => Some(format!("the certificates are not taken into use: {words}")),
            Trouble::Nonsense(_) | Trouble::Waits => None,
        })
    };
    let waits = || {
        let waits = all.iter().filter(|(_, trouble)| matches!(trouble, Trouble::Waits));
        let names: Vec<&str> = waits.map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} without certificates yet", names.join(", ")))
    };
    let nonsense = nonsense.map(|sentence| ("RequestRefused", sentence));
    let rejected = || rejected().map(|sentence| ("CertificateRejected", sentence));
    nonsense.or_else(rejected).or_else(|| waits().map(|sentence| (WAITING, sentence)))
}

fn trouble(slot: &Slot) -> Option<Trouble> {
    let member = slot.member.as_ref()?;
    // Without a pod it needs none.
    slot.pod.as_ref().filter(|pod| !pod.deleting)?;
    if let Some(Asked::Nonsense(why)) = member.certificates.as_ref().and_then(|all| all.asked.as_ref()) {
        return Some(Trouble::Nonsense(why.to_string()));
    }
    let report = slot.report()?;
    match report.certificates.as_ref() {
        Some(Said { rejected: Some(words), .. }) => Some(Trouble::Rejected(shorten(words))),
        Some(Said { key: Some(_), .. }) => None,
        Some(Said { key: None, .. }) | None => Some(Trouble::Waits),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use etcd_operator_shared::api::{EtcdCluster, cluster::Incarnation};
    use serde_json::json;

    use super::*;
    use crate::{
        cluster::{
            decide::{Waited, decide},
            facts::{
                Facts,
                certificates::{Certificates, Known},
                tests::healthy,
            },
        },
        pki::Unsuitable,
    };

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn encrypted() -> EtcdCluster {
        let spec = json!({"version": "v3.5.21", "security": {"peer": {"mode": "Auto"}}});
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
        let first = crate::cluster::decide::incarnation::first(&cluster, &wanted);
        cluster.status.get_or_insert_default().incarnation = Some(Incarnation { members_created: true, ..first });
        cluster
    }

    /// Three members whose certificates end after so many hours; `None`: it has none.
    fn facts(ends: [Option<i64>; 3]) -> Facts {
        let mut facts = healthy(3);
        for (slot, hours) in facts.slots.values_mut().zip(ends) {
            let said = hours.map(|hours| Said {
                key: Some("k".into()),
                not_after: Some((now() + SignedDuration::from_hours(hours)).to_string()),
                ..Said::default()
            });
            Arc::make_mut(slot.member.as_mut().unwrap()).status.as_mut().unwrap().certificates = said;
        }
        facts
    }

    fn says(cluster: &EtcdCluster, facts: &Facts) -> Option<(&'static str, String, String)> {
        let decision = decide(cluster, facts, Waited::default());
        let input = Input { cluster, facts, decision: &decision, denials: &[], lacking: Duration::ZERO };
        let said = certified(input, decision.care.as_ref().unwrap(), now())?;
        Some((said.status.as_str(), said.reason, said.message))
    }

    #[test]
    fn the_first_to_end_is_named() {
        let (status, reason, message) = says(&encrypted(), &facts([Some(2000), Some(1500), Some(1800)])).unwrap();
        assert_eq!((status, reason.as_str()), ("True", "AllCertified"));
        let end = now() + SignedDuration::from_hours(1500);
        assert_eq!(message, format!("every member has its certificates; the first to end are demo-1's, at {end}"));
    }

    #[test]
    fn what_is_wrong_is_said_the_gravest_first() {
        let reason = |facts: &Facts| says(&encrypted(), facts).unwrap().1;
        assert_eq!(reason(&facts([Some(2000), None, Some(2000)])), WAITING);
        assert_eq!(reason(&facts([Some(2000), Some(167), Some(2000)])), "RenewalOverdue");
        assert_eq!(reason(&facts([Some(2000), Some(0), Some(2000)])), "Expired");
        let mut all = facts([Some(2000), None, Some(2000)]);
        let change = |all: &mut Facts, ordinal: u32, change: &dyn Fn(&mut crate::cluster::facts::Member)| {
            change(Arc::make_mut(all.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap()));
        };
        change(&mut all, 0, &|member| {
            member.status.as_mut().unwrap().certificates.as_mut().unwrap().rejected = Some("another clock".into());
        });
        assert_eq!(reason(&all), "CertificateRejected");
        change(&mut all, 2, &|member| {
            let asked = Some(Asked::Nonsense(Unsuitable::Malformed));
            member.certificates = Some(Box::new(Certificates { asked, answered: None }));
        });
        assert_eq!(reason(&all), "RequestRefused");
        all.authorities = Some(Known::Missing);
        assert_eq!(reason(&all), "AuthorityLost");
    }

    #[test]
    fn silence_is_unknown_and_a_plain_cluster_says_nothing() {
        let silent = Facts { slots: [].into(), ..healthy(3) };
        assert_eq!(
            says(&encrypted(), &silent).unwrap(),
            ("Unknown", "NoMemberRuns".into(), "no member runs, and none needs a certificate".into())
        );
        let mut plain = encrypted();
        plain.status.as_mut().unwrap().incarnation.as_mut().unwrap().encrypted = Default::default();
        assert_eq!(says(&plain, &healthy(3)), None);
    }
}
