//! What the leader's agent may do for the members' databases, and where these are asked.

use std::{collections::BTreeSet, time::Instant};

use etcd_operator_shared::{api::cluster::Maintenance, names::Scheme, validate};
use jiff::Timestamp;

use super::{View, endpoint, leads};
use crate::{
    args,
    plan::{compare, list::Entry, options, upkeep},
    sidecar::{
        hands::upkeep::{Agent, Door},
        memory::{Comparing, Upkeep},
    },
};

impl View<'_> {
    /// Where all members are asked, this one first; `None` while one of them is not known.
    pub(in crate::sidecar) fn doors(&self) -> Option<(Door, Vec<Door>)> {
        let Self { config, me, told, hands, now } = self;
        let own_id = &told.observed.status.as_ref()?.member_id;
        let (room, backs_up) = (told.writable.writes(*now).room().map(|room| room.free), !hands.backups.is_free());
        let own = Door {
            id: own_id.clone(),
            member: me.member.clone(),
            etcd: hands.member.clone(),
            agent: Agent::Own { room, backs_up },
        };
        let (peers, scheme) = (self.peers(), Scheme::of(config.client_tls));
        let door = |entry: &Entry| {
            let address = &peers.iter().find(|peer| peer.name == entry.member)?.address;
            Some(Door {
                id: entry.id.clone(),
                member: entry.member.clone(),
                etcd: hands.peers.member(&endpoint(scheme, address)),
                agent: Agent::At(address.clone()),
            })
        };
        // Whose address is not known is as one that does not answer.
        let others = told.observed.members.iter().filter(|entry| entry.id != *own_id).filter_map(door);
        Some((own, others.collect()))
    }

    /// Bytes at which etcd refuses writes, by the options that it is started with.
    pub(in crate::sidecar) fn quota(&self) -> Option<u64> {
        args::options(options::chosen(self.options())).ok().map(|flags| flags.quota_backend)
    }

    /// What is wanted of databases, while something may be done about them: by the leader's agent, once the EtcdMember
    /// was heard.
    pub(in crate::sidecar) fn keeping(&self, memory: &Upkeep) -> Option<Keeping<'_>> {
        if !leads(&self.told.observed) || !self.hands.upkeep.is_free(self.now) {
            return None;
        }
        let told = self.hands.object.object()?.spec.maintenance.as_deref();
        // What is not understood is no leave to do anything.
        let told = told.map(serde_json::from_str::<Maintenance>).transpose().ok()?;
        Some(Keeping {
            policy: validate::maintenance(told.as_ref()).ok()?,
            quota: self.quota()?,
            alarms: &self.told.observed.alarms,
            resting: memory.resting(self.now),
            size: self.told.observed.status.as_ref()?.db_size.unsigned_abs(),
        })
    }
}

/// What is wanted of databases, and what is known of them beside what was found out.
pub(in crate::sidecar) struct Keeping<'a> {
    policy: validate::Upkeep,
    quota: u64,
    alarms: &'a [upkeep::Alarm],
    resting: BTreeSet<String>,
    /// Bytes of this member's own database.
    size: u64,
}

impl Keeping<'_> {
    pub(in crate::sidecar) fn known<'a>(&'a self, memory: &'a Upkeep, now: Instant) -> upkeep::Known<'a> {
        upkeep::Known {
            policy: &self.policy,
            quota: self.quota,
            alarms: self.alarms,
            survey: memory.survey(now),
            compacted: memory.compacted,
            resting: &self.resting,
            now: Timestamp::now(),
        }
    }

    pub(in crate::sidecar) fn compared<'a>(&'a self, memory: &'a Comparing, now: Instant) -> compare::Known<'a> {
        compare::Known {
            every: memory.every(self.policy.compare_every),
            led: memory.led(now),
            alarms: self.alarms,
            last: memory.last(now),
            suspect: memory.suspect(),
            size: self.size,
            removed: memory.removed(now),
        }
    }
}
