//! Keeps a process that slept from acts that cannot be taken back: whoever leads next may have put the same object to
//! work again, and an object's UID does not show that.
//!
//! What counts is the time since the last renewal of the Lease *began*, on a clock that goes on while the machine
//! sleeps. Between a look at the fence and the act itself lies no wait.

use std::{
    fs,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Open while this process leads for certain. Without an election it is always open.
#[derive(Debug, Default)]
pub struct Fence(Mutex<Option<Term>>);

#[derive(Debug, Clone, Copy)]
struct Term {
    renewed: Duration,
    lasts: Duration,
}

impl Fence {
    /// Notes a renewal that was begun at `begun`, of a Lease that nobody takes for so long.
    pub fn renewed(&self, begun: Duration, lasts: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Term { renewed: begun, lasts });
    }

    /// Whether nobody else can lead at `now`.
    #[must_use]
    pub fn is_open(&self, now: Duration) -> bool {
        let term = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        term.is_none_or(|term| now.saturating_sub(term.renewed) < term.lasts)
    }
}

/// Time since the machine started, its sleep included. Where the kernel does not tell, this process's own clock.
#[must_use]
pub fn since_boot() -> Duration {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    let started = *STARTED.get_or_init(Instant::now);
    let uptime = fs::read_to_string("/proc/uptime").ok();
    let seconds = uptime.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let told = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    told.unwrap_or_else(|| started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_slept_past_its_lease_does_nothing_that_lasts() {
        let (fence, second) = (Fence::default(), Duration::from_secs(1));
        assert!(fence.is_open(100 * second), "no election");
        fence.renewed(100 * second, 10 * second);
        assert!(fence.is_open(109 * second));
        assert!(!fence.is_open(110 * second));
        fence.renewed(111 * second, 10 * second);
        assert!(fence.is_open(112 * second));
    }

    #[test]
    fn the_clock_goes_on() {
        let before = since_boot();
        // The kernel tells hundredths of a second.
        std::thread::sleep(Duration::from_millis(30));
        assert!(since_boot() > before);
    }
}
