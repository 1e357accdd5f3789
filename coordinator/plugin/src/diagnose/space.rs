//! Is there room: in the database's quota, and no alarm?

use etcd_operator_shared::{api::EtcdMember, quantity, quota};

use super::{Check, Finding, Scene, finding::or_fine};
use crate::print::units::bytes;

const CHECK: Check = Check::Space;
/// Percent of the quota from which a person should know: etcd refuses writes at all of it.
const FULL: i64 = 80;

pub fn check(scene: &Scene) -> Vec<Finding> {
    if let Some(why) = scene.sources.members.caveat() {
        return vec![Finding::unknown(CHECK, why)];
    }
    let quota = quota(scene);
    let found: Vec<Finding> = scene.members().iter().flat_map(|member| of_member(member, quota)).collect();
    let largest = scene.members().iter().filter_map(|member| member.status.as_ref()?.db_size).max();
    let words = match (largest, quota) {
        (Some(largest), Some(quota)) => format!("the largest database has {} of {}", bytes(largest), bytes(quota)),
        (Some(largest), None) => format!("the largest database has {}", bytes(largest)),
        (None, _) => "no member says how large its database is, and none has raised an alarm".to_owned(),
    };
    or_fine(found, CHECK, words)
}

fn quota(scene: &Scene) -> Option<i64> {
    let cluster = &scene.sources.cluster;
    let incarnation = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
    i64::try_from(quantity::bytes(&quota::in_force(cluster, incarnation)).ok()?).ok()
}

fn of_member(member: &EtcdMember, quota: Option<i64>) -> Vec<Finding> {
    let (Some(name), Some(status)) = (member.metadata.name.as_deref(), &member.status) else { return vec![] };
    let mut found: Vec<Finding> = status
        .alarms
        .iter()
        .map(|alarm| {
            let advice = match alarm.as_str() {
                "NOSPACE" => {
                    "wait: the leader's agent compacts and defragments, and takes it back; where only a person can \
                     make room, the notice SpaceExhausted says so"
                }
                "CORRUPT" => {
                    "wait: the leader's agent compares all members, and has one replaced that differs; where no \
                     majority is equal, the notice KeysDiffer says so"
                }
                _ => "see etcd's documentation of this alarm",
            };
            Finding::fault(CHECK, format!("etcd has raised alarm {alarm}")).of(name).advise(advice)
        })
        .collect();
    if let (Some(size), Some(quota)) = (status.db_size, quota)
        && size * 100 > quota * FULL
        && status.alarms.is_empty()
    {
        let in_use =
            status.db_size_in_use.map(|in_use| format!(", of which {} are in use", bytes(in_use))).unwrap_or_default();
        let words = format!("its database has {} of {}{in_use}", bytes(size), bytes(quota));
        found.push(
            Finding::note(CHECK, words)
                .of(name)
                .advise("delete keys, raise spec.etcd.quotaBackend, or let it grow by itself (spec.storage.autoGrow): what is not in use the \
                         agents free"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apiserver::lists::{Known, Listed},
        diagnose::{
            Outcome,
            scene::tests::{of, well},
        },
        view::page::{
            Sources,
            tests::{member, sources},
        },
    };

    fn with(size: i64, alarms: &[&str]) -> Vec<Finding> {
        let mut one = member("demo-0", true);
        let status = one.status.as_mut().unwrap();
        (status.db_size, status.alarms) = (Some(size), alarms.iter().map(ToString::to_string).collect());
        let members = Known::Read(Listed { items: vec![one], unreadable: vec![] });
        check(&of(Sources { members, ..sources(1) }))
    }

    #[test]
    fn an_alarm_is_a_fault_and_a_database_that_fills_a_note() {
        assert_eq!(with(2 << 30, &["NOSPACE"])[0].outcome, Outcome::Fault);
        assert_eq!(with(1_900_000_000, &[])[0].outcome, Outcome::Note);
        assert_eq!(with(1 << 30, &[])[0].outcome, Outcome::Fine);
        assert_eq!(check(&well(3)), [Finding::fine(CHECK, "the largest database has 20Mi of 2Gi")]);
    }
}
