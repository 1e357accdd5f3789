//! Where the time went: the ten slowest tests, told when the last one has ended.

use super::say;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SHOWN: usize = 10;

static ENDED: Mutex<Vec<(Duration, String)>> = Mutex::new(vec![]);

/// Notes how long a test took. libtest has no last moment of its own, so the run's end is known by counting: this program
/// lists the tests that its own arguments select, and each of them plays once.
pub fn note(test: &str, took: Duration) {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended.push((took, test.to_owned()));
    if ended.len() > 1 && Some(ended.len()) == selected() {
        ended.sort_by_key(|one| std::cmp::Reverse(one.0));
        let lines = ended.iter().take(SHOWN).map(|(took, test)| format!("\n{:8.1} s  {test}", took.as_secs_f64()));
        say("slowest", format!("of {} tests{}", ended.len(), lines.collect::<String>()));
    }
}

/// How many tests this run is of.
fn selected() -> Option<usize> {
    let listed = Command::new(std::env::current_exe().ok()?).args(std::env::args_os().skip(1)).arg("--list").output();
    let listed = String::from_utf8(listed.ok()?.stdout).ok()?;
    Some(listed.lines().filter(|line| line.ends_with(": test")).count())
}
