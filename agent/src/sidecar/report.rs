//! What the loop tells others: the page for whoever asks, the EtcdMember for everybody else.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcd_operator_shared::api::{EtcdMemberStatus, member::Claim};
use tracing::info;

use super::{
    ledger::Claiming,
    notes::{self, Starting},
    turn::Sidecar,
};
use crate::{
    args, crash,
    facts::{etcd::Observed, launcher::Launcher, links::Links},
    plan::{
        health::{Health, judge},
        publish::{self, Due},
        start::Start,
    },
    serve::Page,
};

/// How often an agent whose claim does not stand may speak after another pod did: two would else write without end.
const UNCLAIMED_PAUSE: Duration = Duration::from_secs(2);

impl Sidecar {
    pub(super) fn judge(&self, launcher: &Launcher, observed: &Observed) -> Health {
        let verdict = notes::verdict(launcher);
        let learns = self.belonging.reopened.is_some() && self.disk.mark().is_some_and(|mark| !mark.voted);
        let starting = Starting {
            step: self.step.as_ref(),
            trouble: self.errands.trouble(),
            leaving: self.belonging.leaving.as_deref(),
            reopening: learns && !launcher.terminating,
            waiting_for_names: &self.waiting_for_names,
            running_since: self.running.map(|(_, since)| since),
            volume_trouble: self.wires.writable.borrow().trouble(Instant::now()),
        };
        judge(&notes::facts(launcher, observed, verdict.as_ref(), starting))
    }

    pub(super) fn show(&self, launcher: &Launcher, observed: &Observed, health: &Health) {
        let mark = self.disk.mark();
        let state = launcher.state.as_ref();
        let page = Page {
            health: health.clone(),
            etcd: observed.status.clone(),
            answered: observed.answered,
            pid: self.running.map(|(pid, _)| pid),
            restarts: state.map_or(0, |s| s.restarts),
            last_exit: state.and_then(|s| s.last_exit.clone()),
            members: observed.members.len(),
            connected: observed.links.as_ref().map(Links::connected),
            addresses: self.addresses(),
            volume_id: mark.map(|m| m.volume_id.clone()),
            counter: mark.map_or(0, |m| m.counter),
            claim: mark.map_or(0, |m| m.claim),
            api_server: self.wires.seen.borrow().connected,
            told: !self.owes_word && !self.ledger.is_writing(),
            turned: Instant::now(),
            ..first_page(&self.config, health.clone())
        };
        self.page.send_replace(page);
    }

    /// Writes the status when it is worth it and nothing else is being written. Returns whether it is worth it and has to
    /// wait.
    pub(super) fn publish(&mut self, launcher: &Launcher, observed: &Observed, health: &Health) -> bool {
        let (Some(object), Some(mark)) = (self.ledger.object(), self.disk.mark()) else { return false };
        let standing = self.ledger.claim();
        let mine = standing.is_none_or(|claim| claim.volume_id == mark.volume_id);
        let speaker = object.status.as_ref().and_then(|s| s.pod_uid.as_ref());
        let contested = speaker.is_some_and(|uid| *uid != self.config.pod_uid);
        // Another pod wrote after this one did: its successor, or a twin. One that is asked to end has nothing to add, and one
        // without the claim is the quieter.
        if contested && launcher.terminating && self.ledger.age() < Duration::MAX {
            return false;
        }
        if contested && !mine && self.ledger.age() < UNCLAIMED_PAUSE {
            return true;
        }
        let told = object.status.as_ref().map_or(0, |status| status.counter);
        let counter = publish::counter(mine.then_some(mark.counter), told);
        let next = self.status(launcher, observed, health, standing.cloned(), counter);
        match self.ledger.due(&next) {
            Due::No => false,
            Due::Soon => true,
            Due::Now if self.ledger.is_free() => {
                self.ledger.write(next, None);
                false
            }
            Due::Now => true,
        }
    }

    fn status(
        &self,
        launcher: &Launcher,
        observed: &Observed,
        health: &Health,
        claim: Option<Claim>,
        counter: i64,
    ) -> EtcdMemberStatus {
        let state = launcher.state.as_ref();
        publish::status(&publish::Inputs {
            generation: self.ledger.object().and_then(|o| o.metadata.generation),
            claim,
            counter,
            pod_uid: &self.config.pod_uid,
            address: &self.config.pod_ip,
            left: self.step == Some(Start::Left) || self.ledger.has_left(&self.config.pod_uid),
            membership: self.membership(observed, health.role),
            health,
            etcd: observed.status.as_ref(),
            member_id: self
                .disk
                .mark()
                .filter(|m| m.incarnation == self.me.incarnation)
                .and_then(|m| m.member_id.as_deref()),
            restarts: state.map_or(0, |s| s.restarts),
            last_exit: state.and_then(|s| s.last_exit.as_ref()).map(notes::published),
            agent_version: env!("CARGO_PKG_VERSION"),
        })
    }

    /// The addresses that etcd finds in its hosts file.
    fn addresses(&self) -> BTreeMap<String, String> {
        self.wires.book.borrow().believed().into_iter().collect()
    }

    /// Claims the member for this volume. Only the answer counts, see [`Self::note_claim`].
    pub(super) fn claim(&mut self, number: i64, member_id: Option<String>) {
        let Some(mark) = self.disk.mark() else { return };
        if !self.ledger.is_free() {
            return;
        }
        crash::point("before-claim");
        let (volume_id, counter) = (mark.volume_id.clone(), mark.counter);
        let claim = Claim { number, volume_id: volume_id.clone() };
        let (launcher, observed) = (self.wires.launcher.borrow().clone(), self.wires.observed.borrow().clone());
        let next = self.status(&launcher, &observed, &self.judge(&launcher, &observed), Some(claim), counter);
        self.ledger.write(next, Some(Claiming { volume_id, number, member_id }));
    }

    pub(super) async fn note_claim(&mut self, Claiming { volume_id, number, member_id }: Claiming) {
        crash::point("after-claim-accepted");
        info!(number, member_id, "the API server accepted this volume's claim to the member");
        self.disk.note_claim(&volume_id, number, member_id).await;
        crash::point("after-claim-marked");
    }
}

/// The page before anything is known.
pub(super) fn first_page(config: &args::Sidecar, health: Health) -> Page {
    Page {
        cluster_uid: config.cluster_uid.clone(),
        member: config.member.clone(),
        cluster: config.cluster.clone(),
        namespace: config.namespace.clone(),
        incarnation: config.incarnation,
        health,
        etcd: None,
        answered: None,
        pid: None,
        restarts: 0,
        last_exit: None,
        members: 0,
        connected: None,
        addresses: BTreeMap::new(),
        volume_id: None,
        counter: 0,
        claim: 0,
        api_server: false,
        told: false,
        turned: Instant::now(),
    }
}
