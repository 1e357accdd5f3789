//! Runs one test from its turn to the empty floor.

use super::turn::{self, Manner};
use super::{Stage, evidence, say, slowest};
use anyhow::{Result, anyhow, bail};
use futures::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// After the first Ctrl-C no further test begins.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Plays a test: the stage is struck whether it succeeds, fails, panics or is interrupted.
///
/// # Panics
/// When the test fails, as libtest wants it.
pub fn play(test: &str, manner: Manner, body: impl AsyncFnOnce(&Stage) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(perform(test, manner, body)));
    if let Err(error) = outcome {
        panic!("{error:#}");
    }
}

async fn perform(test: &str, manner: Manner, body: impl AsyncFnOnce(&Stage) -> Result<()>) -> Result<()> {
    let _turn = turn::take(manner).await?;
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    let started = Instant::now();
    let stage = Stage::build(test).await?;
    // Dropping the test's future is safe: what it has broken is noted on the stage.
    let outcome = tokio::select! {
        outcome = AssertUnwindSafe(body(&stage)).catch_unwind() => outcome.unwrap_or_else(|panic| Err(words(&*panic))),
        () = interrupted() => Err(anyhow!("interrupted")),
    };
    let healed = stage.heal().await;
    if let Err(error) = &outcome
        && !INTERRUPTED.load(Ordering::Relaxed)
    {
        say(test, format!("FAILED: {error:#}\n{}", evidence::of(&stage).await));
    }
    let struck = tokio::select! {
        struck = stage.strike() => struck,
        () = interrupted_again() => std::process::exit(130),
    };
    let outcome = outcome.and(healed).and(struck);
    let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
    say(test, format!("{verdict} after {:.1} s", started.elapsed().as_secs_f64()));
    slowest::note(test, started.elapsed());
    outcome
}

/// Returns at Ctrl-C or SIGTERM.
async fn interrupted() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
        // Without handlers the default action ends the process.
        _ => std::future::pending().await,
    }
}

/// Returns at the second Ctrl-C: the first only ends the tests, and each still strikes its stage.
async fn interrupted_again() {
    if !INTERRUPTED.load(Ordering::Relaxed) {
        interrupted().await;
    }
    interrupted().await;
}

fn words(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("panicked: {}", text.unwrap_or("without a word"))
}
