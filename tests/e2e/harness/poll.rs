//! Asking until the answer is yes: each wait has a name and an end, and says at its end what the last answer was.

use anyhow::{Error, Result, anyhow, bail};
use std::time::{Duration, Instant};

/// Between two questions: often enough for a figure in tenths of a second, rare enough for two cores.
const PAUSE: Duration = Duration::from_millis(50);
/// What the last question gets at least.
const LAST: Duration = Duration::from_secs(2);

/// Asks until there is an answer. An error is the reason why there is none yet; it is told when the time is up.
///
/// # Errors
/// When there is none within the time.
pub async fn until<T>(what: &str, within: Duration, question: impl AsyncFn() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let mut last: Option<Error> = None;
    while started.elapsed() < within {
        // A question that hangs must not outlive the deadline by much, and one asked just before it gets its answer.
        let left = within.saturating_sub(started.elapsed()).max(LAST);
        match tokio::time::timeout(left, question()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(why)) => last = Some(why),
            // What was answered before says more.
            Err(_) => last = last.or_else(|| Some(anyhow!("the question itself was never answered"))),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let why = last.unwrap_or_else(|| anyhow!("it was never asked"));
    Err(why.context(format!("waited {within:?} until {what}")))
}

/// Asks for some time, and fails when an answer is no.
///
/// # Errors
/// With the first answer that is no.
pub async fn holds(what: &str, during: Duration, question: impl AsyncFn() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < during {
        if let Err(why) = question().await {
            bail!("{what} did not hold for {during:?}: {why:#}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
