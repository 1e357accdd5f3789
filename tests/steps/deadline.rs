//! Waits with an end. The time of a wait begins with the wait: what was built or booted before takes nothing from it, since
//! there is no way to hand a wait an earlier moment.

use anyhow::Result;
use std::time::{Duration, Instant};

/// Where time comes from.
pub trait Clock {
    fn now(&self) -> Instant;
    fn sleep(&self, pause: Duration);
}

/// The machine's time.
#[derive(Clone, Copy, Debug)]
pub struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// How long something may take, from the moment at which somebody begins to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    began: Instant,
    limit: Duration,
}

impl Deadline {
    /// Begins now.
    #[must_use]
    pub fn begin(now: Instant, limit: Duration) -> Self {
        Self { began: now, limit }
    }

    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= self.limit
    }
}

/// Asks until there is an answer. An error is the reason why there is none yet; it is told when the time is up. The question is asked at least once, and once more at the end.
///
/// # Errors
/// When there is no answer within `limit` of this call.
pub fn until<T>(
    clock: &impl Clock,
    what: &str,
    limit: Duration,
    pause: Duration,
    mut question: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Deadline::begin(clock.now(), limit);
    loop {
        let last = deadline.is_over(clock.now());
        match question() {
            Ok(answer) => return Ok(answer),
            Err(why) if last => return Err(why.context(format!("waited {} s until {what}", limit.as_secs()))),
            Err(_) => clock.sleep(pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::cell::Cell;

    const LIMIT: Duration = Duration::from_secs(300);
    const PAUSE: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Time that passes only when somebody sleeps, or works.
    struct HandedIn {
        start: Instant,
        passed: Cell<Duration>,
    }

    impl HandedIn {
        fn new() -> Self {
            Self { start: Instant::now(), passed: Cell::default() }
        }

        fn passed(&self) -> u64 {
            self.passed.get().as_secs()
        }
    }

    impl Clock for HandedIn {
        fn now(&self) -> Instant {
            self.start + self.passed.get()
        }

        fn sleep(&self, pause: Duration) {
            self.passed.set(self.passed.get() + pause);
        }
    }

    /// Asks for something that is there `after` the question is first asked.
    fn wait_for_what_takes(clock: &HandedIn, after: Duration) -> Result<()> {
        let asked = clock.now();
        until(clock, "it is there", LIMIT, PAUSE, || {
            if clock.now() < asked + after {
                bail!("it is not there")
            }
            Ok(())
        })
    }

    #[test]
    fn an_hour_of_building_takes_nothing_from_the_wait_that_follows() {
        let clock = HandedIn::new();
        clock.sleep(HOUR);
        assert!(wait_for_what_takes(&clock, LIMIT - PAUSE).is_ok());
    }

    #[test]
    fn two_waits_in_a_row_have_their_whole_time_each() {
        let clock = HandedIn::new();
        for _ in 0..2 {
            assert!(wait_for_what_takes(&clock, LIMIT - PAUSE).is_ok());
        }
    }

    #[test]
    fn a_wait_ends_at_its_limit_and_says_what_was_missing() {
        let clock = HandedIn::new();
        let error = format!("{:#}", wait_for_what_takes(&clock, HOUR).unwrap_err());
        assert_eq!(error, "waited 300 s until it is there: it is not there");
        assert_eq!(clock.passed(), LIMIT.as_secs());
    }

    #[test]
    fn a_slow_question_that_is_answered_late_is_answered() {
        let clock = HandedIn::new();
        let answer = until(&clock, "it is there", LIMIT, PAUSE, || {
            clock.sleep(HOUR);
            Ok(())
        });
        assert!(answer.is_ok());
    }

    #[test]
    fn a_deadline_is_over_from_its_limit_on() {
        let now = Instant::now();
        let deadline = Deadline::begin(now, LIMIT);
        assert!(!deadline.is_over(now + LIMIT - Duration::from_millis(1)));
        assert!(deadline.is_over(now + LIMIT));
    }
}
