//! The sidecar: facts → plan → one effect, again and again.
//!
//! ```text
//!  kube/watch ──── Seen ─────┐                             ┌──▶ hands/volume: mark, lived     (this loop only)
//!  observe/launcher Launcher ┤                             ├──▶ launcher: orders
//!  observe/etcd ── Observed ─┤   ┌── memory ◀──┐           ├──▶ hands/object: claim, status (one write at a time)
//!  observe/peers   Heard ────┼──▶ turn: facts ─┴─▶ plan ───┼──▶ hands/membership: one change at a time
//!  observe/volume  Writable ─┤    one task owns the state  ├──▶ hosts/task: addresses on offer
//!  hosts/task ── AddressBook ┘                             └──▶ Page ──▶ serve: probes, status, metrics
//! ```
//!
//! Invariants: the loop is the only writer of the mark and of the EtcdMember's status; it never waits for etcd or for the
//! API server; every turn may be the last, and the next one begins from what is on the disk.

mod facts;
mod hands;
mod memory;
mod perform;
mod publish;
mod tasks;
mod turn;

use std::time::Duration;

use etcd_operator_shared::names::PORT_AGENT;
use etcd_operator_shared::process::{
    logs::{self, Format},
    probe, shutdown,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::turn::Sidecar;
use crate::{args, launch, observe::launcher::Launcher, serve, signals, volume::Store};

/// How long the agent stays after SIGTERM when the launcher says nothing: then only its own container is restarted.
const ALONE: Duration = Duration::from_secs(1);
/// How long its last word to the EtcdMember may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long it stays at most for a launcher that stops etcd: the pod's grace period is 60 s.
const TOGETHER: Duration = Duration::from_secs(55);

/// The child of `run`.
///
/// # Errors
/// When a port or the pod's token cannot be had.
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
    let (inputs, outputs, hands) = tasks::wire(&config, &store)?;
    let (launcher, volume) = (inputs.launcher.clone(), inputs.writable.clone());
    let seeds = config.clone();
    let (sidecar, told) = Sidecar::new(config, inputs, outputs, hands);
    tokio::spawn(serve::seed::serve(seeds, store, told.clone(), ended.clone()));
    let shown = serve::Shown { pages: told.clone(), volume };
    let listener = probe::listen(PORT_AGENT).await?;
    let serving = tokio::spawn(probe::serve(listener, ended.clone(), move |ask| serve::respond(shown.clone(), ask)));
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

/// Returns when the agent may leave: after SIGTERM, when the launcher does not need it any more and the EtcdMember knows.
async fn linger(
    asked: CancellationToken,
    mut launcher: watch::Receiver<Launcher>,
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
