//! Which etcd is started once more, in its pod, to believe new authorities alone: one at a time, the leader last, while everybody serves
//! and is settled. Only where that is urgent ([`super::rotation::is_urgent`]); else each is started when it is started.

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{AuthorityPhase, Incarnation},
    },
    validate::Encryption,
};

use crate::cluster::{
    decide::{
        certificates::answered,
        hold,
        membership::Membership,
        rollout::{Work, work},
        rotation::{is_urgent, loaded},
        step::{Deletion, Reload, Step, Waiting, Why},
    },
    facts::{
        Facts, Pod, Slot,
        certificates::{Held, Known},
    },
};
/// Reason of a step that waits here.
const WAITS: &str = "AuthoritiesChanging";

/// The next one; `None`: nobody is to be started for it.
#[must_use]
pub fn next(
    (cluster, encryption, incarnation): (&EtcdCluster, &Encryption, &Incarnation),
    membership: &Membership,
    facts: &Facts,
) -> Option<Step> {
    let Some(Known::Held(held)) = &facts.authorities else { return None };
    let change = held.change.as_ref().filter(|change| change.phase == AuthorityPhase::Retire)?;
    if !is_urgent(encryption, change) {
        return None;
    }
    let pools = held.trust.digest(incarnation.encrypted);
    let voters = membership.voters();
    let row: Vec<Place<'_>> = facts
        .slots
        .iter()
        .filter(|(_, slot)| !slot.has_left() && !hold::is_looked_at(slot))
        .filter_map(|(ordinal, slot)| {
            let pod = slot.pod.as_ref().filter(|pod| !pod.deleting)?;
            Some(Place { ordinal: *ordinal, slot, pod, work: work(slot, voters.as_ref()) })
        })
        .collect();
    let waits = |message: String| Some(Step::Wait(Waiting::new(WAITS, message)));
    let behind: Vec<&Place<'_>> = row.iter().filter(|place| loaded(place.slot) != Some(&pools)).collect();
    let place = *behind.iter().rfind(|place| !place.leads()).or_else(|| behind.first())?;
    let name = &place.pod.name;
    if let Some(other) = row.iter().find(|place| !matches!(place.work, Work::Serves { settled: true, .. })) {
        return waits(format!("etcd of {name} restarts when {} serves and sees all voters", other.pod.name));
    }
    if !row.iter().any(Place::leads) {
        return waits(format!("etcd of {name} restarts when a leader is known"));
    }
    if !place.has_taken((cluster, encryption, incarnation), held) {
        return waits(format!("etcd of {name} restarts when its agent has the new authorities"));
    }
    let (name, uid) = (name.clone(), place.pod.uid.clone());
    Some(match loaded(place.slot) {
        Some(_) => Step::Reload(Reload { name, ordinal: place.ordinal, uid, pools }),
        // Its launcher is of an older release and does not say whom etcd believes: it could never be seen to have come to it.
        None => Step::Replace(vec![Deletion { name, uid, why: Why::FormerAuthorities }]),
    })
}

/// A pod that stays, and what its member does.
struct Place<'a> {
    ordinal: u32,
    slot: &'a Slot,
    pod: &'a Pod,
    work: Work,
}

impl Place<'_> {
    fn leads(&self) -> bool {
        matches!(self.work, Work::Serves { leads: true, .. })
    }

    /// Whether its agent has in use what it was answered last: else the start would bring the former authorities again.
    fn has_taken(
        &self,
        (cluster, encryption, incarnation): (&EtcdCluster, &Encryption, &Incarnation),
        held: &Held,
    ) -> bool {
        let wanted =
            self.slot.member.as_deref().and_then(|member| answered(cluster, encryption, incarnation, member, held));
        let said = self.slot.report().and_then(|said| said.certificates.as_ref()?.used.as_deref());
        wanted.is_some() && said == wanted
    }
}

#[cfg(test)]
mod tests;
