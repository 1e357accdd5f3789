//! How fast this process may call: a fleet that is founded, repaired or rolled all at once leaves room for others.
//!
//! A bucket of tokens. Who finds it empty takes one of those to come, and waits for it: first come, first served.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many a second, on and on, and so many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub a_second: f64,
    pub at_once: f64,
}

/// Counted out to calls of one sort.
#[derive(Debug)]
pub struct Pace(Mutex<Bucket>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    rate: Rate,
    /// Below zero: so many are promised.
    tokens: f64,
    at: Instant,
}

impl Pace {
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self(Mutex::new(Bucket { rate, tokens: rate.at_once, at: Instant::now() }))
    }

    /// Returns when one more may go out.
    pub async fn keep(&self) {
        let wait = self.lock().take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether one more may go out now; if so, it counts.
    #[must_use]
    pub fn may(&self) -> bool {
        self.lock().take_if_there(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// Takes a token. Gives the time until it is there.
    fn take(&mut self, now: Instant) -> Duration {
        self.earn(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens).max(0.0) / self.rate.a_second)
    }

    fn take_if_there(&mut self, now: Instant) -> bool {
        self.earn(now);
        let there = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(there));
        there
    }

    fn earn(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.rate.a_second;
        (self.tokens, self.at) = ((self.tokens + earned).min(self.rate.at_once), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { a_second: 50.0, at_once: 200.0 };

    fn waits(bucket: &mut Bucket, now: Instant, n: usize) -> Vec<Duration> {
        (0..n).map(|_| bucket.take(now)).collect()
    }

    #[test]
    fn a_burst_goes_out_at_once_and_what_follows_at_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket { rate: RATE, tokens: 200.0, at: now };
        assert!(waits(&mut bucket, now, 200).iter().all(Duration::is_zero));
        let later = waits(&mut bucket, now, 100);
        assert_eq!((later[0], later[99]), (Duration::from_millis(20), Duration::from_secs(2)));
    }

    #[test]
    fn a_rest_fills_the_bucket_to_the_brim_and_no_further() {
        let now = Instant::now();
        let mut bucket = Bucket { rate: RATE, tokens: 0.0, at: now };
        let later = now + Duration::from_secs(3600);
        assert_eq!(waits(&mut bucket, later, 201).iter().filter(|wait| wait.is_zero()).count(), 200);
    }

    #[test]
    fn who_may_not_wait_takes_nothing_that_is_not_there() {
        let now = Instant::now();
        let mut bucket = Bucket { rate: RATE, tokens: 1.5, at: now };
        assert_eq!([bucket.take_if_there(now), bucket.take_if_there(now)], [true, false]);
        assert!(bucket.take_if_there(now + Duration::from_millis(10)), "half a token was left");
    }
}
