//! How long the scenarios of `life` are: short in `make test`, with the full numbers in `make chaos`, at random but repeatable.

use super::Stage;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Whether the full numbers are wanted.
#[must_use]
pub fn is_full() -> bool {
    std::env::var_os("E2E_FULL").is_some_and(|value| !value.is_empty())
}

/// The first in `make test`, the second in `make chaos`.
#[must_use]
pub fn either<T>(short: T, full: T) -> T {
    if is_full() { full } else { short }
}

/// What a test decides at random, each test on its own: `E2E_SEED` repeats it.
///
/// # Panics
/// When `E2E_SEED` is no number.
#[must_use]
pub fn dice(stage: &Stage) -> StdRng {
    let seed = std::env::var("E2E_SEED").ok().filter(|value| !value.is_empty());
    let seed: u32 = seed.map_or_else(rand::random, |value| value.parse().expect("E2E_SEED is a number"));
    stage.say(format!("E2E_SEED={seed} repeats its decisions"));
    let mut hasher = DefaultHasher::new();
    (seed, &stage.test).hash(&mut hasher);
    StdRng::seed_from_u64(hasher.finish())
}
