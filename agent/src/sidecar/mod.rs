//! The sidecar: facts → plan → one effect, again and again.
//!
//! ```text
//!  kube/watch ──── Seen ─────┐                           ┌──▶ volume: mark, lived     (this loop only)
//!  facts/launcher  Launcher ─┤                           ├──▶ launcher: orders
//!  facts/etcd ──── Observed ─┤                           ├──▶ EtcdMember: claim, status (one write at a time)
//!  facts/cluster   Heard ────┼──▶ turn: facts → plan ────┼──▶ errands: one act on the membership at a time
//!  facts/volume    Writable ─┤    one task owns the state├──▶ names/task: addresses on offer
//!  names/task ──── Book ─────┘                           └──▶ Page ──▶ serve: probes, status, metrics
//! ```
//!
//! Invariants: the loop is the only writer of the mark and of the EtcdMember's status; it never waits for etcd or for the
//! API server; every turn may be the last, and the next one begins from what is on the disk.

mod belonging;
mod disk;
mod errands;
mod handover;
mod ledger;
mod notes;
mod orders;
mod others;
mod report;
mod standby;
mod starting;
mod turn;

use std::{
    net::Ipv6Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_operator_shared::names::{HOSTS_FILE, PORT_AGENT};
use etcd_operator_shared::process::{
    logs::{self, Format},
    probe, shutdown,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    args,
    etcd::{
        member::{Member, Whose},
        peers::Peers,
    },
    facts, kube, launch,
    names::task,
    serve,
    sidecar::{
        errands::Errands,
        ledger::Ledger,
        turn::{Sidecar, Wires},
    },
    signals,
    volume::{Store, lock::Lock},
};

/// How long the agent stays after SIGTERM when the launcher says nothing: then only its own container is restarted.
const ALONE: Duration = Duration::from_secs(1);
/// How long its last word to the EtcdMember may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long it stays at most for a launcher that stops etcd: the pod's grace period is 60 s.
const TOGETHER: Duration = Duration::from_secs(55);

/// The child of `run`.
///
/// # Errors
/// When a port, the volume's lock or the pod's token cannot be had.
pub fn main(config: args::Sidecar) -> anyhow::Result<()> {
    logs::start(Format::Text, &config.log);
    // PID 1 of the container blocks SIGTERM for itself, and a blocked SIGTERM would leave us until SIGKILL.
    signals::unblock()?;
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run(config));
    // A write on a hung disk never returns: it must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn run(config: args::Sidecar) -> anyhow::Result<()> {
    info!(
        member = config.member,
        incarnation = config.incarnation,
        version = env!("CARGO_PKG_VERSION"),
        "agent starts"
    );
    let asked_to_leave = shutdown::on_signal()?;
    let ended = CancellationToken::new();
    let store = Store::new(config.volume.clone());
    let (sidecar, tasks) = wire(config, &store).await?;
    let launcher = tasks.launcher.clone();
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT_AGENT)).await?;
    let (pages, told) = (tasks.pages.clone(), tasks.pages.clone());
    let serving = tokio::spawn(probe::serve(listener, ended.clone(), move |ask| serve::respond(pages.clone(), ask)));
    let _lock = lock(&store).await?;
    // Dropping the loop's future is safe: every effect is idempotent or guarded by compare-and-swap.
    let outcome = tokio::select! {
        outcome = sidecar.turn_for_ever() => outcome,
        () = linger(asked_to_leave, launcher, told) => Ok(()),
    };
    ended.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(1), serving).await;
    info!("agent leaves");
    outcome
}

/// What outlives the loop's own wiring.
struct Tasks {
    launcher: watch::Receiver<facts::launcher::Launcher>,
    pages: watch::Receiver<serve::Page>,
}

async fn wire(config: args::Sidecar, store: &Store) -> anyhow::Result<(Sidecar, Tasks)> {
    let api = kube::members(&config.namespace)?;
    let whose = Whose { cluster: config.cluster.clone(), namespace: config.namespace.clone() };
    let member = Member::local(whose.clone()).await?;
    let peers = Peers::new(whose, config.cluster_id.clone());
    let (seen_to, seen) = watch::channel(kube::watch::Seen::nothing(Instant::now()));
    let (launcher_to, launcher) = watch::channel(facts::launcher::Launcher::default());
    let (observed_to, observed) = watch::channel(facts::etcd::Observed::default());
    let (writable_to, writable) = watch::channel(facts::volume::Writable::default());
    let (heard_to, heard) = watch::channel(facts::cluster::Heard::default());
    let (ask, asked) = watch::channel(facts::cluster::Ask::default());
    let (hurry, hurried) = watch::channel(false);
    let (book_to, book) = watch::channel(crate::names::Book::default());
    let (offers, offered) = watch::channel(Vec::new());
    let (requests, requested) = mpsc::channel(8);
    let names = task::Names {
        cluster: config.cluster.clone(),
        namespace: config.namespace.clone(),
        cluster_uid: config.cluster_uid.clone(),
        own: (config.member.clone(), config.pod_ip.clone()),
        file: config.shared.join(HOSTS_FILE),
    };
    let doubt = Arc::new(Notify::new());
    tokio::spawn(kube::watch::follow(api.clone(), config.member.clone(), doubt.clone(), seen_to));
    tokio::spawn(facts::launcher::follow(config.shared.join(launch::SOCKET), requested, launcher_to));
    tokio::spawn(facts::etcd::observe(member.clone(), launcher.clone(), hurried, observed_to));
    tokio::spawn(facts::cluster::listen(peers.clone(), asked, heard_to));
    tokio::spawn(facts::volume::try_now_and_then(store.clone(), writable_to));
    tokio::spawn(task::keep(names, offered, book_to));
    let errands = Errands::new(member.clone(), peers);
    let launchers = launcher.clone();
    let wires =
        Wires { member, seen, launcher: launchers, observed, heard, ask, hurry, writable, book, offers, requests };
    let (sidecar, pages) = Sidecar::new(config, store.clone(), Ledger::new(api, doubt), errands, wires);
    Ok((sidecar, Tasks { launcher, pages }))
}

/// Takes the volume's lock. Another holder is another pod on the same volume, or a predecessor that is just ending.
async fn lock(store: &Store) -> anyhow::Result<Lock> {
    loop {
        match Lock::take(&store.lock_path("agent")) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                warn!("another agent holds the volume; waiting for it to end");
                sleep(Duration::from_secs(1)).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Returns when the agent may leave: after SIGTERM, when the launcher does not need it any more and the EtcdMember knows.
async fn linger(
    asked: CancellationToken,
    mut launcher: watch::Receiver<facts::launcher::Launcher>,
    mut pages: watch::Receiver<serve::Page>,
) {
    asked.cancelled().await;
    let runs = launcher.borrow().state.as_ref().is_some_and(|s| s.process != launch::protocol::Process::Idle);
    // A closed channel or an elapsed bound means the same everywhere here: nobody needs us.
    if runs && tokio::time::timeout(ALONE, launcher.wait_for(|l| l.terminating)).await.is_ok_and(|said| said.is_ok()) {
        let _ = tokio::time::timeout(TOGETHER, launcher.wait_for(|l| !l.connected)).await;
    }
    let _ = tokio::time::timeout(LAST_WORD, pages.wait_for(|page| page.told)).await;
}
