//! One turn of the loop.

use std::time::{Duration, Instant};

use etcd_operator_shared::names::ordinal;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::info;

use super::{
    belonging::Belonging,
    disk::Disk,
    errands::Errands,
    handover::hand_over,
    ledger::Ledger,
    notes::{self, Starting},
    orders::Orders,
    report::first_page,
};
use crate::{
    args, crash,
    etcd::member::Member,
    facts::{
        cluster::{Ask, Heard},
        etcd::Observed,
        launcher::Launcher,
        volume::Writable,
    },
    kube::watch::{Seen, View},
    launch::protocol::{Process, Request},
    names::Book,
    plan::{
        health::judge,
        list::Cluster,
        start::{Facts, Identity, Object, Start, start},
    },
    serve::Page,
    volume::{Store, Volume},
};

/// Channels to the other tasks.
pub(super) struct Wires {
    pub member: Member,
    pub seen: watch::Receiver<Seen>,
    pub launcher: watch::Receiver<Launcher>,
    pub observed: watch::Receiver<Observed>,
    pub heard: watch::Receiver<Heard>,
    pub ask: watch::Sender<Ask>,
    pub hurry: watch::Sender<bool>,
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
    pub(super) disk: Disk,
    pub(super) ledger: Ledger,
    pub(super) orders: Orders,
    pub(super) errands: Errands,
    pub(super) belonging: Belonging,
    pub(super) step: Option<Start>,
    pub(super) waiting_for_names: Vec<String>,
    /// etcd's process, and since when it was seen.
    pub(super) running: Option<(i32, Instant)>,
    pub(super) handed_over: bool,
    /// ID of the volume on which etcd ran under another member ID than the mark's.
    pub(super) mistaken: Option<String>,
    /// Whether the EtcdMember is to be told something that it could not be told yet.
    pub(super) owes_word: bool,
}

impl Sidecar {
    pub(super) fn new(
        config: args::Sidecar,
        store: Store,
        ledger: Ledger,
        errands: Errands,
        wires: Wires,
    ) -> (Self, watch::Receiver<Page>) {
        let me = Identity {
            cluster_uid: config.cluster_uid.clone(),
            incarnation: config.incarnation,
            ordinal: ordinal(&config.cluster, &config.member).unwrap_or(u32::MAX),
            member: config.member.clone(),
            pod_uid: config.pod_uid.clone(),
        };
        let starting = Starting::default();
        let health = judge(&notes::facts(&Launcher::default(), &Observed::default(), None, starting));
        let (page, pages) = watch::channel(first_page(&config, health));
        let sidecar = Self {
            config,
            me,
            wires,
            page,
            disk: Disk::new(store),
            ledger,
            orders: Orders::default(),
            errands,
            belonging: Belonging::default(),
            step: None,
            waiting_for_names: vec![],
            running: None,
            handed_over: false,
            mistaken: None,
            owes_word: false,
        };
        (sidecar, pages)
    }

    /// Turns until the future is dropped.
    pub(super) async fn turn_for_ever(mut self) -> anyhow::Result<()> {
        loop {
            self.turn().await;
            let soon = self.orders.is_startable() || self.owes_word;
            let nap = if soon { Duration::from_millis(20) } else { Duration::from_secs(1) };
            // Every arm is cancel-safe: changes stay pending in their watch, the end of a write stays in its channel.
            tokio::select! {
                changed = self.wires.seen.changed() => changed?,
                changed = self.wires.launcher.changed() => changed?,
                changed = self.wires.observed.changed() => changed?,
                changed = self.wires.heard.changed() => changed?,
                changed = self.wires.book.changed() => changed?,
                changed = self.wires.writable.changed() => changed?,
                written = self.ledger.ended() => {
                    if let Some(accepted) = self.ledger.finish(written) {
                        self.note_claim(accepted).await;
                    }
                }
                ended = self.errands.ended() => {
                    if let Some(id) = self.errands.finish(ended) {
                        self.disk.note_added(id).await;
                    }
                    // Who leads, and who is a member, may be another thing now: etcd is asked at once.
                    self.wires.hurry.send_modify(|_| {});
                }
                () = sleep(nap) => {}
            }
        }
    }

    async fn turn(&mut self) {
        let launcher = self.wires.launcher.borrow_and_update().clone();
        let observed = self.wires.observed.borrow_and_update().clone();
        self.wires.heard.mark_unchanged();
        let seen = self.wires.seen.borrow_and_update().object.clone();
        self.ledger.take(seen);
        self.note_process(&launcher, &observed);
        let object = self.known();
        self.belonging.note_wish(&self.ledger);
        if launcher.terminating {
            self.step = None;
            self.prepare_to_stop(&observed).await;
        } else if may_start(&launcher) {
            let step = self.plan(&launcher, &object).await;
            self.perform(&step, &launcher).await;
            self.step = Some(step);
        } else {
            self.step = None;
            self.orders.not_startable();
            self.stand_by(&launcher, &observed, &object).await;
        }
        self.ask_others(&object, &observed);
        self.offer_names();
        let health = self.judge(&launcher, &observed);
        self.owes_word = self.publish(&launcher, &observed, &health);
        self.show(&launcher, &observed, &health);
    }

    async fn plan(&mut self, launcher: &Launcher, object: &Object) -> Start {
        let cluster = self.cluster();
        let expelled = notes::is_expelled(launcher);
        let volume = self.disk.look().await;
        let mistaken = match volume {
            Volume::Marked(marked) => self.mistaken.as_ref() == Some(&marked.mark.volume_id),
            Volume::Unreadable(_) | Volume::Blank | Volume::Unmarked => false,
        };
        start(Facts { me: &self.me, volume, object, cluster: &cluster, expelled, mistaken })
    }

    /// What the others say, if they know all that this member did.
    pub(super) fn cluster(&self) -> Cluster {
        let heard = self.wires.heard.borrow();
        if self.errands.knows(heard.asked) && self.belonging.asks_since(heard.asked) {
            heard.cluster.clone()
        } else {
            Cluster::Awaited
        }
    }

    /// Asks the others while their answer is needed: by a step towards a start, to leave, or to be promoted.
    fn ask_others(&mut self, object: &Object, observed: &Observed) {
        let doomed = matches!(object, Object::Known(known) if known.dooms(self.me.ordinal));
        let runs = self.running.is_some();
        let wanted = match &self.step {
            Some(step) => step.needs_list() || (doomed && *step != Start::Left),
            None => runs && (doomed || (self.is_joined() && !self.belonging.votes)),
        };
        self.belonging.ask(wanted);
        let ask = Ask { endpoints: self.endpoints(), wanted };
        self.wires.ask.send_if_modified(|old| {
            let changed = *old != ask;
            *old = ask;
            changed
        });
        let hurry = runs && (doomed || self.belonging.must_hurry(observed, object));
        self.wires.hurry.send_if_modified(|old| std::mem::replace(old, hurry) != hurry);
    }

    pub(super) fn is_joined(&self) -> bool {
        self.disk.mark().is_some_and(|mark| mark.joined)
    }

    fn known(&self) -> Object {
        match (self.ledger.object(), &self.wires.seen.borrow().object) {
            (Some(object), _) => Object::Known(notes::known(object, &self.config, self.wires.seen.borrow().connected)),
            (None, View::Unheard(silence)) if silence.may_end(Instant::now()) => Object::Awaited,
            (None, View::Unheard(_)) => Object::Away,
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
            self.belonging.new_run();
            if pid.is_some() {
                crash::point("after-running");
            }
        }
        if observed.confirmed {
            self.orders.obeyed();
        }
    }

    fn offer_names(&self) {
        let offered: Vec<_> = self.peers().into_iter().map(|peer| (peer.name, peer.address)).collect();
        self.wires.offers.send_if_modified(|old| {
            let changed = *old != offered;
            *old = offered;
            changed
        });
    }

    async fn prepare_to_stop(&mut self, observed: &Observed) {
        if std::mem::replace(&mut self.handed_over, true) {
            return;
        }
        info!("etcd is about to be stopped");
        let role = self.page.borrow().health.role;
        let (member, members, requests) =
            (self.wires.member.clone(), observed.members.clone(), self.wires.requests.clone());
        let stopped = self.ledger.object().is_some_and(|object| object.spec.stopped);
        tokio::spawn(hand_over(member, members, role, requests, stopped));
        self.disk.raise_counter(self.peers()).await;
    }
}

/// Whether a start may be prepared: no launcher is known that runs etcd, or will by itself. Every step before the order
/// is right also while a launcher that cannot be heard runs it.
fn may_start(launcher: &Launcher) -> bool {
    launcher.state.as_ref().is_none_or(|state| state.process == Process::Idle)
}
