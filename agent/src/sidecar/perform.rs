//! Performs a step: two matches, without a rule of their own.

mod backups;
mod compare;
mod upkeep;
mod users;

use std::{path::Path, time::Instant};

use etcd_operator_shared::{api::EtcdMemberSpec, options::digest};
use tracing::{info, warn};

use super::{
    facts::View,
    hands::{Hands, membership::Change, object::Claiming, restore::Due},
    memory::Memory,
    publish,
    tasks::Told,
};
use crate::{
    args, crash,
    etcd::{
        flags::{self, Entry, Lines, Tls, Whose, everywhere, lines},
        peers::Act,
    },
    launch::protocol::{Order, Process, Request},
    plan::{
        addresses::Launch,
        learn::Learn,
        leave::Leave,
        options,
        running::{Running, Wrong},
        start::{Identity, Snapshot, Start},
    },
    tls::bundle::Pools,
    volume::{mark::Address, restore::Owner},
};

/// What performing takes, lent for one turn.
pub(super) struct Performer<'a> {
    pub config: &'a args::Sidecar,
    pub me: &'a Identity,
    pub told: &'a Told,
    pub memory: &'a mut Memory,
    pub hands: &'a mut Hands,
    pub now: Instant,
}

impl Performer<'_> {
    /// A step towards a start.
    pub(super) async fn start(mut self, step: &Start) {
        if !matches!(step, Start::Restore(_)) {
            self.hands.restores.rest();
        }
        match step {
            Start::Touch => self.hands.volume.touch(self.me).await,
            Start::SetLived => self.hands.volume.set_lived().await,
            Start::Trust => self.hands.volume.trust().await,
            Start::Claim { number, member_id } => self.claim(*number, member_id.clone()),
            Start::Bootstrap => self.order(Launch::Bootstrap).await,
            Start::Restore(wanted) => self.restore(wanted).await,
            Start::Resume => self.order(Launch::Resume).await,
            Start::Join => self.order(Launch::Join).await,
            Start::SetAside(lost) => self.hands.volume.set_aside(*lost).await,
            Start::Renew { replacing } => self.hands.volume.renew(self.me, *replacing).await,
            Start::Retire => self.hands.volume.retire(&self.me.pod_uid).await,
            Start::Remove { id } => self.act(Act::Remove { id: id.clone() }),
            Start::Add => self.act(Act::Add { peer_url: self.config.peer_url() }),
            Start::Left | Start::Stranded(_) | Start::Wait(_) | Start::Hold(_) => {}
        }
    }

    /// A step while etcd runs.
    pub(super) async fn running(mut self, step: Running) {
        if !matches!(step, Running::Leave(_)) {
            self.memory.membership.leaving = None;
        }
        match step {
            Running::Kill(wrong) => self.kill(wrong).await,
            Running::Halt(why) => {
                info!(why = why.sentence(), "etcd is stopped");
                self.hands.request(Request::Halt);
            }
            Running::HandOver { to } => self.hands.membership.begin(Change::MoveLeader { to }, vec![], self.now),
            Running::Record(voters) => self.hands.volume.record(voters).await,
            Running::Version { version, cluster } => self.hands.volume.note_version(version, cluster).await,
            Running::Options(options) => self.hands.volume.keep_options(options).await,
            Running::Hurry => self.hands.request(Request::Kill),
            Running::Count => {
                let peers = self.peers();
                self.hands.volume.raise_counter(peers).await;
            }
            Running::Claim { number, member_id } => self.claim(number, Some(member_id)),
            Running::Leave(step) => self.leave(step),
            Running::Learn(step) => self.learn(step).await,
            Running::Remove(removal) => {
                info!(member = removal.member, why = removal.why.sentence(), "removed beside the leader");
                let change = Change::Act(Act::Remove { id: removal.id });
                self.hands.membership.begin(change, vec![self.hands.member.endpoint()], self.now);
            }
            Running::Downgrade(step) => self.hands.membership.begin(Change::Downgrade(step), vec![], self.now),
            Running::Compare(step) => self.compare(step),
            Running::Upkeep(step) => self.upkeep(step),
            Running::Nothing => {}
        }
    }

    /// First the end, then the record of why: an etcd that is started in between meets the same judgement.
    async fn kill(&mut self, wrong: Wrong) {
        self.stop_at_once();
        match wrong {
            Wrong::Suspicious(suspicion) => {
                warn!(why = suspicion.sentence(), "etcd is stopped at once");
                self.hands.volume.suspect(suspicion).await;
            }
            Wrong::OlderCopy { volume, object } => {
                warn!(volume, object, "etcd runs on an older copy of its volume; it is stopped at once");
            }
        }
    }

    /// A launcher of before this request stops etcd in good order, which can take long.
    fn stop_at_once(&self) {
        self.hands.request(if self.told.launcher.protocol >= 2 { Request::Kill } else { Request::Halt });
    }

    fn leave(&mut self, step: Leave) {
        let leaving = &mut self.memory.membership.leaving;
        *leaving = match (&step, self.hands.membership.trouble()) {
            // What was begun is not over because the others are being asked again.
            (Leave::Silent, _) => leaving.take(),
            (Leave::After(_), _) => None,
            (_, Some(why)) => Some(format!("the member is leaving the cluster; it is tried again: {why}")),
            (_, None) => Some("the member is leaving the cluster".into()),
        };
        match step {
            // Out of the membership and not wanted any more: nothing can be finished here, only clients kept waiting.
            Leave::Halt => {
                crash::point("before-kill");
                self.stop_at_once();
            }
            Leave::MoveLeader { to } => self.hands.membership.begin(Change::MoveLeader { to }, vec![], self.now),
            Leave::Remove { id } => self.act(Act::Remove { id }),
            Leave::After(_) | Leave::Silent => {}
        }
    }

    async fn learn(&mut self, step: Learn) {
        match step {
            Learn::Done => {
                info!("the member votes");
                self.memory.membership.votes = true;
                self.hands.volume.note_vote().await;
            }
            Learn::Promote { id } => self.act(Act::Promote { id }),
            Learn::Reopen { id } if self.told.launcher.protocol >= 2 => {
                info!(id, "etcd learned of its own place from a snapshot; it is started once more, to serve at once");
                self.memory.membership.reopened = Some(id);
                self.memory.orders.obeyed();
                self.hands.request(Request::Kill);
            }
            // Stopping it in good order would take longer than what it is for.
            Learn::Reopen { .. } | Learn::Wait => {}
            Learn::GiveUp { id } => {
                warn!(id, "the learner makes no progress and gives its place up");
                self.hands.membership.rest(self.now);
                self.act(Act::Remove { id });
            }
        }
    }

    fn view(&self) -> View<'_> {
        let Self { config, me, told, hands, now, .. } = self;
        View { config, me, told, hands, now: *now }
    }

    fn peers(&self) -> Vec<Address> {
        self.view().peers()
    }

    /// Changes the membership through the other members.
    fn act(&mut self, act: Act) {
        let endpoints = self.view().endpoints();
        self.hands.membership.begin(Change::Act(act), endpoints, self.now);
    }

    /// Claims the member for this volume. Only the answer counts, see [`note_claim`].
    fn claim(&mut self, number: i64, member_id: Option<String>) {
        let Some(mark) = self.hands.volume.mark() else { return };
        if !self.hands.object.is_free() {
            return;
        }
        crash::point("before-claim");
        let claiming = Claiming { volume_id: mark.volume_id.clone(), number, member_id };
        let status = publish::claim(self.view(), self.memory, &claiming);
        self.hands.object.write(status, Some(claiming));
    }

    /// Orders etcd to start, when an earlier order is settled and the counter has risen.
    async fn order(&mut self, launch: Launch) {
        let Some(state) = self.told.launcher.state.as_ref().filter(|state| state.process == Process::Idle) else {
            return;
        };
        let peers = self.peers();
        if !self.memory.orders.is_due(self.now) || !self.hands.volume.count_start(peers).await {
            return;
        }
        self.hands.restores.clear().await;
        let Some(volume) = self.hands.volume.mark().map(|mark| (&mark.identity).into()) else { return };
        let (number, first) = (state.order + 1, launch != Launch::Resume);
        let said = options::chosen(self.view().options()).to_owned();
        let Some(Lines { now: args, again }) = self.arguments(launch, &said) else { return };
        self.hands.certificates.note_order();
        info!(order = number, first, options = said, "etcd is started");
        crash::point("before-order");
        self.memory.orders.give(number, self.now);
        // Full, or closed as the connection is gone: the order is given again when nothing was heard of it.
        let (options, pools) = (Some(digest(&said)), self.hands.certificates.believes());
        let order = Order { number, first, args, again, options, pools, volume };
        let _ = self.hands.requests.try_send(Request::Start(order));
        crash::point("after-order");
    }

    /// One step further to the data that the cluster begins with. Only the last one touches what etcd looks at.
    async fn restore(&mut self, wanted: &Snapshot) {
        let Some(identity) = self.hands.volume.mark().map(|mark| mark.identity.clone()) else { return };
        let Some(member_id) = identity.member_id.clone() else { return };
        let owner = Owner { member_id, cluster_id: self.config.cluster_id.clone() };
        match self.hands.restores.turn(wanted, &owner, &self.told.launcher, self.now) {
            Due::Nothing => {}
            Due::Ask(number) => {
                let Some(args) = self.restore_arguments(wanted.bump) else { return };
                crash::point("before-restore");
                // Full, or closed as the connection is gone: it is asked again when nothing was heard of it.
                let request = self.hands.restores.request(number, args, (&identity).into()).await;
                let _ = self.hands.requests.try_send(request);
            }
            Due::Place => {
                let outcome = self.hands.volume.place_restored().await;
                self.hands.restores.placed(outcome, self.now);
            }
        }
    }

    fn restore_arguments(&self, bump: u64) -> Option<Vec<String>> {
        let (object, store) = (self.hands.object.object()?, self.hands.volume.store());
        let (pools, data_dir) = (self.hands.certificates.pools(), store.restored_dir());
        let EtcdMemberSpec { initial_members, token, .. } = &object.spec;
        let whose = self.whose(&pools, &data_dir);
        Some(flags::restore(&whose, &store.snapshot_path(), initial_members, token, bump))
    }

    fn whose<'b>(&'b self, Pools { peer, client, revoked }: &'b Pools, data_dir: &'b Path) -> Whose<'b> {
        Whose {
            namespace: &self.config.namespace,
            cluster: &self.config.cluster,
            member: &self.config.member,
            version: self.view().binary().unwrap_or(self.config.version),
            data_dir,
            listen: everywhere(),
            tls: Tls {
                folder: Some(&self.config.tls),
                peer: peer.as_deref(),
                client: client.as_deref(),
                revoked: revoked.as_deref(),
            },
        }
    }

    fn arguments(&self, launch: Launch, options: &str) -> Option<Lines> {
        let (pools, data_dir) = (self.hands.certificates.pools(), self.hands.volume.store().data_dir());
        let whose = self.whose(&pools, &data_dir);
        let cluster = self.view().cluster(&self.memory.membership);
        let members: Vec<String> =
            cluster.list().unwrap_or_default().iter().map(|entry| entry.member.clone()).collect();
        let entry = match (launch, self.hands.object.object()) {
            (Launch::Bootstrap, Some(object)) => {
                Entry::New { members: &object.spec.initial_members, token: &object.spec.token }
            }
            (Launch::Join, _) => Entry::Added { members: &members },
            (Launch::Bootstrap, None) | (Launch::Resume, _) => Entry::OnDisk,
        };
        // Both were understood before: by this agent, or by the one that served with them.
        let flags = args::options(options).or_else(|_| args::options(&self.config.options));
        flags.map(|flags| lines(&whose, &flags, &entry)).ok()
    }
}

/// An accepted claim goes onto the mark.
pub(super) async fn note_claim(hands: &mut Hands, Claiming { volume_id, number, member_id }: Claiming) {
    crash::point("after-claim-accepted");
    info!(number, member_id, "the API server accepted this volume's claim to the member");
    hands.volume.note_claim(&volume_id, number, member_id).await;
    crash::point("after-claim-marked");
}
