//! Lines of several containers in the order of their times.

use std::time::{Duration, Instant};

use super::source::{Line, Source};

/// Lines that are there already: of each source one waits, so that order costs no memory.
pub struct Merged {
    heads: Vec<(Line, Source)>,
}

impl Merged {
    pub async fn of(sources: Vec<Source>) -> Self {
        let mut heads = vec![];
        for mut source in sources {
            if let Some(line) = source.next().await {
                heads.push((line, source));
            }
        }
        Self { heads }
    }

    /// The earliest line that is left.
    pub async fn next(&mut self) -> Option<Line> {
        let first = earliest(self.heads.iter().map(|(line, _)| line))?;
        let (line, mut source) = self.heads.swap_remove(first);
        if let Some(head) = source.next().await {
            self.heads.push((head, source));
        }
        Some(line)
    }
}

/// Of equal times the pod's name decides, so that the order is the same each time.
fn earliest<'a>(lines: impl Iterator<Item = &'a Line>) -> Option<usize> {
    let key = |line: &'a Line| (line.at, &line.pod, &line.container);
    lines.enumerate().min_by_key(|(_, line)| key(line)).map(|(index, _)| index)
}

/// Lines as they come: each is held back for a moment, in which an earlier one of another container may come.
#[derive(Debug, Default)]
pub struct Window {
    waiting: Vec<(Instant, Line)>,
}

/// Longer than lines take that were printed at the same time, and shorter than somebody notices.
pub const HELD: Duration = Duration::from_millis(400);

impl Window {
    pub fn push(&mut self, line: Line, now: Instant) {
        self.waiting.push((now, line));
    }

    /// The lines that were held for long enough, and those before them, in order.
    pub fn due(&mut self, now: Instant) -> Vec<Line> {
        let ripe = self.waiting.iter().filter(|(came, _)| now.duration_since(*came) >= HELD);
        let Some(until) = ripe.map(|(_, line)| line.at).max() else { return vec![] };
        let (due, rest) = self.waiting.drain(..).partition(|(_, line)| line.at <= until);
        self.waiting = rest;
        let mut lines: Vec<Line> = due.into_iter().map(|(_, line): (Instant, Line)| line).collect();
        // Lines of one container and one time stay as they came.
        lines.sort_by_key(|line| line.at);
        lines
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn line(at: i64, pod: &str) -> Line {
        Line { at: Timestamp::from_second(at).unwrap(), pod: pod.into(), container: "etcd".into(), text: String::new() }
    }

    fn said(lines: &[Line]) -> Vec<(i64, &str)> {
        lines.iter().map(|line| (line.at.as_second(), line.pod.as_str())).collect()
    }

    #[test]
    fn the_earliest_line_comes_first_and_names_decide_between_equal_ones() {
        let lines = [line(3, "a"), line(1, "c"), line(1, "b")];
        assert_eq!(earliest(lines.iter()), Some(2));
        assert_eq!(earliest([].iter()), None);
    }

    #[test]
    fn a_line_that_comes_a_moment_late_is_put_where_it_belongs() {
        let (mut window, start) = (Window::default(), Instant::now());
        window.push(line(5, "a"), start);
        window.push(line(4, "b"), start + HELD / 2);
        window.push(line(9, "b"), start + HELD / 2);
        assert_eq!(window.due(start + HELD / 2), []);
        assert_eq!(said(&window.due(start + HELD)), [(4, "b"), (5, "a")]);
        assert_eq!(said(&window.due(start + HELD * 2)), [(9, "b")]);
    }
}
