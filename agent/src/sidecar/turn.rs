//! One turn of the loop: what was told → facts → plan → one effect → what is said of it.

mod upkeep;

use std::time::{Duration, Instant};

use etcd_operator_shared::{names::ordinal, version::Version};
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use super::{
    facts::{self, View},
    hands::{Hands, certificates::Etcd, leadership::HandOver},
    memory::Memory,
    perform::{self, Performer},
    publish,
    tasks::{Inputs, Outputs, Told},
};
use crate::{
    args, crash, kube,
    observe::peers::Ask,
    plan::{
        exit::Class,
        handover::Candidate,
        health::{self, judge},
        options,
        running::{self, Process, Running},
        start::{self, Identity, Launcher, Object, Start},
        turn::{Turn, turn},
        version,
    },
    serve::{Page, page},
    volume::log::Log,
};

/// Between two turns while nothing is told: ages grow by themselves.
const CALM: Duration = Duration::from_secs(1);
/// The same while a start, or a word that is owed, waits for time to pass.
const EAGER: Duration = Duration::from_millis(20);

/// The loop's own. Hands and memory are lent to who needs them; nobody else sees the whole.
pub(super) struct Sidecar {
    config: args::Sidecar,
    me: Identity,
    inputs: Inputs,
    outputs: Outputs,
    memory: Memory,
    hands: Hands,
    page: watch::Sender<Page>,
}

impl Sidecar {
    pub(super) fn new(
        config: args::Sidecar,
        inputs: Inputs,
        outputs: Outputs,
        hands: Hands,
    ) -> (Self, watch::Receiver<Page>) {
        let me = Identity {
            cluster_uid: config.cluster_uid.clone(),
            incarnation: config.incarnation,
            ordinal: ordinal(&config.cluster, &config.member).unwrap_or(u32::MAX),
            member: config.member.clone(),
            pod_uid: config.pod_uid.clone(),
        };
        let (page, pages) = watch::channel(page::first(&config));
        (Self { config, me, inputs, outputs, memory: Memory::default(), hands, page }, pages)
    }

    /// Turns until the future is dropped, which is safe: every effect is idempotent or guarded by compare-and-swap.
    pub(super) async fn turn_for_ever(mut self) -> anyhow::Result<()> {
        loop {
            self.turn().await;
            let nap = self.nap(Instant::now());
            // Every arm is cancel-safe: news stays in its channel, a nap has no effect.
            tokio::select! {
                changed = self.inputs.changed() => changed?,
                written = self.hands.object.ended() => {
                    if let Some(accepted) = self.hands.object.finish(written) {
                        perform::note_claim(&mut self.hands, accepted).await;
                    }
                }
                ended = self.hands.membership.ended() => {
                    if let Some(id) = self.hands.membership.finish(ended, Instant::now()) {
                        self.hands.volume.note_added(id).await;
                    }
                    // Who leads, and who is a member, may be another thing now: etcd is asked at once.
                    self.outputs.hurry.send_modify(|_| {});
                }
                ended = self.hands.restores.ended() => self.hands.restores.finish(ended, Instant::now()),
                ended = self.hands.upkeep.ended() => self.keep_up(ended, Instant::now()),
                ended = self.hands.users.ended() => self.memory.users.note(ended, Instant::now()),
                taken = self.hands.backups.ended() => self.memory.backups.note(&taken, Instant::now()),
                () = sleep(nap) => {}
            }
        }
    }

    /// Until the next turn, should nothing be told before.
    fn nap(&self, now: Instant) -> Duration {
        let restores = matches!(self.memory.step, Some(Start::Restore(_))) && self.hands.restores.goes_on(now);
        match (self.memory.orders.is_startable() && !restores, self.memory.owes_word) {
            (true, _) => EAGER,
            (false, true) => self.hands.object.pause(now).clamp(EAGER, CALM),
            (false, false) => CALM,
        }
    }

    async fn turn(&mut self) {
        let now = Instant::now();
        let told = self.inputs.take();
        self.hands.object.take(told.seen.object.clone());
        let object = self.object(&told, now);
        self.remember(&told, now);
        self.keep_wish(&object).await;
        self.certify(&told).await;
        match turn(&told.launcher, self.memory.orders.is_awaited(now)) {
            Turn::Ending => {
                self.memory.step = None;
                self.hand_over(&told, &object, now).await;
            }
            Turn::Starting => self.towards_a_start(&told, &object, now).await,
            Turn::Running(process) => self.while_it_runs(&told, &object, process, now).await,
            Turn::Unclear => {}
        }
        self.ask_others(&told, &object, now);
        self.performer(&told, now).back_up().await;
        self.performer(&told, now).see_to_users();
        self.tell(&told, now);
    }

    /// The mark keeps what a person wants, before anything is done about it: an agent that dies and then hears nobody
    /// goes by it.
    async fn keep_wish(&mut self, object: &Object) {
        let news = self.hands.volume.mark().and_then(|mark| object.news(&self.me, mark));
        if let Some(wish) = news {
            self.hands.volume.keep_wish(wish).await;
        }
    }

    /// Before anything that needs certificates; what is asked for rides on the next word to the EtcdMember.
    async fn certify(&mut self, told: &Told) {
        let own = |uid: &str, member: &str| uid == self.me.cluster_uid && member == self.me.member;
        let Hands { volume, object, certificates, .. } = &mut self.hands;
        let ours = volume.mark().is_some_and(|mark| own(&mark.cluster_uid, &mark.member));
        let offered = object.object().filter(|object| object.spec.cluster_uid == self.me.cluster_uid);
        let offered = offered.and_then(|object| object.spec.certificates.as_ref());
        let loaded = told.launcher.state.as_ref().and_then(|state| state.pools.as_deref());
        let runs = facts::process(&told.launcher) == health::Process::Running;
        certificates.turn(offered, ours, Etcd { runs, loaded }).await;
    }

    fn remember(&mut self, told: &Told, now: Instant) {
        let Told { launcher, observed, book, .. } = told;
        if self.memory.note_process(launcher, observed, now) {
            crash::point("after-running");
        }
        let generation = self.hands.object.object().and_then(|object| object.metadata.generation);
        self.note_databases(observed, now);
        let membership = &mut self.memory.membership;
        membership.note_wish(generation, now);
        membership.note_list(observed);
        membership.note_agents(book, now);
        membership.note_leader(observed, now);
    }

    /// What the EtcdMember says, and whether it is to be waited for.
    fn object(&self, told: &Told, now: Instant) -> Object {
        use kube::watch::View::{Missing, Present, Unheard};
        match (self.hands.object.object(), &told.seen.object) {
            (Some(object), _) => Object::Known(facts::known(object, &self.config, told.seen.connected)),
            (None, Unheard(silence)) if silence.may_end(now) => Object::Awaited,
            (None, Unheard(_)) => Object::Away,
            (None, Missing | Present(_)) => Object::Missing,
        }
    }

    async fn towards_a_start(&mut self, told: &Told, object: &Object, now: Instant) {
        self.keep_refusal(told, now).await;
        let volume = self.hands.volume.look().await.clone();
        let launcher = match &told.launcher.state {
            Some(_) => Launcher::Rests,
            None if self.hands.volume.has_no_launcher().await => Launcher::Gone,
            None => Launcher::Unheard,
        };
        let waited = self.memory.orders.startable(now);
        let view = View { config: &self.config, me: &self.me, told, hands: &self.hands, now };
        let (cluster, addresses) = (view.cluster(&self.memory.membership), view.addresses(waited));
        let step = start::start(start::Facts {
            me: &self.me,
            volume: &volume,
            object,
            cluster: &cluster,
            expelled: facts::is_expelled(&told.launcher),
            neighbours: &told.book.neighbours(),
            addresses: &addresses,
            certified: self.hands.certificates.are_there(),
            launcher,
        });
        let binary = view.binary();
        let step = self.guarded(step, binary).await;
        if self.memory.note_step(&step, now) {
            info!(?step, "etcd is not started");
        }
        self.performer(told, now).start(&step).await;
    }

    /// The mark keeps that etcd has refused its options: the last good ones come back, whoever looks after it by then.
    async fn keep_refusal(&mut self, told: &Told, now: Instant) {
        let Some(verdict) = facts::verdict(&told.launcher).filter(|verdict| verdict.class == Class::WrongFlags) else {
            return;
        };
        let view = View { config: &self.config, me: &self.me, told, hands: &self.hands, now };
        if let Some(options) = options::refused(view.options(), view.started_with(), &verdict.line) {
            warn!(words = verdict.line, "etcd refuses its options; the last good ones come back");
            self.hands.volume.keep_options(options).await;
        }
    }

    /// The step, or why the etcd that is here may not take it. Before it is known which one that is, none is ordered
    /// either.
    async fn guarded(&mut self, step: Start, binary: Option<Version>) -> Start {
        let volume = &mut self.hands.volume;
        let (Some(mark), Some(binary)) = (volume.mark().cloned(), binary) else { return step };
        let log = if version::needs_log(&step, binary, &mark) { volume.log().await } else { Ok(Log::Plain) };
        version::guard(step, binary, &mark, log)
    }

    async fn while_it_runs(&mut self, told: &Told, object: &Object, process: Process, now: Instant) {
        self.memory.step = None;
        self.memory.orders.not_startable();
        self.hands.volume.forget_log();
        if self.hands.volume.mark().is_none() {
            self.hands.volume.look().await;
        }
        let Some(mark) = self.hands.volume.mark().cloned() else { return };
        let bytes =
            if mark.joined && !self.memory.membership.votes { self.hands.volume.snapshot_bytes().await } else { None };
        let view = View { config: &self.config, me: &self.me, told, hands: &self.hands, now };
        let cluster = view.cluster(&self.memory.membership);
        let listed = cluster.list().map(|list| (list, told.heard.index));
        let own_id = mark.member_id.as_deref().unwrap_or_default();
        let membership = &mut self.memory.membership;
        let progress = membership.progress(own_id, &told.observed, listed, bytes, now);
        let (seats, said) = (view.seats(membership), view.said());
        let keeping = view.keeping(&self.memory.upkeep);
        let (options, with) = (view.options(), view.started_with());
        let news = options::news(options, with.filter(|_| told.observed.confirmed));
        let options = running::Options {
            due: options::is_due(options, with) || view.reloads(),
            news: news.as_ref(),
            stopping_for: self.memory.stopping.map(|since| now.duration_since(since)).unwrap_or_default(),
        };
        let step = running::running(running::Facts {
            me: &self.me,
            cluster_id: &self.config.cluster_id,
            mark: &mark,
            process,
            object,
            neighbours: &told.book.neighbours(),
            cluster: &cluster,
            etcd: said,
            ran: told.observed.ran(),
            downgrade: (self.hands.object.downgrade(), told.observed.allowed_downgrade()),
            trusted: membership.trusted,
            up_to_date: membership.is_up_to_date(&told.observed, self.hands.membership.changed(), now),
            votes: membership.votes,
            progress,
            seats: &seats,
            wished_for: membership.wished_for(now),
            count_due: self.hands.volume.is_counter_due(),
            options,
            upkeep: keeping.as_ref().map(|keeping| keeping.known(&self.memory.upkeep, now)),
            compared: keeping.as_ref().map(|keeping| keeping.compared(&self.memory.comparing, now)),
            may_write: self.hands.object.is_free(),
        });
        let listed = said.is_some_and(|said| said.list.is_some());
        membership.trusted |= listed && !matches!(step, Running::Kill(_));
        self.performer(told, now).running(step).await;
    }

    fn performer<'a>(&'a mut self, told: &'a Told, now: Instant) -> Performer<'a> {
        let Self { config, me, memory, hands, .. } = self;
        Performer { config, me, told, memory, hands, now }
    }

    /// Asks the others while their answer is needed: by a step towards a start, to leave, or to be promoted.
    fn ask_others(&mut self, told: &Told, object: &Object, now: Instant) {
        let surplus = matches!(object, Object::Known(known) if known.is_surplus(self.me.ordinal));
        let joined = self.hands.volume.mark().is_some_and(|mark| mark.joined);
        let runs = self.memory.running.is_some();
        let wanted = match &self.memory.step {
            // Also beside a start that goes on without: whoever was turned away hears from the others whether it is
            // out.
            Some(step) => step.needs_list() || facts::is_expelled(&told.launcher) || (surplus && *step != Start::Left),
            None => {
                let learns = joined && !self.memory.membership.votes;
                let leaderless = self.memory.membership.leaderless_for(now);
                runs && running::needs_list(&self.me, object, learns, leaderless)
            }
        };
        self.memory.membership.ask(wanted, now);
        let view = View { config: &self.config, me: &self.me, told, hands: &self.hands, now };
        self.outputs.ask(Ask { endpoints: view.endpoints(), wanted });
        self.outputs.offer(view.peers().into_iter().map(|peer| (peer.name, peer.address)).collect());
        self.outputs.hurry(runs && (surplus || self.memory.membership.must_hurry(&told.observed, object, now)));
    }

    /// Says how the member is: on the page, and in the EtcdMember when it is worth it.
    fn tell(&mut self, told: &Told, now: Instant) {
        let verdict = facts::verdict(&told.launcher);
        let view = View { config: &self.config, me: &self.me, told, hands: &self.hands, now };
        let health = judge(&view.health(&self.memory, verdict.as_ref()));
        let speech = publish::Speech { view, memory: &self.memory, health: &health };
        let next = speech.next();
        let page = speech.page();
        self.memory.owes_word = publish::write(&mut self.hands.object, next);
        let told_all = !self.memory.owes_word && !self.hands.object.is_writing();
        self.page.send_replace(Page { told: told_all, ..page });
    }

    /// Helps the launcher to stop etcd, once for each time that it is asked to.
    async fn hand_over(&mut self, told: &Told, object: &Object, now: Instant) {
        if std::mem::replace(&mut self.memory.handed_over, true) {
            return;
        }
        info!("etcd is about to be stopped");
        let view = View { config: &self.config, me: &self.me, told, hands: &self.hands, now };
        let voters = view.seats(&self.memory.membership).into_iter().filter(|seat| !seat.entry.learner);
        let candidate = |seat: crate::plan::steward::Seat| Candidate {
            id: seat.entry.id,
            member: seat.entry.member,
            connected: seat.away.is_none(),
            index: None,
        };
        let hand_over = HandOver {
            member: self.hands.member.clone(),
            peers: self.hands.peers.clone(),
            endpoints: view.endpoints(),
            voters: voters.map(candidate).collect(),
            requests: self.hands.requests.clone(),
            launcher: self.inputs.launcher.clone(),
            stopped: matches!(object, Object::Known(known) if known.stopped),
        };
        let peers = view.peers();
        tokio::spawn(hand_over.perform());
        self.hands.volume.raise_counter(peers).await;
    }
}
