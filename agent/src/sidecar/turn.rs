//! One turn of the loop.

use std::time::{Duration, Instant};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::{info, warn};

use super::{
    disk::Disk,
    handover::hand_over,
    ledger::Ledger,
    notes::{self, Starting},
    orders::Orders,
    report::first_page,
};
use crate::{
    args, crash,
    etcd::{
        flags::{Entry, Whose, arguments},
        member::Member,
    },
    facts::{etcd::Observed, launcher::Launcher, volume::Writable},
    kube::watch::{Seen, View},
    launch::protocol::{Order, Process, Request},
    names::Book,
    plan::{
        gate,
        health::{self, judge},
        start::{Identity, Object, Start, start},
    },
    serve::Page,
    volume::{Store, mark::Address},
};

/// How long the API server's first answer is waited for before an intact volume starts without it.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// Channels to the other tasks.
pub(super) struct Wires {
    pub member: Member,
    pub seen: watch::Receiver<Seen>,
    pub launcher: watch::Receiver<Launcher>,
    pub observed: watch::Receiver<Observed>,
    pub writable: watch::Receiver<Writable>,
    pub book: watch::Receiver<Book>,
    pub offers: watch::Sender<Vec<(String, String)>>,
    pub requests: mpsc::Sender<Request>,
}

pub(super) struct Sidecar {
    pub(super) config: args::Sidecar,
    pub(super) me: Identity,
    pub(super) wires: Wires,
    pub(super) page: watch::Sender<Page>,
    pub(super) began: Instant,
    pub(super) disk: Disk,
    pub(super) ledger: Ledger,
    pub(super) orders: Orders,
    pub(super) step: Option<Start>,
    pub(super) waiting_for_names: Vec<String>,
    /// etcd's process, and since when it was seen.
    pub(super) running: Option<(i32, Instant)>,
    pub(super) handed_over: bool,
}

impl Sidecar {
    pub(super) fn new(
        config: args::Sidecar,
        store: Store,
        ledger: Ledger,
        wires: Wires,
    ) -> (Self, watch::Receiver<Page>) {
        let me = Identity {
            cluster_uid: config.cluster_uid.clone(),
            incarnation: config.incarnation,
            member: config.member.clone(),
        };
        let starting = Starting { step: None, waiting_for_names: &[], running_since: None, volume_trouble: None };
        let health = judge(&notes::facts(&Launcher::default(), &Observed::default(), None, starting));
        let (page, pages) = watch::channel(first_page(&config, health));
        let sidecar = Self {
            config,
            me,
            wires,
            page,
            began: Instant::now(),
            disk: Disk::new(store),
            ledger,
            orders: Orders::default(),
            step: None,
            waiting_for_names: vec![],
            running: None,
            handed_over: false,
        };
        (sidecar, pages)
    }

    /// Turns until the future is dropped.
    pub(super) async fn turn_for_ever(mut self) -> anyhow::Result<()> {
        loop {
            self.turn().await;
            let nap = if self.orders.is_startable() { Duration::from_millis(20) } else { Duration::from_secs(1) };
            // Every arm is cancel-safe: changes stay pending in their watch, the end of a write stays in its channel.
            tokio::select! {
                changed = self.wires.seen.changed() => changed?,
                changed = self.wires.launcher.changed() => changed?,
                changed = self.wires.observed.changed() => changed?,
                changed = self.wires.book.changed() => changed?,
                changed = self.wires.writable.changed() => changed?,
                written = self.ledger.ended() => {
                    if let Some(accepted) = self.ledger.finish(written) {
                        self.note_claim(accepted).await;
                    }
                }
                () = sleep(nap) => {}
            }
        }
    }

    async fn turn(&mut self) {
        let launcher = self.wires.launcher.borrow_and_update().clone();
        let observed = self.wires.observed.borrow_and_update().clone();
        let seen = self.wires.seen.borrow_and_update().object.clone();
        self.ledger.take(seen);
        self.note_process(&launcher, &observed);
        if launcher.terminating {
            self.step = None;
            self.prepare_to_stop(&observed).await;
        } else if may_start(&launcher) {
            let known = self.known();
            let step = start(&self.me, self.disk.look().await, &known);
            self.perform(&step, &launcher).await;
            self.step = Some(step);
        } else {
            self.step = None;
            self.orders.not_startable();
            self.stand_by(&launcher).await;
        }
        self.offer_names();
        let health = self.judge(&launcher, &observed);
        self.show(&launcher, &observed, &health);
        self.publish(&launcher, &observed, &health);
    }

    fn known(&self) -> Object {
        match (self.ledger.object(), &self.wires.seen.borrow().object) {
            (Some(object), _) => Object::Known(notes::known(object, &self.config)),
            (None, View::Unheard) if self.began.elapsed() < FIRST_ANSWER => Object::Awaited,
            (None, View::Unheard) => Object::Away,
            (None, View::Missing | View::Present(_)) => Object::Missing,
        }
    }

    fn note_process(&mut self, launcher: &Launcher, observed: &Observed) {
        let pid = launcher.state.as_ref().and_then(|state| match state.process {
            Process::Running { pid } => Some(pid),
            Process::Idle | Process::Stopping { .. } | Process::Pausing { .. } => None,
        });
        if pid != self.running.map(|(pid, _)| pid) {
            self.running = pid.map(|pid| (pid, Instant::now()));
            if pid.is_some() {
                crash::point("after-running");
            }
        }
        if observed.confirmed {
            self.orders.served();
        }
    }

    async fn perform(&mut self, step: &Start, launcher: &Launcher) {
        match step {
            Start::Touch => self.disk.touch(&self.me).await,
            Start::SetLived => self.disk.set_lived().await,
            Start::Claim { number, member_id } => self.claim(*number, member_id),
            Start::Bootstrap => self.order(gate::Start::First, launcher).await,
            Start::Resume => self.order(gate::Start::Again, launcher).await,
            Start::Join(_) | Start::Wait(_) | Start::Hold(_) => {
                self.orders.not_startable();
                if self.step.as_ref() != Some(step) {
                    info!(?step, "etcd is not started");
                }
            }
        }
    }

    /// Orders etcd to start, when the names are known, an earlier order is settled and the counter has risen.
    async fn order(&mut self, how: gate::Start, launcher: &Launcher) {
        let waited = self.orders.startable();
        self.waiting_for_names = self.missing_names(how, waited);
        let Some(state) = launcher.state.as_ref().filter(|state| state.process == Process::Idle) else { return };
        if !self.waiting_for_names.is_empty() || !self.orders.is_due() || !self.disk.count_start(self.peers()).await {
            return;
        }
        let Some(identity) = self.disk.mark().map(crate::volume::Mark::identity) else { return };
        let first = how == gate::Start::First;
        info!(order = state.order + 1, first, "etcd is started");
        crash::point("before-order");
        let order = Order { number: state.order + 1, first, args: self.arguments(how), identity };
        self.orders.give();
        // Closed: the connection is gone, and the next launcher gets an order of its own.
        let _ = self.wires.requests.send(Request::Start(order)).await;
        crash::point("after-order");
    }

    fn arguments(&self, how: gate::Start) -> Vec<String> {
        let data_dir = self.disk.store().data_dir();
        let whose = Whose {
            namespace: &self.config.namespace,
            cluster: &self.config.cluster,
            member: &self.config.member,
            version: self.config.version,
            data_dir: &data_dir,
        };
        let entry = match (how, self.ledger.object()) {
            (gate::Start::First, Some(object)) => {
                Entry::New { members: &object.spec.initial_members, token: &object.spec.token }
            }
            (gate::Start::First, None) | (gate::Start::Again, _) => Entry::OnDisk,
        };
        arguments(&whose, &self.config.options, &entry)
    }

    fn missing_names(&self, how: gate::Start, waited: Duration) -> Vec<String> {
        let wanted: Vec<String> = match (how, self.ledger.object()) {
            (gate::Start::First, Some(object)) => object.spec.initial_members.clone(),
            (gate::Start::First, None) | (gate::Start::Again, _) => self.peers().into_iter().map(|p| p.name).collect(),
        };
        let wanted: Vec<String> = wanted.into_iter().filter(|name| *name != self.me.member).collect();
        let book = self.wires.book.borrow();
        let known: Vec<String> = book.believed().into_iter().map(|(name, _)| name).collect();
        let confirmed: Vec<String> = book.confirmed().into_iter().collect();
        gate::missing(how, &wanted, &known, &confirmed, waited)
    }

    /// The other members' addresses: from the EtcdMember, or as they were when the mark was last written.
    fn peers(&self) -> Vec<Address> {
        let address = |name: &str, address: &str| Address { name: name.to_owned(), address: address.to_owned() };
        let published = self.ledger.object().map(|object| &object.spec.peers).filter(|peers| !peers.is_empty());
        let all: Vec<Address> = match (published, self.disk.mark()) {
            (Some(peers), _) => peers.iter().map(|p| address(&p.name, &p.address)).collect(),
            (None, Some(mark)) => mark.peers.clone(),
            (None, None) => vec![],
        };
        all.into_iter().filter(|peer| peer.name != self.me.member).collect()
    }

    fn offer_names(&self) {
        let offered: Vec<_> = self.peers().into_iter().map(|peer| (peer.name, peer.address)).collect();
        self.wires.offers.send_if_modified(|old| {
            let changed = *old != offered;
            *old = offered;
            changed
        });
    }

    /// What is due while etcd runs, pauses or stops.
    async fn stand_by(&mut self, launcher: &Launcher) {
        if self.disk.mark().is_none() {
            self.disk.look().await;
        }
        if self.is_superseded() && notes::process(launcher) == health::Process::Running {
            warn!("another volume speaks for this member now; etcd is stopped");
            // Full: the launcher has enough to do; the next turn asks again.
            let _ = self.wires.requests.try_send(Request::Halt);
        }
        if self.disk.is_counter_due() {
            self.disk.raise_counter(self.peers()).await;
        }
    }

    fn is_superseded(&self) -> bool {
        match (self.ledger.claim(), self.disk.mark()) {
            (Some(claim), Some(mark)) => claim.volume_id != mark.volume_id && claim.number > mark.claim,
            (None, _) | (_, None) => false,
        }
    }

    async fn prepare_to_stop(&mut self, observed: &Observed) {
        if std::mem::replace(&mut self.handed_over, true) {
            return;
        }
        info!("etcd is about to be stopped");
        let role = self.page.borrow().health.role;
        let (member, members, requests) =
            (self.wires.member.clone(), observed.members.clone(), self.wires.requests.clone());
        tokio::spawn(hand_over(member, members, role, requests));
        self.disk.raise_counter(self.peers()).await;
    }
}

/// Whether a start may be prepared: no launcher is known that runs etcd, or will by itself. Every step before the order
/// is right also while a launcher that cannot be heard runs it.
fn may_start(launcher: &Launcher) -> bool {
    launcher.state.as_ref().is_none_or(|state| state.process == Process::Idle)
}
