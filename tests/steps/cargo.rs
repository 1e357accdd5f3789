//! How far cargo is, from the bar that it draws.

use crate::view::Far;
use std::process::Command;

/// Makes cargo draw its bar although nobody seems to look.
pub fn show_progress(command: &mut Command) {
    command.envs([
        ("CARGO_TERM_PROGRESS_WHEN", "always"),
        ("CARGO_TERM_PROGRESS_WIDTH", "80"),
        ("CARGO_TERM_COLOR", "never"),
    ]);
}

/// What a line of its bar says, as `Building [=====>    ] 120/212: kube, tonic`; none for any other line.
#[must_use]
pub fn bar(line: &str) -> Option<Far> {
    let (verb, rest) = line.trim_start().split_once(" [")?;
    let (cells, counts) = rest.split_once("] ")?;
    if !verb.chars().all(char::is_alphabetic) || !cells.chars().all(|cell| "=-> ".contains(cell)) {
        return None;
    }
    let counts = counts.split([':', ' ']).next()?;
    let (done, of) = counts.trim_end_matches(',').split_once('/')?;
    let (done, of) = (done.parse().ok()?, of.parse().ok()?);
    Some(Far::Count { done, of, unit: "crates" })
}

/// Whether a line only says what cargo is about: no use in a list of last words, and none above a bar.
#[must_use]
pub fn is_chatter(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    line.starts_with(' ')
        && [
            "Compiling",
            "Checking",
            "Downloading",
            "Downloaded",
            "Updating",
            "Locking",
            "Finished",
            "Running",
            "Building",
            "Blocking",
        ]
        .contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_read_and_nothing_else_is_taken_for_one() {
        let count = |done, of| Some(Far::Count { done, of, unit: "crates" });
        assert_eq!(bar("    Building [=====>            ] 120/212: kube, tonic"), count(120, 212));
        assert_eq!(bar("    Building [                  ] 0/9: libc"), count(0, 9));
        assert_eq!(bar("   Compiling kube v5.0.0"), None);
        assert_eq!(bar("test a::b [1/2] ... ok"), None);
        assert_eq!(bar("values [a, b] 1/2"), None);
    }

    #[test]
    fn chatter_is_told_from_errors() {
        assert!(is_chatter("   Compiling kube v5.0.0") && is_chatter("    Finished `dev` profile"));
        assert!(
            !is_chatter("error[E0308]: mismatched types")
                && !is_chatter("Running the test")
                && !is_chatter("   --> a.rs:1")
        );
    }
}
