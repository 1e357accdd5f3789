//! Waiting for what others do, with a line whenever there is something new to say.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use crate::{failure::Failure, terminal};

/// Between two looks.
const OFTEN: Duration = Duration::from_secs(1);

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Far<T> {
    /// In words that are said when they change.
    UnderWay(String),
    Done(T),
}

/// Looks until it is done. `what` is what does not come when the time is over.
///
/// # Errors
/// With what a look fails with for good, or when the time is over.
pub async fn until<T>(
    what: impl Display,
    timeout: Duration,
    mut look: impl AsyncFnMut() -> Result<Far<T>, Failure>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let mut said = String::new();
    loop {
        let words = match look().await {
            Ok(Far::Done(done)) => return Ok(done),
            Ok(Far::UnderWay(words)) => words,
            // What is waited for does not mind whether the API server answers.
            Err(Failure::Failed(why)) => why,
            Err(failure) => return Err(failure),
        };
        let elapsed = started.elapsed();
        if words != said {
            terminal::remark(&format!("{:>5}s  {words}", elapsed.as_secs()));
            said = words;
        }
        if elapsed >= timeout {
            return Err(Failure::TimedOut(format!("{what} within {} s: {said}", timeout.as_secs())));
        }
        tokio::time::sleep(OFTEN.min(timeout - elapsed)).await;
    }
}
