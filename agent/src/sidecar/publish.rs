//! What the loop tells others: the page for whoever asks, the EtcdMember for everybody else.

use etcd_operator_shared::api::{
    EtcdMemberStatus,
    member::{Claim, MemberEntry, Membership, Role},
};

use super::{
    facts::{self, View},
    hands::object::{Claiming, MemberObject},
    memory::Memory,
    tasks::Told,
};
use crate::{
    observe::links::Links,
    plan::{
        health::{Health, judge},
        options,
        publish::{self, Due, Speaker, Versions},
        start::Start,
        steward::Seat,
    },
    serve::{Page, page},
};

/// What there is to say in a turn.
pub(super) struct Speech<'a> {
    pub view: View<'a>,
    pub memory: &'a Memory,
    pub health: &'a Health,
}

/// What the EtcdMember is to say, and whether it is worth a write.
pub(super) struct Next {
    status: EtcdMemberStatus,
    due: Due,
}

impl Speech<'_> {
    pub(super) fn page(&self) -> Page {
        let View { config, told, hands, now, .. } = &self.view;
        let (mark, state) = (hands.volume.mark(), told.launcher.state.as_ref());
        Page {
            health: self.health.clone(),
            etcd: told.observed.status.clone(),
            alarms: told.observed.own_alarms(),
            answered: told.observed.answered,
            pid: self.memory.running.map(|(pid, _)| pid),
            restarts: state.map_or(0, |s| s.restarts),
            last_exit: state.and_then(|s| s.last_exit.clone()),
            members: told.observed.members.len(),
            connected: told.observed.links.as_ref().map(Links::connected),
            addresses: told.book.believed().into_iter().collect(),
            volume_id: mark.map(|m| m.volume_id.clone()),
            // One that has left holds nothing any more.
            member_id: mark.filter(|m| m.retired.is_none()).and_then(|m| m.member_id.clone()),
            room: told.writable.writes(*now).room(),
            quota: self.view.quota(),
            backs_up: !hands.backups.is_free(),
            vouches: self.memory.running.is_some() && self.memory.membership.trusted,
            counter: mark.map_or(0, |m| m.counter),
            claim: mark.map_or(0, |m| m.claim),
            api_server: told.seen.connected,
            certificates_end: hands.certificates.not_after(),
            compared: self.memory.comparing.equal,
            turned: Some(*now),
            ..page::first(config)
        }
    }

    /// The next status, where this agent may speak.
    pub(super) fn next(&self) -> Option<Next> {
        let View { config, told, hands, now, .. } = &self.view;
        let object = hands.object.object()?;
        let (mark, standing) = (hands.volume.mark(), hands.object.claim());
        let said = object.status.as_ref();
        let speaker = Speaker {
            mine: standing.is_none_or(|claim| mark.is_some_and(|mark| mark.volume_id == claim.volume_id)),
            contested: said.and_then(|s| s.pod_uid.as_ref()).is_some_and(|uid| *uid != config.pod_uid),
            ending: told.launcher.terminating,
            age: hands.object.age(),
        };
        let due = match publish::may_speak(speaker) {
            Due::Now => None,
            held => Some(held),
        };
        let counter = mark.filter(|_| speaker.mine).map(|mark| mark.counter);
        let counter = publish::counter(counter, said.map_or(0, |status| status.counter));
        let status = self.status(standing.cloned(), counter);
        let due = due.unwrap_or_else(|| hands.object.due(&status, self.memory.asking_for(*now)));
        Some(Next { status, due })
    }

    fn status(&self, claim: Option<Claim>, counter: i64) -> EtcdMemberStatus {
        let View { config, me, told, hands, .. } = &self.view;
        let state = told.launcher.state.as_ref();
        publish::status(&publish::Inputs {
            generation: hands.object.object().and_then(|o| o.metadata.generation),
            account: hands.object.account(&config.pod_uid),
            claim,
            counter,
            pod_uid: &config.pod_uid,
            address: &config.pod_ip,
            left: self.memory.step == Some(Start::Left) || hands.object.has_left(&config.pod_uid),
            membership: self.membership(),
            health: self.health,
            etcd: told.observed.status.as_ref(),
            versions: self.versions(),
            alarms: &told.observed.own_alarms(),
            certificates: hands.certificates.said(self.view.loaded()),
            auth: self.memory.users.told(),
            backups: self.memory.backups.told(),
            chores: self.memory.upkeep.chores(),
            member_id: hands
                .volume
                .mark()
                .filter(|m| m.incarnation == me.incarnation)
                .and_then(|m| m.member_id.as_deref()),
            restarts: state.map_or(0, |s| s.restarts),
            last_exit: state.and_then(|s| s.last_exit.as_ref()).map(facts::published),
            agent_version: env!("CARGO_PKG_VERSION"),
            options: self.view.started_with(),
            quota: self.view.quota().filter(|_| !self.view.is_other()),
            refused_options: options::refusal(self.view.options()).map(|refused| refused.digest.as_str()),
        })
    }

    fn versions(&self) -> Versions {
        let Told { observed, log, .. } = self.view.told;
        Versions {
            server: observed.ran().map(|ran| ran.version),
            cluster: observed.cluster_version(),
            storage: observed.storage_version(),
            downgrade: observed.allowed_downgrade(),
            log: observed.ran().and(*log),
        }
    }

    /// The membership as the leader's agent tells it.
    fn membership(&self) -> Option<Membership> {
        let generation = self.memory.membership.proven().filter(|_| self.health.role == Some(Role::Leader))?;
        let own = self.view.told.observed.status.as_ref().map(|status| &status.member_id);
        let entry = |Seat { entry, away, .. }: Seat| MemberEntry {
            connected: away.is_none() || Some(&entry.id) == own,
            id: entry.id,
            name: entry.member,
            learner: entry.learner,
            started: entry.started,
        };
        let seats = self.view.seats(&self.memory.membership);
        let mut members: Vec<MemberEntry> = seats.into_iter().map(entry).collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Membership { generation, members })
    }
}

/// The status that claims the member for a volume.
pub(super) fn claim(view: View<'_>, memory: &Memory, claiming: &Claiming) -> EtcdMemberStatus {
    let verdict = facts::verdict(&view.told.launcher);
    let health = judge(&view.health(memory, verdict.as_ref()));
    let counter = view.hands.volume.mark().map_or(0, |mark| mark.counter);
    let claim = Claim { number: claiming.number, volume_id: claiming.volume_id.clone() };
    Speech { view, memory, health: &health }.status(Some(claim), counter)
}

/// Writes the status when it is worth it and nothing else is being written. Returns whether it is worth it and has to
/// wait.
pub(super) fn write(object: &mut MemberObject, next: Option<Next>) -> bool {
    match next {
        None | Some(Next { due: Due::No, .. }) => false,
        Some(Next { due: Due::Soon, .. }) => true,
        Some(Next { status, due: Due::Now }) if object.is_free() => {
            object.write(status, None);
            false
        }
        Some(Next { due: Due::Now, .. }) => true,
    }
}
