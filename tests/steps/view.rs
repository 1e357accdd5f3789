//! How progress looks: pure, so that it can be read in tests.

use std::time::Duration;

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Far {
    /// It has only begun.
    Begun,
    /// In its own words.
    Words(String),
    /// So many of so many.
    Count { done: usize, of: usize, unit: &'static str },
}

/// A task as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    pub what: String,
    pub far: Far,
}

/// Cells of a bar: two fit a line of eighty with their words.
const BAR: usize = 10;

/// Minutes and seconds, right-aligned as far as an hour.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>3}:{:02}", seconds / 60, seconds % 60)
}

/// `[2/4]   3:12  `: what begins every line.
#[must_use]
pub fn head(step: usize, of: usize, time: Duration) -> String {
    format!("[{step}/{of}] {}  ", clock(time))
}

/// The one line that changes on a terminal, never wider than it.
#[must_use]
pub fn status(head: &str, tasks: &[Shown], width: usize) -> String {
    let told: Vec<String> = tasks.iter().map(|task| format!("{}{}", task.what, short(&task.far))).collect();
    let line = format!("{head}{}", told.join(" · "));
    match line.char_indices().nth(width.saturating_sub(1)) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    }
}

fn short(far: &Far) -> String {
    match far {
        Far::Begun => String::new(),
        Far::Words(words) => format!(": {words}"),
        Far::Count { done, of, .. } => format!(" {} {done}/{of}", bar(*done, *of)),
    }
}

/// The same for a log.
#[must_use]
pub fn line(head: &str, task: &Shown) -> String {
    let far = match &task.far {
        Far::Begun => String::new(),
        Far::Words(words) => format!(": {words}"),
        Far::Count { done, of, unit } => format!(": {done} of {of} {unit}"),
    };
    format!("{head}{}{far}", task.what)
}

fn bar(done: usize, of: usize) -> String {
    let full = (BAR * done.min(of)).checked_div(of).unwrap_or(0);
    "▰".repeat(full) + &"▱".repeat(BAR - full)
}

/// A line in a log is worth it when something is new and the last one is a while ago; after a minute it says that all is well.
#[must_use]
pub fn is_due(is_new: bool, since_last: Duration) -> bool {
    let pause = if is_new { Duration::from_secs(10) } else { Duration::from_secs(60) };
    since_last >= pause
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(done: usize, of: usize) -> Far {
        Far::Count { done, of, unit: "packages" }
    }

    fn task(what: &str, far: Far) -> Shown {
        Shown { what: what.to_owned(), far }
    }

    #[test]
    fn a_terminal_shows_all_that_runs_in_one_line() {
        let tasks = [task("Kubernetes", count(1043, 2312)), task("agent", Far::Words("Downloading".to_owned()))];
        let shown = status(&head(1, 4, Duration::from_secs(192)), &tasks, 100);
        assert_eq!(shown, "[1/4]   3:12  Kubernetes ▰▰▰▰▱▱▱▱▱▱ 1043/2312 · agent: Downloading");
    }

    #[test]
    fn the_line_is_never_wider_than_the_terminal() {
        let tasks = [task("Kubernetes", count(1, 2)), task("agent", Far::Words("▰".repeat(200)))];
        for width in [1, 20, 80] {
            let shown = status(&head(1, 4, Duration::ZERO), &tasks, width);
            assert!(shown.chars().count() < width.max(1), "{shown}");
        }
    }

    #[test]
    fn a_log_tells_counts_in_words() {
        let shown = line(&head(2, 4, Duration::from_secs(3605)), &task("Kubernetes", count(7, 9)));
        assert_eq!(shown, "[2/4]  60:05  Kubernetes: 7 of 9 packages");
    }

    #[test]
    fn a_bar_is_full_at_the_end_and_not_before() {
        assert_eq!(bar(0, 0), "▱".repeat(BAR));
        assert_eq!(bar(8, 9).matches('▱').count(), 2);
        assert_eq!(bar(9, 9), "▰".repeat(BAR));
        assert_eq!(bar(12, 9), "▰".repeat(BAR));
    }

    #[test]
    fn a_log_is_told_what_is_new_and_once_a_minute_what_is_not() {
        assert!(!is_due(true, Duration::from_secs(9)) && is_due(true, Duration::from_secs(10)));
        assert!(!is_due(false, Duration::from_secs(59)) && is_due(false, Duration::from_secs(60)));
    }
}
