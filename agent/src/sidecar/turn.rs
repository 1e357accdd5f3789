//! One turn of the loop, and the state that it owns.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::kube::{Api, ResourceExt};
use etcd_operator_shared::api::{EtcdMember, EtcdMemberStatus, member::Claim};
use rand::RngExt;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::{info, warn};

use super::{
    handover::hand_over,
    notes::{self, Starting},
};
use crate::{
    args, crash,
    etcd::{
        flags::{Entry, Whose, arguments},
        member::Member,
    },
    facts::{etcd::Observed, launcher::Launcher, volume::Writable},
    kube::{
        notebook::{self, WriteError},
        watch::{Seen, View},
    },
    launch::protocol::{Order, Process, Request},
    names::{Book, task::WhoAmI},
    plan::{
        gate,
        health::{Health, judge},
        publish,
        start::{Identity, Object, Start, start},
    },
    serve::Page,
    volume::{
        Mark, Store, Volume,
        mark::{Address, FORMAT},
    },
};

/// How long the API server's first answer is waited for before an intact volume starts without it.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How often the counter rises while nothing else makes it.
const COUNTER: Duration = Duration::from_secs(15 * 60);
/// Pause after a write that the API server did not take.
const WRITE_PAUSE: Duration = Duration::from_secs(2);
/// How often an agent whose claim does not stand may say so: its word must not drown the claimant's.
const UNCLAIMED_PAUSE: Duration = Duration::from_secs(30);
/// An order that the launcher did not obey is given again after this.
const ORDER_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between orders for an etcd that keeps ending.
const LONGEST_ORDER_PAUSE: Duration = Duration::from_secs(10);

/// Channels to the other tasks.
pub(super) struct Wires {
    pub api: Api<EtcdMember>,
    pub member: Member,
    pub seen: watch::Receiver<Seen>,
    pub launcher: watch::Receiver<Launcher>,
    pub observed: watch::Receiver<Observed>,
    pub writable: watch::Receiver<Writable>,
    pub book: watch::Receiver<Book>,
    pub offers: watch::Sender<Vec<(String, String)>>,
    pub requests: mpsc::Sender<Request>,
}

/// A claim under way: its number, and the ID that goes onto the mark with it.
struct Claiming {
    number: i64,
    member_id: String,
}

/// The end of a write to the EtcdMember, and the claim that it made, if it made one.
struct Written {
    claim: Option<Claiming>,
    answer: Result<EtcdMember, WriteError>,
}

pub(super) struct Sidecar {
    config: args::Sidecar,
    me: Identity,
    store: Store,
    wires: Wires,
    page: watch::Sender<Page>,
    began: Instant,
    volume: Volume,
    /// The newest EtcdMember seen, by the watch or in the answer to a write.
    object: Option<Arc<EtcdMember>>,
    step: Option<Start>,
    waiting_for_names: Vec<String>,
    /// Since when the plan says that etcd may start.
    startable_since: Option<Instant>,
    ordered: Option<Instant>,
    /// Orders since etcd last served.
    orders: u32,
    running: Option<(i32, Instant)>,
    counted: Instant,
    /// Whether the counter has risen for the next start already.
    counted_for_start: bool,
    /// Whether a write is under way; its end comes through the channel.
    writing: bool,
    write_ends: (mpsc::Sender<Written>, mpsc::Receiver<Written>),
    written: Option<Instant>,
    write_after: Instant,
    handed_over: bool,
}

impl Sidecar {
    pub(super) fn new(config: args::Sidecar, store: Store, wires: Wires) -> (Self, watch::Receiver<Page>) {
        let me = Identity {
            cluster_uid: config.cluster_uid.clone(),
            incarnation: config.incarnation,
            member: config.member.clone(),
        };
        let now = Instant::now();
        let starting = Starting { step: None, waiting_for_names: &[], running_since: None, volume_trouble: None };
        let health = judge(&notes::facts(&Launcher::default(), &Observed::default(), None, starting));
        let (page, pages) = watch::channel(first_page(&config, health));
        let sidecar = Self {
            config,
            me,
            store,
            wires,
            page,
            began: now,
            volume: Volume::Unreadable("it has not been looked at yet".into()),
            object: None,
            step: None,
            waiting_for_names: vec![],
            startable_since: None,
            ordered: None,
            orders: 0,
            running: None,
            counted: now,
            counted_for_start: false,
            writing: false,
            write_ends: mpsc::channel(1),
            written: None,
            write_after: now,
            handed_over: false,
        };
        (sidecar, pages)
    }

    /// Turns until the future is dropped.
    pub(super) async fn turn_for_ever(mut self) -> anyhow::Result<()> {
        loop {
            self.turn().await;
            let nap = if self.startable_since.is_some() { Duration::from_millis(20) } else { Duration::from_secs(1) };
            // Every arm is cancel-safe: changes stay pending in their watch, the end of a write stays in its channel.
            tokio::select! {
                changed = self.wires.seen.changed() => changed?,
                changed = self.wires.launcher.changed() => changed?,
                changed = self.wires.observed.changed() => changed?,
                changed = self.wires.book.changed() => changed?,
                changed = self.wires.writable.changed() => changed?,
                Some(written) = self.write_ends.1.recv() => self.finish_write(written).await,
                () = sleep(nap) => {}
            }
        }
    }

    async fn turn(&mut self) {
        let launcher = self.wires.launcher.borrow_and_update().clone();
        let observed = self.wires.observed.borrow_and_update().clone();
        self.take_object();
        self.note_process(&launcher, &observed);
        if launcher.terminating {
            self.step = None;
            self.prepare_to_stop(&observed).await;
        } else if may_start(&launcher) {
            self.volume = self.look().await;
            let step = start(&self.me, &self.volume, &self.known());
            self.perform(&step, &launcher).await;
            self.step = Some(step);
        } else {
            self.step = None;
            self.startable_since = None;
            self.stand_by(&launcher).await;
        }
        self.offer_names();
        let health = self.judge(&launcher, &observed);
        self.show(&launcher, &observed, &health);
        self.publish(&launcher, &observed, &health);
    }

    /// Takes the newer of what the watch shows and what the last write answered.
    fn take_object(&mut self) {
        let seen = self.wires.seen.borrow_and_update().clone();
        match seen.object {
            View::Unheard => {}
            View::Missing => self.object = None,
            View::Present(object) => self.take_newer(object),
        }
    }

    fn take_newer(&mut self, object: Arc<EtcdMember>) {
        let version = |o: &EtcdMember| o.resource_version().and_then(|v| v.parse::<u64>().ok());
        let older =
            self.object.as_ref().is_some_and(|own| own.uid() == object.uid() && version(own) > version(&object));
        if !older {
            self.object = Some(object);
        }
    }

    fn known(&self) -> Object {
        match (&self.object, &self.wires.seen.borrow().object) {
            (Some(object), _) => Object::Known(notes::known(object, &self.config)),
            (None, View::Unheard) if self.began.elapsed() < FIRST_ANSWER => Object::Awaited,
            (None, View::Unheard) => Object::Away,
            (None, View::Missing | View::Present(_)) => Object::Missing,
        }
    }

    fn mark(&self) -> Option<&Mark> {
        match &self.volume {
            Volume::Marked(marked) => Some(&marked.mark),
            Volume::Unreadable(_) | Volume::Blank | Volume::Unmarked => None,
        }
    }

    async fn look(&self) -> Volume {
        let store = self.store.clone();
        blocking(move || Ok(store.look())).await.unwrap_or_else(|error| Volume::Unreadable(error.to_string()))
    }

    /// Writes the mark, and trusts only what was written.
    async fn write_mark(&mut self, mark: Mark) -> bool {
        let (store, written) = (self.store.clone(), mark.clone());
        match blocking(move || store.write_mark(&written)).await {
            Ok(()) => {
                self.volume = match std::mem::replace(&mut self.volume, Volume::Blank) {
                    Volume::Marked(marked) => Volume::Marked(crate::volume::store::Marked { mark, ..marked }),
                    Volume::Blank | Volume::Unmarked | Volume::Unreadable(_) => {
                        Volume::Marked(crate::volume::store::Marked { mark, lived: false, wal: false })
                    }
                };
                true
            }
            Err(error) => {
                warn!(%error, "cannot write the mark");
                false
            }
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
            self.orders = 0;
        }
        let obeyed = launcher.state.as_ref().is_some_and(|state| state.process != Process::Idle);
        if obeyed {
            self.ordered = None;
        }
    }

    async fn perform(&mut self, step: &Start, launcher: &Launcher) {
        match step {
            Start::Touch => self.touch().await,
            Start::SetLived => {
                let store = self.store.clone();
                if let Err(error) = blocking(move || store.set_lived()).await {
                    warn!(%error, "cannot record that a WAL was seen");
                }
            }
            Start::Claim { number, member_id } => self.claim(*number, member_id),
            Start::Bootstrap => self.order(gate::Start::First, launcher).await,
            Start::Resume => self.order(gate::Start::Again, launcher).await,
            Start::Join(_) | Start::Wait(_) | Start::Hold(_) => {
                self.startable_since = None;
                if self.step.as_ref() != Some(step) {
                    info!(?step, "etcd is not started");
                }
            }
        }
    }

    async fn touch(&mut self) {
        crash::point("before-touch");
        let volume_id = format!("{:032x}", rand::rng().random::<u128>());
        info!(volume_id, "the volume is marked for this member");
        let mark = Mark {
            format: FORMAT,
            cluster_uid: self.me.cluster_uid.clone(),
            incarnation: self.me.incarnation,
            member: self.me.member.clone(),
            volume_id,
            claim: 0,
            member_id: None,
            counter: 0,
            peers: vec![],
        };
        self.write_mark(mark).await;
        crash::point("after-touch");
    }

    /// Orders etcd to start, when the names are known, an earlier order is settled and the counter has risen.
    async fn order(&mut self, how: gate::Start, launcher: &Launcher) {
        let since = *self.startable_since.get_or_insert_with(Instant::now);
        self.waiting_for_names = self.missing_names(how, since.elapsed());
        let pause = if self.orders == 0 {
            ORDER_PAUSE
        } else {
            LONGEST_ORDER_PAUSE.min(Duration::from_secs(1 << self.orders.min(4)))
        };
        let too_soon = self.ordered.is_some_and(|at| at.elapsed() < pause) || since.elapsed() < self.order_delay();
        let launcher_rests = launcher.state.as_ref().is_some_and(|state| state.process == Process::Idle);
        if !self.waiting_for_names.is_empty() || too_soon || !launcher_rests {
            return;
        }
        if !std::mem::take(&mut self.counted_for_start) && !self.raise_counter().await {
            return;
        }
        let (Some(mark), Some(state)) = (self.mark().cloned(), launcher.state.as_ref()) else { return };
        let args = self.arguments(how);
        info!(order = state.order + 1, first = how == gate::Start::First, "etcd is started");
        crash::point("before-order");
        let order =
            Order { number: state.order + 1, first: how == gate::Start::First, args, identity: mark.identity() };
        if self.wires.requests.send(Request::Start(order)).await.is_ok() {
            self.ordered = Some(Instant::now());
            self.orders += 1;
        }
        crash::point("after-order");
    }

    /// An etcd that ended again and again without serving is started ever more rarely.
    fn order_delay(&self) -> Duration {
        match self.orders {
            0 | 1 => Duration::ZERO,
            n => LONGEST_ORDER_PAUSE.min(Duration::from_secs(1 << n.min(4))),
        }
    }

    fn arguments(&self, how: gate::Start) -> Vec<String> {
        let data_dir = self.store.data_dir();
        let whose = Whose {
            namespace: &self.config.namespace,
            cluster: &self.config.cluster,
            member: &self.config.member,
            version: self.config.version,
            data_dir: &data_dir,
        };
        let entry = match (how, &self.object) {
            (gate::Start::First, Some(object)) => {
                Entry::New { members: &object.spec.initial_members, token: &object.spec.token }
            }
            (gate::Start::First, None) | (gate::Start::Again, _) => Entry::OnDisk,
        };
        arguments(&whose, &self.config.options, &entry)
    }

    fn missing_names(&self, how: gate::Start, waited: Duration) -> Vec<String> {
        let book = self.wires.book.borrow();
        let wanted: Vec<String> = match (how, &self.object) {
            (gate::Start::First, Some(object)) => object.spec.initial_members.clone(),
            (gate::Start::First, None) | (gate::Start::Again, _) => {
                self.addresses().into_iter().map(|(name, _)| name).collect()
            }
        };
        let wanted: Vec<String> = wanted.into_iter().filter(|name| *name != self.me.member).collect();
        let known: Vec<String> = book.believed().into_iter().map(|(name, _)| name).collect();
        let confirmed: Vec<String> = book.confirmed().into_iter().collect();
        gate::missing(how, &wanted, &known, &confirmed, waited)
    }

    /// The other members' addresses: from the EtcdMember, or as they were when the mark was last written.
    fn addresses(&self) -> Vec<(String, String)> {
        let from_object = self.object.as_ref().map(|object| &object.spec.peers).filter(|peers| !peers.is_empty());
        let all: Vec<(String, String)> = match (from_object, self.mark()) {
            (Some(peers), _) => peers.iter().map(|p| (p.name.clone(), p.address.clone())).collect(),
            (None, Some(mark)) => mark.peers.iter().map(|p| (p.name.clone(), p.address.clone())).collect(),
            (None, None) => vec![],
        };
        all.into_iter().filter(|(name, _)| *name != self.me.member).collect()
    }

    fn offer_names(&self) {
        let addresses = self.addresses();
        self.wires.offers.send_if_modified(|old| {
            let changed = *old != addresses;
            *old = addresses;
            changed
        });
    }

    /// Raises the counter on the volume; the object follows with the next publication.
    async fn raise_counter(&mut self) -> bool {
        let Some(mark) = self.mark().cloned() else { return false };
        let peers = self.addresses().into_iter().map(|(name, address)| Address { name, address }).collect();
        self.counted = Instant::now();
        self.write_mark(Mark { counter: mark.counter + 1, peers, ..mark }).await
    }

    /// What is due while etcd runs, pauses or stops.
    async fn stand_by(&mut self, launcher: &Launcher) {
        if self.mark().is_none() {
            self.volume = self.look().await;
        }
        if self.is_superseded() && notes::process(launcher) == crate::plan::health::Process::Running {
            warn!("another volume speaks for this member now; etcd is stopped");
            let _ = self.wires.requests.try_send(Request::Halt);
        }
        if self.counted.elapsed() >= COUNTER {
            self.raise_counter().await;
        }
    }

    fn standing_claim(&self) -> Option<&Claim> {
        self.object.as_ref()?.status.as_ref()?.claim.as_ref()
    }

    fn is_superseded(&self) -> bool {
        match (self.standing_claim(), self.mark()) {
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
        self.raise_counter().await;
    }

    fn judge(&self, launcher: &Launcher, observed: &Observed) -> Health {
        let verdict = notes::verdict(launcher);
        let starting = Starting {
            step: self.step.as_ref(),
            waiting_for_names: &self.waiting_for_names,
            running_since: self.running.map(|(_, since)| since),
            volume_trouble: self.wires.writable.borrow().trouble(Instant::now()),
        };
        judge(&notes::facts(launcher, observed, verdict.as_ref(), starting))
    }

    fn show(&self, launcher: &Launcher, observed: &Observed, health: &Health) {
        let mark = self.mark();
        let state = launcher.state.as_ref();
        let page = Page {
            health: health.clone(),
            etcd: observed.status.clone(),
            answered: observed.answered,
            pid: self.running.map(|(pid, _)| pid),
            restarts: state.map_or(0, |s| s.restarts),
            last_exit: state.and_then(|s| s.last_exit.clone()),
            members: observed.members.len(),
            active_peers: observed.active_peers,
            volume_id: mark.map(|m| m.volume_id.clone()),
            counter: mark.map_or(0, |m| m.counter),
            claim: mark.map_or(0, |m| m.claim),
            api_server: self.wires.seen.borrow().connected,
            turned: Instant::now(),
            ..first_page(&self.config, health.clone())
        };
        self.page.send_replace(page);
    }

    /// Writes the status when it is worth it and nothing else is being written.
    fn publish(&mut self, launcher: &Launcher, observed: &Observed, health: &Health) {
        let Some(object) = self.object.clone() else { return };
        let Some(mark) = self.mark() else { return };
        let standing = self.standing_claim();
        let mine = standing.is_none_or(|claim| claim.volume_id == mark.volume_id);
        let ago = self.written.map_or(Duration::MAX, |at| at.elapsed());
        if self.writing || Instant::now() < self.write_after || (!mine && ago < UNCLAIMED_PAUSE) {
            return;
        }
        let counter = if mine { mark.counter } else { notes::known(&object, &self.config).counter };
        let next = self.status(launcher, observed, health, standing.cloned(), counter);
        if publish::is_due(object.status.as_ref(), &next, ago) {
            self.write(object, next, None);
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
            generation: self.object.as_ref().and_then(|o| o.metadata.generation),
            claim,
            counter,
            pod_uid: &self.config.pod_uid,
            health,
            etcd: observed.status.as_ref(),
            member_id: self.mark().and_then(|m| m.member_id.as_deref()),
            restarts: state.map_or(0, |s| s.restarts),
            last_exit: state.and_then(|s| s.last_exit.as_ref()).map(notes::published),
            agent_version: env!("CARGO_PKG_VERSION"),
        })
    }

    /// Claims the member for this volume. Only the answer counts, see [`Self::finish_write`].
    fn claim(&mut self, number: i64, member_id: &str) {
        let (Some(object), Some(mark)) = (self.object.clone(), self.mark()) else { return };
        if self.writing || Instant::now() < self.write_after {
            return;
        }
        crash::point("before-claim");
        let claim = Claim { number, volume_id: mark.volume_id.clone() };
        let (launcher, observed) = (self.wires.launcher.borrow().clone(), self.wires.observed.borrow().clone());
        let health = self.judge(&launcher, &observed);
        let next = self.status(&launcher, &observed, &health, Some(claim), mark.counter);
        self.write(object, next, Some(Claiming { number, member_id: member_id.to_owned() }));
    }

    fn write(&mut self, object: Arc<EtcdMember>, status: EtcdMemberStatus, claim: Option<Claiming>) {
        let api = self.wires.api.clone();
        let ends = self.write_ends.0.clone();
        self.writing = true;
        tokio::spawn(async move {
            let answer = notebook::write(api, &object, &status).await;
            // Closed: the loop has ended, and the next one reads what was written.
            let _ = ends.send(Written { claim, answer }).await;
        });
    }

    /// Takes the end of a write.
    async fn finish_write(&mut self, Written { claim, answer }: Written) {
        self.writing = false;
        match answer {
            Ok(object) => {
                self.written = Some(Instant::now());
                self.take_newer(Arc::new(object));
                if let Some(claiming) = claim {
                    self.note_claim(claiming).await;
                }
            }
            // The watch brings what has changed; until then the same write would be refused again.
            Err(WriteError::Conflict) => self.write_after = Instant::now() + Duration::from_millis(20),
            Err(WriteError::Missing) => self.write_after = Instant::now() + Duration::from_millis(200),
            Err(WriteError::Unknown(why)) => {
                warn!(why, "the API server did not take this member's status");
                self.write_after = Instant::now() + WRITE_PAUSE;
            }
        }
    }

    /// An accepted claim goes onto the mark with the ID that the volume is for, and the counter rises for the start that
    /// follows: one write.
    async fn note_claim(&mut self, Claiming { number, member_id }: Claiming) {
        crash::point("after-claim-accepted");
        let Some(mark) = self.mark().cloned() else { return };
        info!(number, member_id, "the API server accepted this volume's claim to the member");
        let counter = mark.counter + 1;
        self.counted_for_start =
            self.write_mark(Mark { claim: number, member_id: Some(member_id), counter, ..mark }).await;
        crash::point("after-claim-marked");
    }
}

/// Whether a start may be prepared: no launcher is known that runs etcd, or will by itself. Every step before the order
/// is right also while a launcher that cannot be heard runs it.
fn may_start(launcher: &Launcher) -> bool {
    launcher.state.as_ref().is_none_or(|state| state.process == Process::Idle)
}

/// Runs a piece of disk I/O where it may hang without stopping the probes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

fn first_page(config: &args::Sidecar, health: Health) -> Page {
    Page {
        who: WhoAmI { cluster_uid: config.cluster_uid.clone(), member: config.member.clone() },
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
        active_peers: None,
        volume_id: None,
        counter: 0,
        claim: 0,
        api_server: false,
        turned: Instant::now(),
    }
}
