//! Tells the person who waits what happened and when.

use std::sync::Mutex;
use std::time::Instant;
use steps::view::{Far, Shown, is_due, line};

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

    /// Hears how far something is, and prints it now and then.
    pub fn follow(self, what: &str) -> impl Fn(Far) + use<> {
        let (what, told) = (what.to_owned(), Mutex::new(None::<Instant>));
        move |far| {
            let Ok(mut told) = told.lock() else { return };
            if told.is_none_or(|told| is_due(true, told.elapsed())) {
                *told = Some(Instant::now());
                self.say(line("", &Shown { what: what.clone(), far }));
            }
        }
    }

    /// Seconds passed since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
