//! Asking until the answer is yes: each wait has a name and an end, and says at its end what the last answer was.

use anyhow::{Result, anyhow, bail};
use std::time::{Duration, Instant};

/// Between two questions: often enough for a figure in tenths of a second, rare enough for two cores.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer. An error is the reason why there is none yet; it is told when the time is up.
///
/// # Errors
/// When there is none within the time.
pub async fn until<T>(what: &str, within: Duration, question: impl AsyncFn() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        // A question that hangs must not outlive the deadline.
        let left = within.saturating_sub(started.elapsed());
        let answer = tokio::time::timeout(left.max(PAUSE), question()).await;
        let why = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(why)) => why,
            Err(_) => anyhow!("the question itself was not answered in time"),
        };
        if started.elapsed() >= within {
            return Err(why.context(format!("waited {within:?} until {what}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
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
