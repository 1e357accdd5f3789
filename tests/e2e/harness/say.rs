//! Lines for whoever watches: libtest would keep what passing tests print to itself, and the figures are in there.

use std::io::Write;
use std::time::SystemTime;

/// Prints a line now, with the seconds of the hour, so that two tests at once can be told apart.
pub fn say(test: &str, what: impl AsRef<str>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (minute, second) = (now.as_secs() / 60 % 60, now.as_secs() % 60);
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(
        std::io::stderr(),
        "{minute:02}:{second:02}.{:01} {test}: {}",
        now.subsec_millis() / 100,
        what.as_ref()
    );
}
