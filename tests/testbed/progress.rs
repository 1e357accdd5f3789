//! Tells the person who waits what happened and when.

use std::time::Instant;

/// A stopwatch that prints; copies share the same start.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    started: Instant,
    quiet: bool,
}

impl Progress {
    /// Starts the stopwatch.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), quiet: false }
    }

    /// Starts a stopwatch that prints nothing, for calls made by a test.
    #[must_use]
    pub fn quiet() -> Self {
        Self { started: Instant::now(), quiet: true }
    }

    /// Prints one line behind the seconds passed since the start.
    pub fn say(&self, what: impl AsRef<str>) {
        if !self.quiet {
            println!("{:6.1}s {}", self.seconds(), what.as_ref());
        }
    }

    /// Seconds passed since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
